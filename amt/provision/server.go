// Package provision is the provisioning core. Server receives hellos, keeps them in a store and
// queues their clients; Worker takes them from the queue, finds their names and profiles, and has them
// configured. New and NewWorker are the entry points; every listener is given from outside.
package provision

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// Limits bound what strangers can take of the server. Zero fields get their defaults.
type Limits struct {
	Open          int           // connections open at once, of all sources; default 4,096
	OpenPerSource int           // of one source address; default 256
	Rate          float64       // connections a second of one source address, over time; default 2,000
	Burst         float64       // connections of one source address that may come at once; default twice the rate
	Idle          time.Duration // silence that ends a connection; default 10 s
	Total         time.Duration // life of a connection until its hello is complete; default 60 s
	Quiet         time.Duration // silence that ends a hello of unknown version, which has no length; default 2 s
}

func (l Limits) withDefaults() Limits {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	span := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	def(&l.Open, 4096)
	def(&l.OpenPerSource, 256)
	if l.Rate == 0 {
		l.Rate = 2000
	}
	if l.Burst == 0 {
		l.Burst = 2 * l.Rate
	}
	span(&l.Idle, 10*time.Second)
	span(&l.Total, time.Minute)
	span(&l.Quiet, 2*time.Second)
	return l
}

// Kind says what an Event is about.
type Kind string

// The kinds of events.
const (
	EventHello   Kind = "hello"   // a hello is durable; its connection is about to be closed
	EventPartial Kind = "partial" // a hello was cut off or its sender fell silent
	EventForeign Kind = "foreign" // bytes that are no hello
	EventRefused Kind = "refused" // a connection above the limits was reset
	EventError   Kind = "error"   // the store could not keep a hello; its sender was reset and will repeat

	EventProvisioned Kind = "provisioned" // a client is configured, and a log-in with its new password was seen
	EventMaintained  Kind = "maintained"  // maintenance of a provisioned client is done
	EventDelayed     Kind = "delayed"     // a configuration did not succeed; Err tells why
	EventLeaseLost   Kind = "lease-lost"  // another worker had the client by the time that its configuration ended
)

// Event is something that happened at the server. Fields that do not apply are zero.
type Event struct {
	Kind    Kind
	At      time.Time
	From    netip.AddrPort
	UUID    amt.UUID
	PID     amt.PID
	Outcome store.Outcome // of a hello
	Err     error         // of an error
	Took    time.Duration // of a configuration
	Hello   int           // of a configuration: version of the hello, 2 psk, 3 pki
}

// Options change how a server works. The zero value is good.
type Options struct {
	Limits  Limits
	Now     func() time.Time // nil is time.Now; deadlines of connections always use the real clock
	Log     *slog.Logger     // nil is silence
	OnEvent func(Event)      // called from several goroutines; must return quickly
}

// Server receives hellos.
type Server struct {
	store *store.Store
	o     Options
	table *table
	away  outage

	patience patience
}

// New makes a server that keeps hellos in st. It starts nothing.
func New(st *store.Store, o Options) *Server {
	o.Limits = o.Limits.withDefaults()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.OnEvent == nil {
		o.OnEvent = func(Event) {}
	}
	return &Server{store: st, o: o, table: newTable(o.Limits), away: outage{log: o.Log}}
}

// stopTime is how long hellos that are being committed may take after the context ended.
const stopTime = 8 * time.Second

// Serve accepts hellos from ln until ctx ends, and closes ln. It returns nil after an orderly stop,
// which takes at most ten seconds: what was received completely is kept, what was not is reset.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() {
		_ = ln.Close()
		s.table.hurry() // whoever still waits for bytes stops waiting
	})
	defer stop()
	defer s.patience.end()
	var wg sync.WaitGroup
	tidyCtx, endTidy := context.WithCancel(ctx)
	defer endTidy()
	wg.Go(func() { s.tidy(tidyCtx) })
	s.table.lingers = lingerOf(ln)
	h := newHandlers(&wg, func(c *conn) {
		defer s.table.release(c)
		s.handle(c)
	})
	err := s.accept(ctx, ln, h)
	h.end()
	_ = ln.Close()
	endTidy()
	s.table.hurry()
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(stopTime):
		s.table.closeAll()
		<-done
	}
	return err
}

func (s *Server) accept(ctx context.Context, ln net.Listener, h *handlers) error {
	var pause time.Duration
	var refused refusals
	for {
		nc, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				reset(nc)
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // out of file descriptors, or a client that gave up while it waited
			s.table.shed()
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.o.Log.Warn("a connection was not accepted", "err", err, "pause_ms", pause.Milliseconds())
			if !sleep(ctx, pause) {
				return nil
			}
			continue
		}
		pause = 0
		c, ok := s.table.admit(nc, s.o.Now())
		if !ok {
			reset(nc)
			s.emit(Event{Kind: EventRefused, From: peer(nc)})
			refused.note(s, peer(nc))
			continue
		}
		if ctx.Err() != nil {
			c.hurry()
		}
		h.give(c)
	}
}

// How long and how many log rows are kept, so that the log cannot fill the disk.
const (
	logAge   = 90 * 24 * time.Hour
	logRows  = 1_000_000
	tidyTime = time.Hour // between two rounds
)

// tidy trims the log and the audit at the start and then every hour.
func (s *Server) tidy(ctx context.Context) {
	for {
		n, err := s.store.TrimLog(ctx, s.o.Now().Add(-logAge), logRows)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.o.Log.Error("the log was not trimmed", "err", err)
		case n > 0:
			s.o.Log.Info("old log rows were removed", "count", n)
		}
		s.tidyAudit(ctx)
		if !sleep(ctx, tidyTime) {
			return
		}
	}
}

// refusals keeps the log from growing with every connection that is refused.
type refusals struct {
	count int
	at    time.Time
}

func (r *refusals) note(s *Server, from netip.AddrPort) {
	r.count++
	if now := s.o.Now(); now.Sub(r.at) >= noteEvery {
		s.o.Log.Warn("connections above the limits of their source were reset", "count", r.count, "last_from", from.String())
		r.count, r.at = 0, now
	}
}

func (s *Server) emit(e Event) {
	e.At = s.o.Now()
	s.o.OnEvent(e)
}

// sleep waits and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// peer gives the address that a connection came from.
func peer(c net.Conn) netip.AddrPort {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		p := a.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}
