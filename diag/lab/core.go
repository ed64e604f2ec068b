package lab

import (
	"context"
	"net"
	"net/netip"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/ca"
	"amtmedic/amt/provision"
	"amtmedic/diag"
	"amtmedic/diag/probe"
)

// How the core of a practice world works.
const (
	corePoll   = 50 * time.Millisecond
	coreSettle = 5 * time.Second // for a PC that restarts its network side
	coreLease  = 1000 * time.Hour
	coreLimit  = 8 * time.Second // real time that a headless world may follow it
	firstEnd   = 3 * time.Second // real time in which the first session of a client ends in any world
)

// worker is the queue worker of the practice core while it runs.
type worker struct {
	stop context.CancelFunc
	done chan struct{} // closed when it has stopped
}

// Provision lets the queue worker of the core go on, which a practice world holds back until its road
// is open: the worker takes the client from the queue, opens a session with the PC's firmware, and
// configures it. Everything of it is real but the firmware.
func (w *World) Provision(ctx context.Context, _ *diag.View, report func(probe.Progress)) (probe.Progress, error) {
	w.letSessionEnd(ctx)
	if err := w.startCore(false); err != nil {
		return probe.Progress{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, coreLimit)
	defer cancel()
	if s := w.pc.State(); s.Provisioning != "post" {
		w.clock.hasten(w.clock.now().Add(coreLimit*speed), speed) // its next hello may still have to come
		defer w.clock.relax()
	}
	at := w.service.address()
	return probe.Core{Store: w.store, Title: "core on :" + portOf(at), UUID: w.plan.id.uuid, Now: w.clock.now, Every: corePoll}.Watch(ctx, func(p probe.Progress) {
		if p.Done() > 0 { // its hello is there: the session is shown at its own pace
			w.clock.relax()
		}
		report(p)
	})
}

func portOf(a netip.AddrPort) string {
	_, port, _ := net.SplitHostPort(a.String())
	return port
}

// openFirmware opens the PC's ports, once.
func (w *World) openFirmware() error {
	w.core.Lock()
	defer w.core.Unlock()
	if w.firmware != nil {
		return nil
	}
	f, err := newFirmware(w.run, w.pc, w.plan.id.pair.PPS, w.trusted, w.firmwareAddress())
	if err != nil {
		return &amt.Error{Op: "open the ports of the practice PC", Err: err}
	}
	w.firmware = f
	w.running.Go(func() { <-f.ended })
	return nil
}

// startCore starts the queue worker unless it runs. One that is to try first stops by itself when a
// session did not come to a good end: what it met stands in the tables until somebody has read it.
func (w *World) startCore(tryFirst bool) error {
	if err := w.openFirmware(); err != nil {
		return err
	}
	w.core.Lock()
	defer w.core.Unlock()
	if w.worker != nil {
		select {
		case <-w.worker.done:
		default:
			return nil
		}
	}
	run, stop := context.WithCancel(w.run)
	k := &worker{stop: stop, done: make(chan struct{})}
	o := provision.WorkerOptions{Name: "practice", Sessions: 1, Lease: coreLease, Poll: corePoll, Now: w.clock.now, Sources: w.sources(),
		Configurer: &provision.Firmware{Dial: w.dial, Settle: coreSettle, Certificate: w.present}}
	if w.now(func(p *plan) bool { return p.authority }) {
		o.Configurer.(*provision.Firmware).CA = ca.New(w.store, ca.Options{})
	}
	if tryFirst {
		o.OnEvent = func(e provision.Event) {
			if e.Kind == provision.EventDelayed {
				stop()
			}
		}
	}
	w.worker = k
	real := provision.NewWorker(w.store, o)
	w.running.Go(func() {
		defer close(k.done)
		defer stop()
		_ = real.Run(run) // nil at every stop
	})
	return nil
}

// sources says where the practice core takes names from, in this order.
func (w *World) sources() []provision.PropertySource {
	out := []provision.PropertySource{provision.FromMap(w.store), provision.FromDNS(w.resolver())}
	if path := w.script(); path != "" {
		out = append([]provision.PropertySource{provision.FromScript(path, 0)}, out...)
	}
	return out
}

// change changes the plan, by a repair; now reads what one may change.
func (w *World) change(do func(*plan)) {
	w.changes.Lock()
	defer w.changes.Unlock()
	do(w.plan)
}

func (w *World) now(is func(*plan) bool) bool {
	w.changes.RLock()
	defer w.changes.RUnlock()
	return is(w.plan)
}

// letSessionEnd waits, in a world whose core works from the start, until the session with a client whose
// hello is there has ended.
func (w *World) letSessionEnd(ctx context.Context) {
	w.core.Lock()
	k := w.worker
	w.core.Unlock()
	if k == nil || w.pc.State().Acknowledged == 0 {
		return
	}
	t := time.NewTimer(firstEnd)
	defer t.Stop()
	select {
	case <-k.done:
	case <-t.C:
	case <-ctx.Done():
	}
}

// firmwareAddress is where the PC's ports stand: its own address where this machine has it.
func (w *World) firmwareAddress() netip.Addr {
	if n, ok := w.net.(*loopback); ok && !n.single {
		return w.at.client
	}
	return localhost
}

// resolver asks the name server of the server's side.
func (w *World) resolver() *net.Resolver {
	to := w.net.real(netip.AddrPortFrom(w.at.serverDNS, dnsPort)).String()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, to)
	}}
}
