package scsweb

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// logRow is a row of csti_log.
type logRow struct {
	ID       int64     `json:"id"`
	At       time.Time `json:"at"`
	UUID     string    `json:"uuid" doc:"empty for what concerns no client"`
	Severity string    `json:"severity" enum:"info,warning,error"`
	Code     string    `json:"code"`
	Text     string    `json:"text"`
}

var severities = []string{"info", "warning", "error"}

func newLogRow(l store.LogRow) logRow {
	out := logRow{ID: l.ID, At: l.At, Severity: severities[min(max(l.Severity, 0), 2)], Code: l.Code, Text: l.Text}
	if !l.UUID.IsZero() {
		out.UUID = l.UUID.String()
	}
	return out
}

// auditRow is a row of csti_audit.
type auditRow struct {
	ID      int64     `json:"id"`
	At      time.Time `json:"at"`
	Who     string    `json:"who" doc:"name of the token, or command line"`
	Address string    `json:"address"`
	Action  string    `json:"action"`
	Object  string    `json:"object"`
	Was     string    `json:"was" doc:"before, without secrets; empty when it was not there"`
	Becomes string    `json:"becomes" doc:"after, without secrets; empty when it is removed"`
	Result  string    `json:"result" doc:"done, or why not; empty when the process ended meanwhile"`
}

// Cursor is where a log is read from, newest first.
type Cursor struct {
	Before int64 `query:"before" minimum:"0" doc:"only rows with a smaller id: next of the page before"`
	Limit  int   `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

func (s *Server) registerLogs(api huma.API) {
	huma.Register(api, s.operation("list-log", http.MethodGet, "/log", store.RoleRead, "the log, newest first", 422),
		func(ctx context.Context, in *struct {
			Cursor
			UUID     string `query:"uuid" maxLength:"38" doc:"rows of one client"`
			Severity string `query:"severity" enum:"info,warning,error" doc:"rows of this severity and worse"`
			Search   string `query:"search" maxLength:"253" doc:"part of code, text or UUID, in any case"`
		}) (*bodyOf[listOf[logRow]], error) {
			o := store.LogOptions{Search: in.Search, Before: in.Before, Limit: in.Limit}
			for i, name := range severities {
				if name == in.Severity {
					o.MinSeverity = i
				}
			}
			if in.UUID != "" {
				u, err := amt.ParseUUID(in.UUID)
				if err != nil {
					return nil, huma.Error422UnprocessableEntity("uuid is no UUID")
				}
				o.UUID = u
			}
			rows, err := s.st.ListLog(ctx, o)
			next := ""
			if len(rows) > 0 && len(rows) == in.Limit {
				next = strconv.FormatInt(rows[len(rows)-1].ID, 10)
			}
			return answerList(s, rows, next, err, newLogRow)
		})
	huma.Register(api, s.operation("list-audit", http.MethodGet, "/audit", store.RoleAdmin, "who changed what, newest first", 422),
		func(ctx context.Context, in *Cursor) (*bodyOf[listOf[auditRow]], error) {
			rows, err := s.st.ListAudit(ctx, in.Before, in.Limit)
			next := ""
			if len(rows) > 0 && len(rows) == in.Limit {
				next = strconv.FormatInt(rows[len(rows)-1].ID, 10)
			}
			return answerList(s, rows, next, err, func(a store.Audit) auditRow { return auditRow(a) })
		})
}
