package scsweb

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"amtmedic/amt/store"
)

// ClientRow is a row of csti_amts.
type ClientRow struct {
	UUID       string     `json:"uuid"`
	FQDN       string     `json:"fqdn"`
	State      string     `json:"state" enum:"unprovisioned,in-progress,delayed,provisioned"`
	Method     string     `json:"method" doc:"psk, pki; empty for a hello of unknown version"`
	AMTVersion string     `json:"amt_version" doc:"empty until a session told it"`
	Address    string     `json:"address" doc:"of its last hello"`
	PID        string     `json:"pid"`
	FirstHello time.Time  `json:"first_hello"`
	LastHello  time.Time  `json:"last_hello"`
	Changed    *time.Time `json:"changed" doc:"last change of its state"`
	Hellos     int64      `json:"hellos"`
	Reason     string     `json:"reason" doc:"catalogue id and words of a delayed client"`
}

func newClientRow(c store.Client) ClientRow {
	return ClientRow{c.UUID.String(), c.FQDN, string(c.State), string(c.Method), c.AMTVersion, c.IP, string(c.PID),
		c.FirstHello, c.LastHello, moment(c.Changed), c.Hellos, c.Reason}
}

// clientDetail is a client with its entry and the steps of its last configuration.
type clientDetail struct {
	ClientRow
	Queue   *queueRow   `json:"queue" doc:"its queue entry, null when it has none"`
	Delayed *delayedRow `json:"delayed" doc:"its delayed entry, null when it has none"`
	Steps   []string    `json:"steps" doc:"steps of its last configuration that are done"`

	Retired    *time.Time `json:"retired" doc:"when it went out of service; null while it is in service"`
	ReplacedBy string     `json:"replaced_by" doc:"UUID of the mainboard that came after it; empty when none did"`
}

// queueRow is a row of csto_queue_entries.
type queueRow struct {
	UUID     string    `json:"uuid"`
	FQDN     string    `json:"fqdn"`
	Attempts int       `json:"attempts"`
	Enqueued time.Time `json:"enqueued"`
	Worker   string    `json:"worker" doc:"who works on it; empty while nobody does"`
}

func newQueueRow(q store.QueueRow) queueRow {
	return queueRow{q.UUID.String(), q.FQDN, q.Attempts, q.Enqueued, q.ClaimedBy}
}

// delayedRow is a row of csto_delayed_entries.
type delayedRow struct {
	UUID     string    `json:"uuid"`
	FQDN     string    `json:"fqdn"`
	Attempts int       `json:"attempts"`
	Since    time.Time `json:"since"`
	Due      time.Time `json:"due" doc:"when it is looked at again without a hello or an import"`
	Reason   string    `json:"reason" doc:"catalogue id and words"`
}

func newDelayedRow(d store.DelayedRow) delayedRow {
	return delayedRow{d.UUID.String(), d.FQDN, d.Attempts, d.Since, d.Due, d.Reason}
}

func (s *Server) registerClients(api huma.API) {
	huma.Register(api, s.operation("list-amts", http.MethodGet, "/amts", store.RoleRead, "clients by UUID", 422),
		func(ctx context.Context, in *struct {
			Page
			State string `query:"state" enum:"unprovisioned,in-progress,delayed,provisioned" doc:"only clients in this state"`
		}) (*bodyOf[listOf[ClientRow]], error) {
			o := in.options()
			o.State = store.State(in.State)
			rows, next, err := s.st.ListClients(ctx, o)
			return answerList(s, rows, next, err, newClientRow)
		})
	huma.Register(api, s.operation("get-amt", http.MethodGet, "/amts/{uuid}", store.RoleRead, "one client with its entry and steps", 404, 422), s.getClient)
	huma.Register(api, s.operation("look-again", http.MethodPost, "/amts/{uuid}/look-again", store.RoleOperate, "sends a delayed client to the queue now", 404, 409, 422), s.lookAgain)
	huma.Register(api, s.operation("list-queue", http.MethodGet, "/queue", store.RoleRead, "queue entries, the oldest first", 422),
		func(ctx context.Context, in *struct{ Page }) (*bodyOf[listOf[queueRow]], error) {
			rows, next, err := s.st.ListQueue(ctx, in.options())
			return answerList(s, rows, next, err, newQueueRow)
		})
	huma.Register(api, s.operation("list-delayed", http.MethodGet, "/delayed", store.RoleRead, "delayed entries, by the time at which they are due", 422),
		func(ctx context.Context, in *struct{ Page }) (*bodyOf[listOf[delayedRow]], error) {
			rows, next, err := s.st.ListDelayed(ctx, in.options())
			return answerList(s, rows, next, err, newDelayedRow)
		})
}

func (s *Server) getClient(ctx context.Context, in *UUIDPath) (*bodyOf[clientDetail], error) {
	u, err := in.parse()
	if err != nil {
		return nil, err
	}
	c, ok, err := s.st.Client(ctx, u)
	if err != nil {
		return nil, s.fault("read client", err)
	} else if !ok {
		return nil, notFound("client of this UUID: it never said hello")
	}
	out := &bodyOf[clientDetail]{clientDetail{ClientRow: newClientRow(c), Steps: []string{}}}
	if q, ok, err := s.st.Queue(ctx, u); err != nil {
		return nil, s.fault("read queue", err)
	} else if ok {
		q.FQDN = c.FQDN
		row := newQueueRow(q)
		out.Body.Queue = &row
	}
	if d, ok, err := s.st.Delayed(ctx, u); err != nil {
		return nil, s.fault("read delayed entry", err)
	} else if ok {
		d.FQDN = c.FQDN
		row := newDelayedRow(d)
		out.Body.Delayed = &row
	}
	life, err := s.st.Life(ctx, u)
	if err != nil {
		return nil, s.fault("read life of a client", err)
	}
	if out.Body.Retired = moment(life.Retired); !life.ReplacedBy.IsZero() {
		out.Body.ReplacedBy = life.ReplacedBy.String()
	}
	steps, err := s.st.Steps(ctx, u)
	if err != nil {
		return nil, s.fault("read steps", err)
	}
	out.Body.Steps = append(out.Body.Steps, steps...)
	return out, nil
}

// lookAgain promotes a delayed entry. A client without one has nothing that waits: told with its state.
func (s *Server) lookAgain(ctx context.Context, in *UUIDPath) (*struct{}, error) {
	u, err := in.parse()
	if err != nil {
		return nil, err
	}
	c, ok, err := s.st.Client(ctx, u)
	if err != nil {
		return nil, s.fault("read client", err)
	} else if !ok {
		return nil, notFound("client of this UUID: it never said hello")
	}
	who := callerOf(ctx).token.Name
	err = s.change(ctx, store.Audit{Action: "look-again", Object: u.String(), Was: string(c.State), Becomes: "queued"}, func(ctx context.Context) error {
		ok, err := s.st.PromoteNow(ctx, u, "asked for by "+who)
		if err == nil && !ok {
			err = huma.Error409Conflict("the client is not delayed; its state is " + string(c.State))
		}
		return err
	})
	if err == nil {
		s.o.Wake()
	}
	return nil, err
}
