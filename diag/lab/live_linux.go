package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"amtmedic/capture"
	"amtmedic/diag"
)

// settle finds the network that the world lives in: a network of its own where a packet filter is
// wanted, else addresses of this machine.
func (w *World) settle(ctx, run context.Context) error {
	if !w.plan.blocked && !w.plan.guarded {
		return w.settleHere(ctx)
	}
	n, err := newNets(ctx, w.plan.blocked, w.plan.guarded)
	if err != nil {
		return err
	}
	w.at, w.net = n.at, n
	w.capture = func() error {
		for _, c := range []struct {
			side diag.Vantage
			in   *namespace
			port string
		}{{diag.AtClient, n.client, clientPort}, {diag.AtServer, n.server, serverPort}} {
			if err := w.captureLive(run, c.in, c.port, w.ether(c.side)); err != nil {
				return err
			}
		}
		return nil
	}
	return nil
}

// captureLive puts a real capture on a port into an ether, in the time of the world.
func (w *World) captureLive(run context.Context, in *namespace, port string, e *ether) error {
	ready := make(chan error, 1)
	w.running.Go(func() {
		err := in.do(func() error {
			l, err := capture.OpenLive(port, capture.LiveOptions{})
			ready <- err
			if err != nil {
				return err
			}
			defer func() { _ = l.Close() }()
			return l.Run(run, func(p *capture.Packet) error {
				if p.Number > 0 {
					e.add(w.clock.of(p.Time), append([]byte{}, p.Data...))
				}
				return nil
			})
		})
		if err != nil && run.Err() == nil {
			e.fail(fmt.Errorf("capture on %s: %w", port, err))
		}
	})
	return <-ready
}

// of gives the time of the world at a real moment of a little while ago.
func (c *clock) of(t time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at(t)
}

// fail notes that from now on packets are missing.
func (e *ether) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lost = errors.Join(e.lost, err)
}
