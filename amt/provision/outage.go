package provision

import (
	"log/slog"
	"sync"
	"time"
)

// outageEvery is how often the log tells that the database is away.
const outageEvery = 10 * time.Second

// outage tells of a database that does not answer, and of its return: neither the number of hellos nor
// that of tries decides how many lines the log gets.
type outage struct {
	log *slog.Logger

	mu    sync.Mutex
	since time.Time // of the first failure; zero while the database answers
	told  time.Time // when the log last got a line
	more  int       // failures since then
	all   int       // since the first one
}

// failed notes a failure; args belong to the log line if there is one.
func (o *outage) failed(what string, err error, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if o.since.IsZero() {
		o.since, o.all = now, 0
	}
	o.all++
	if now.Sub(o.told) < outageEvery {
		o.more++
		return
	}
	if o.more > 0 {
		args = append(args, "more_before", o.more)
	}
	o.log.Error("the database fails", append(args, "what", what, "err", err)...)
	o.told, o.more = now, 0
}

// worked notes that the database answered.
func (o *outage) worked() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		return
	}
	if !o.told.Before(o.since) {
		o.log.Info("the database answers again", "away_s", time.Since(o.since).Round(time.Millisecond).Seconds(), "failed", o.all)
		o.more = 0
	}
	o.since = time.Time{}
}
