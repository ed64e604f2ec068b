package provision

import (
	"context"
	"log/slog"
	"time"

	"amtmedic/amt/store"
)

// Presence keeps a server's row among those of its database up to date, and tells of others that fall
// silent. It also does what has to be done now and then where several servers share a database.
type Presence struct {
	Store    *store.Store
	Row      store.ServerRow // Sessions is asked for each time
	Sessions func() int
	Wake     func() // the queue has something
	Log      *slog.Logger
}

// Times of a server's heartbeats.
const (
	beatMost  = 10 * time.Second // between two of a shared database
	beatFile  = time.Minute      // of a file, where only people look at them
	forgetRow = 24 * time.Hour   // of a server that fell silent
)

// Run writes heartbeats until ctx ends, and then takes the row away.
func (p Presence) Run(ctx context.Context) {
	every := min(beatMost, p.Row.Within/3)
	if !p.Store.Shared() {
		every, p.Row.Within = beatFile, 3*beatFile
	}
	away := outage{log: p.Log}
	silent := map[string]bool{}
	for {
		limited, cancel := context.WithTimeout(ctx, max(every, time.Second))
		err := p.beat(limited, silent)
		cancel()
		switch {
		case err == nil:
			away.worked()
		case ctx.Err() == nil:
			away.failed("no heartbeat was written: other servers take this one for dead", err)
		}
		if !sleep(ctx, every) {
			break
		}
	}
	farewell, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime/8)
	defer cancel()
	_ = p.Store.RemoveServer(farewell, p.Row.Name) // without it the others see it fall silent
}

// beat writes a heartbeat and looks at the others.
func (p Presence) beat(ctx context.Context, silent map[string]bool) error {
	row := p.Row
	row.Sessions = p.Sessions()
	if err := p.Store.Heartbeat(ctx, row); err != nil || !p.Store.Shared() {
		return err
	}
	servers, err := p.Store.Servers(ctx)
	if err != nil {
		return err
	}
	forget := false
	for _, s := range servers {
		args := []any{"name", s.Name, "host", s.Host, "process", s.Process, "last_seen", s.Seen}
		switch {
		case !s.Alive && !silent[s.Name]:
			silent[s.Name] = true
			p.Log.Warn("a server fell silent: its clients are taken over when their leases run out", args...)
		case s.Alive && silent[s.Name]:
			delete(silent, s.Name)
			p.Log.Info("a server is heard again", args...)
		}
		forget = forget || !s.Alive && servers[0].Seen.Sub(s.Seen) > forgetRow
	}
	if forget {
		if err := p.Store.TrimServers(ctx, forgetRow); err != nil {
			return err
		}
	}
	n, err := p.Store.PromoteKeyed(ctx)
	if n > 0 {
		p.Log.Info("delayed entries whose key is here are in the queue", "count", n)
		p.Wake()
	}
	return err
}
