package main

import (
	"context"
	"os"
	"runtime"
	"time"

	"github.com/kardianos/service"
)

// underManager is serve as the manager of services of Windows runs it.
type underManager struct {
	start func(ctx context.Context)
	stop  context.CancelFunc
	over  chan struct{}
}

// Start begins; the manager wants an answer soon.
func (m *underManager) Start(service.Service) error {
	if m.start == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.stop, m.over = cancel, make(chan struct{})
	go func() {
		defer close(m.over)
		m.start(ctx)
	}()
	return nil
}

// Stop ends in order.
func (m *underManager) Stop(service.Service) error {
	if m.stop == nil {
		return nil
	}
	m.stop()
	select {
	case <-m.over:
	case <-time.After(15 * time.Second):
	}
	return nil
}

// managed runs serve under the manager of services where Windows started it so; else it runs it as it is.
func managed(e *env, run func(*env) (int, error)) (code int, err error) {
	if runtime.GOOS != "windows" || service.Interactive() {
		return run(e)
	}
	m := &underManager{}
	s, err := service.New(m, &service.Config{Name: serviceName})
	if err != nil {
		return exitFound, err
	}
	m.start = func(ctx context.Context) {
		own := *e
		own.ctx = ctx
		code, err = run(&own)
		if ctx.Err() == nil {
			os.Exit(report(&own, code, err)) // it ended by itself: the manager sees that, and may start it again
		}
	}
	if runErr := s.Run(); runErr != nil {
		return exitFound, runErr
	}
	return code, err
}
