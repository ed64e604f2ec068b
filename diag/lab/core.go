package lab

import (
	"context"
	"net"
	"net/netip"
	"time"

	"amtmedic/amt"
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
)

// Provision lets the queue worker of the core go on, which a practice world holds back until its road
// is open: the worker takes the client from the queue, opens a session with the PC's firmware, and
// configures it. Everything of it is real but the firmware.
func (w *World) Provision(ctx context.Context, _ *diag.View, report func(probe.Progress)) (probe.Progress, error) {
	if err := w.startCore(); err != nil {
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

// startCore opens the firmware's ports and starts the worker, once.
func (w *World) startCore() error {
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
	worker := provision.NewWorker(w.store, provision.WorkerOptions{Name: "practice", Sessions: 1, Lease: coreLease, Poll: corePoll,
		Configurer: &provision.Firmware{Dial: w.dial, Settle: coreSettle, Certificate: w.present}, Now: w.clock.now,
		Sources: []provision.PropertySource{provision.FromMap(w.store), provision.FromDNS(w.resolver())}})
	w.running.Go(func() { _ = worker.Run(w.run) }) // nil at every stop
	return nil
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
