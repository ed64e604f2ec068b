package scsweb

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"amtmedic/amt"
	"amtmedic/amt/keys"
	"amtmedic/amt/store"
)

// pidRow is a row of csti_pid_map without its secrets.
type pidRow struct {
	ID      int64      `json:"id"`
	PID     string     `json:"pid"`
	Used    bool       `json:"used"`
	UUID    string     `json:"uuid" doc:"client that used it; empty while none is known"`
	Updated *time.Time `json:"updated"`
}

func newPIDRow(k store.PIDRow) pidRow {
	out := pidRow{ID: k.ID, PID: string(k.PID), Used: k.Used, Updated: moment(k.Updated)}
	if !k.UUID.IsZero() {
		out.UUID = k.UUID.String()
	}
	return out
}

func pairOf(k store.PIDRow, ok bool) string {
	if !ok {
		return ""
	}
	return fmt.Sprintf("id %d, used %v", k.ID, k.Used)
}

// PIDPath is the PID in a path.
type PIDPath struct {
	PID string `path:"pid" maxLength:"9" doc:"PID with or without its dash" example:"0000037M"`
}

func (s *Server) registerKeys(api huma.API) {
	huma.Register(api, s.operation("list-pid-map", http.MethodGet, "/pid-map", store.RoleRead, "PID/PPS pairs by id, without their secrets", 422),
		func(ctx context.Context, in *struct{ Page }) (*bodyOf[listOf[pidRow]], error) {
			rows, next, err := s.st.ListPIDs(ctx, in.options())
			return answerList(s, rows, next, err, newPIDRow)
		})
	huma.Register(api, s.operation("put-pid", http.MethodPut, "/pid-map/{pid}", store.RoleOperate, "adds a pair, or replaces its secrets", 409, 422), s.putPID)
	huma.Register(api, s.operation("delete-pid", http.MethodDelete, "/pid-map/{pid}", store.RoleOperate, "removes a pair that no client has used", 404, 409, 422), s.deletePID)
	huma.Register(api, raw(s.operation("import-pid-map", http.MethodPost, "/pid-map/import", store.RoleOperate, "imports PID/PPS pairs", 413, 422), maxImport,
		"key file: CSV with the header id,pid,pps,current_password,admin_password,used, or a list in plain text", "text/csv", "text/plain"), s.importKeys)
}

func (s *Server) putPID(ctx context.Context, in *struct {
	PIDPath
	Body struct {
		PPS             string `json:"pps" writeOnly:"true" minLength:"32" maxLength:"39" doc:"with or without dashes"`
		CurrentPassword string `json:"current_password,omitempty" writeOnly:"true" maxLength:"32" doc:"of the client as delivered"`
		AdminPassword   string `json:"admin_password,omitempty" writeOnly:"true" maxLength:"32" doc:"to be set"`
	}
}) (*bodyOf[pidRow], error) {
	pair, problems := keys.Parse(in.PID, amt.NewSecret(in.Body.PPS))
	if len(problems) > 0 {
		var all []error
		for _, p := range problems {
			all = append(all, &huma.ErrorDetail{Message: p.Text, Location: p.Where})
		}
		return nil, huma.Error422UnprocessableEntity("no pair that firmware takes", all...)
	}
	old, had, err := s.st.PID(ctx, pair.PID)
	if err != nil {
		return nil, s.fault("read PID map", err)
	}
	becomes := "secrets replaced"
	if !had {
		becomes = "added"
	}
	p := store.Pair{ID: old.ID, PID: pair.PID, PPS: pair.PPS, CurrentPassword: amt.NewSecret(in.Body.CurrentPassword), AdminPassword: amt.NewSecret(in.Body.AdminPassword), Used: old.Used}
	err = s.change(ctx, store.Audit{Action: "put-pid", Object: string(pair.PID), Was: pairOf(old, had), Becomes: becomes}, func(ctx context.Context) error {
		sum, err := s.st.ImportKeys(ctx, []store.Pair{p})
		if err == nil && len(sum.Conflicts) > 0 {
			err = huma.Error409Conflict("the PID stands under another id")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	s.o.Wake()
	row, _, err := s.st.PID(ctx, pair.PID)
	if err != nil {
		return nil, s.fault("read PID map", err)
	}
	return &bodyOf[pidRow]{newPIDRow(row)}, nil
}

func (s *Server) deletePID(ctx context.Context, in *PIDPath) (*struct{}, error) {
	pid, err := amt.ParsePID(in.PID)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity("the path has no PID")
	}
	old, had, err := s.st.PID(ctx, pid)
	if err != nil {
		return nil, s.fault("read PID map", err)
	} else if !had {
		return nil, notFound("pair of this PID")
	}
	return nil, s.change(ctx, store.Audit{Action: "delete-pid", Object: string(pid), Was: pairOf(old, true)}, func(ctx context.Context) error {
		if old.Used {
			return huma.Error409Conflict("a client has used the pair")
		}
		err := s.st.RemoveKey(ctx, pid)
		if errors.Is(err, store.ErrDenied) {
			err = huma.Error409Conflict("a client has used the pair")
		}
		return err
	})
}

func (s *Server) importKeys(ctx context.Context, in *fileBody) (*bodyOf[imported], error) {
	rows, problems, err := keys.Read(in.RawBody)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity("no key file")
	}
	pairs := make([]store.Pair, len(rows))
	for i, r := range rows {
		pairs[i] = store.Pair{ID: r.ID, PID: r.PID, PPS: r.PPS, CurrentPassword: r.CurrentPassword, AdminPassword: r.AdminPassword, Used: r.Used}
	}
	var sum store.KeyImport
	err = s.change(ctx, store.Audit{Action: "import-pid-map", Object: fmt.Sprintf("%d pairs", len(pairs))}, func(ctx context.Context) (err error) {
		sum, err = s.st.ImportKeys(ctx, pairs)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.o.Wake()
	out := imported{sum.Imported, len(sum.Conflicts), sum.Promoted, []amt.Problem{}, problems}
	for _, c := range sum.Conflicts {
		out.Taken = append(out.Taken, amt.In(fmt.Sprintf("id %d", c.ID), "pid-taken", "PID %s stands in the map under id %d", c.PID.Dashed(), c.Taken))
	}
	return &bodyOf[imported]{out}, nil
}
