package provision

import (
	"context"
	"errors"
	"strconv"
	"time"

	"amtmedic/amt/store"
)

// The rows of csti_configuration that say how long and how many rows of the audit are kept; 0 is all.
const (
	confAuditDays = "audit_days"
	confAuditRows = "audit_rows"
)

// tidyAudit trims the audit as the configuration says. A value that is no number keeps everything.
func (s *Server) tidyAudit(ctx context.Context) {
	conf, err := s.store.Config(ctx)
	if errors.Is(err, store.ErrNoConfig) {
		return
	}
	var n int64
	if err == nil {
		days, _ := strconv.Atoi(conf[confAuditDays])
		rows, _ := strconv.Atoi(conf[confAuditRows])
		var before time.Time
		if days > 0 {
			before = s.o.Now().AddDate(0, 0, -days)
		}
		n, err = s.store.TrimAudit(ctx, "server", before, max(rows, 0))
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.o.Log.Error("the audit was not trimmed", "err", err)
	case n > 0:
		s.o.Log.Info("old audit rows were removed", "count", n)
	}
}
