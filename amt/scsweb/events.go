package scsweb

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/sse"

	"amtmedic/amt/provision"
	"amtmedic/amt/store"
)

// event is what happened in the core.
type event struct {
	Kind   string    `json:"kind" doc:"hello, partial, foreign, refused, error, provisioned, maintained, delayed, lease-lost"`
	At     time.Time `json:"at"`
	From   string    `json:"from" doc:"address and port of the sender; empty when there is none"`
	UUID   string    `json:"uuid"`
	PID    string    `json:"pid"`
	Action string    `json:"action" doc:"of a hello: what became of its client"`
	Reason string    `json:"reason" doc:"why a client is delayed"`
}

// beat is a sign of life of a stream.
type beat struct {
	At time.Time `json:"at"`
}

// lost says that a listener was too slow.
type lost struct {
	Count int `json:"count" doc:"events that this stream does not have"`
}

func newEvent(e provision.Event) event {
	out := event{Kind: string(e.Kind), At: e.At.UTC(), PID: string(e.PID), Action: string(e.Outcome.Action), Reason: e.Outcome.Reason}
	if e.From.IsValid() {
		out.From = e.From.String()
	}
	if !e.UUID.IsZero() {
		out.UUID = e.UUID.String()
	}
	if e.Kind == provision.EventDelayed && e.Err != nil {
		out.Reason = e.Err.Error()
	}
	return out
}

// hub passes events to those who listen. It never waits for one of them.
type hub struct {
	most int

	mu     sync.Mutex
	all    map[*listener]struct{}
	closed bool
}

// listener is one stream. Its channel is closed when the server stops.
type listener struct {
	events chan event
	missed int // under hub.mu
}

// waitingEvents is how many events may wait for a slow listener.
const waitingEvents = 256

func newHub(most int) *hub { return &hub{most: most, all: map[*listener]struct{}{}} }

// enter adds a listener; nil when there are too many, or the server stops.
func (h *hub) enter() *listener {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.all) >= h.most {
		return nil
	}
	l := &listener{events: make(chan event, waitingEvents)}
	h.all[l] = struct{}{}
	return l
}

func (h *hub) leave(l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.all, l)
}

func (h *hub) publish(e event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.all {
		select {
		case l.events <- e:
		default:
			l.missed++
		}
	}
}

// takeMissed gives how many events a listener missed since it was last asked.
func (h *hub) takeMissed(l *listener) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := l.missed
	l.missed = 0
	return n
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.closed = true
	for l := range h.all {
		close(l.events)
		delete(h.all, l)
	}
}

func (s *Server) registerEvents(api huma.API) {
	op := s.operation("events", http.MethodGet, "/events", store.RoleRead, "what happens at this server from now on, as server-sent events")
	op.Description += " At most 64 listeners; a listener that is too slow is told how much it missed."
	sse.Register(api, op, map[string]any{"event": event{}, "beat": beat{}, "lost": lost{}}, func(ctx context.Context, _ *struct{}, send sse.Sender) {
		l := s.hub.enter()
		if l == nil {
			_ = send.Data(lost{Count: -1})
			return
		}
		defer s.hub.leave(l)
		s.stream(ctx, l, send)
	})
}

// stream sends until the listener goes away, its token ends, or the server stops.
func (s *Server) stream(ctx context.Context, l *listener, send sse.Sender) {
	tick := time.NewTicker(s.o.Limits.Beat)
	defer tick.Stop()
	if send.Data(beat{s.o.Now().UTC()}) != nil {
		return
	}
	for n := 1; ; n++ {
		var err error
		select {
		case <-ctx.Done():
			return
		case e, open := <-l.events:
			if !open {
				return
			}
			err = send(sse.Message{ID: n, Data: e})
		case <-tick.C:
			if !s.still(ctx, callerOf(ctx)) {
				return
			}
			err = send.Data(beat{s.o.Now().UTC()})
		}
		if missed := s.hub.takeMissed(l); err == nil && missed > 0 {
			err = send.Data(lost{missed})
		}
		if err != nil {
			return
		}
	}
}
