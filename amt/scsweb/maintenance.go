package scsweb

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"amtmedic/amt/store"
)

// maintenanceRow is maintenance that waits or is under way.
type maintenanceRow struct {
	UUID     string     `json:"uuid"`
	FQDN     string     `json:"fqdn"`
	Kind     string     `json:"kind" enum:"clock,profile,certificate,password,pair,unprovision,unprovision-full"`
	State    string     `json:"state" enum:"queued,in-progress,delayed"`
	Attempts int        `json:"attempts"`
	Since    time.Time  `json:"since" doc:"in the queue, or delayed"`
	Due      *time.Time `json:"due" doc:"when a delayed one is tried again; null for the others"`
	Reason   string     `json:"reason" doc:"why it is delayed: catalogue id and words"`
}

func newMaintenanceRow(m store.MaintenanceRow) maintenanceRow {
	out := maintenanceRow{m.UUID.String(), m.FQDN, string(m.Kind), "queued", m.Attempts, m.Since, moment(m.Due), m.Reason}
	switch {
	case m.Worker != "":
		out.State = "in-progress"
	case out.Due != nil:
		out.State = "delayed"
	}
	return out
}

func (s *Server) registerMaintenance(api huma.API) {
	huma.Register(api, s.operation("list-maintenance", http.MethodGet, "/maintenance", store.RoleRead, "maintenance that waits or is under way, by UUID", 422),
		func(ctx context.Context, in *struct{ Page }) (*bodyOf[listOf[maintenanceRow]], error) {
			rows, next, err := s.st.ListMaintenance(ctx, in.options())
			return answerList(s, rows, next, err, newMaintenanceRow)
		})
	ask := s.operation("ask-maintenance", http.MethodPost, "/amts/{uuid}/maintenance", store.RoleOperate, "queues maintenance of a provisioned client; unprovision and unprovision-full need the role admin", 404, 409, 422)
	ask.DefaultStatus = http.StatusNoContent
	huma.Register(api, ask, s.askMaintenance)
	huma.Register(api, s.operation("cancel-maintenance", http.MethodDelete, "/amts/{uuid}/maintenance", store.RoleOperate, "cancels maintenance that waits; on schedule it comes again a period later", 404, 409, 422), s.cancelMaintenance)
}

func (s *Server) askMaintenance(ctx context.Context, in *struct {
	UUIDPath
	Body struct {
		Kind string `json:"kind" enum:"clock,profile,certificate,password,pair,unprovision,unprovision-full"`
		Why  string `json:"why,omitempty" maxLength:"200" doc:"for the log, such as the number of a ticket; no secrets"`
	}
}) (*struct{}, error) {
	u, err := in.parse()
	if err != nil {
		return nil, err
	}
	m, who := store.Maintenance(in.Body.Kind), callerOf(ctx).token
	if (m == store.Unprovision || m == store.UnprovisionFull) && !who.Role.Allows(store.RoleAdmin) {
		return nil, huma.Error403Forbidden(in.Body.Kind + " needs the role admin; the token has " + string(who.Role))
	}
	life, err := s.st.Life(ctx, u)
	if err != nil {
		return nil, s.fault("read client", err)
	}
	why := "asked for by " + who.Name
	if text := strings.TrimSpace(in.Body.Why); text != "" {
		why += ", " + text
	}
	err = s.change(ctx, store.Audit{Action: "ask-maintenance", Object: u.String(), Was: life.Entry, Becomes: in.Body.Kind}, func(ctx context.Context) error {
		if !life.Retired.IsZero() {
			return huma.Error409Conflict("the client is retired")
		}
		return maintenanceFault(s.st.Maintain(ctx, u, m, why))
	})
	if err == nil {
		s.o.Wake()
	}
	return nil, err
}

func (s *Server) cancelMaintenance(ctx context.Context, in *UUIDPath) (*struct{}, error) {
	u, err := in.parse()
	if err != nil {
		return nil, err
	}
	return nil, s.change(ctx, store.Audit{Action: "cancel-maintenance", Object: u.String()}, func(ctx context.Context) error {
		_, err := s.st.CancelMaintenance(ctx, u, "asked for by "+callerOf(ctx).token.Name)
		return maintenanceFault(err)
	})
}

// maintenanceFault gives the causes that the caller has to know.
func maintenanceFault(err error) error {
	for _, cause := range []error{store.ErrNoClient, store.ErrNoMaintenance} {
		if errors.Is(err, cause) {
			return huma.Error404NotFound(cause.Error())
		}
	}
	for _, cause := range []error{store.ErrNotProvisioned, store.ErrHasEntry, store.ErrBusy} {
		if errors.Is(err, cause) {
			return huma.Error409Conflict(cause.Error())
		}
	}
	return err
}
