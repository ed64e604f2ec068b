package lab

import (
	"context"
	"net/netip"
	"sync"

	"amtmedic/amt/provision"
	"amtmedic/amt/store"
)

// service is the provisioning service of the world: the hello server of the core on its database,
// behind a tap. It can be stopped and started.
type service struct {
	in    opener
	tap   *tap
	store *store.Store
	clock *clock

	mu   sync.Mutex
	at   netip.AddrPort // where it listens, or will
	stop context.CancelFunc
	done chan struct{}
}

// start opens the port and serves; a second start changes nothing.
func (s *service) start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		return nil
	}
	l, err := s.in.listenTCP(ctx, s.at)
	if err != nil {
		return err
	}
	core := provision.New(s.store, provision.Options{Now: s.clock.now})
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	s.stop, s.done = stop, done
	go func() {
		defer close(done)
		_ = core.Serve(run, listener{Listener: l, tap: s.tap, at: s.at}) // nil at every stop; a broken port shows in the facts
	}()
	return nil
}

// halt stops it and waits until what it received is kept.
func (s *service) halt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop == nil {
		return
	}
	s.stop()
	<-s.done
	s.stop = nil
}

// move changes the port that it listens on.
func (s *service) move(ctx context.Context, to netip.AddrPort) error {
	s.halt()
	s.mu.Lock()
	s.at = to
	s.mu.Unlock()
	return s.start(ctx)
}

// address gives where it listens, or will.
func (s *service) address() netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

// state gives what the service control manager and the socket table of the server would say.
func (s *service) state() (state string, listening []netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop == nil {
		return "stopped", nil
	}
	select {
	case <-s.done:
		return "stopped", nil
	default:
		return "running", []netip.AddrPort{s.at}
	}
}
