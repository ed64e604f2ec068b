package lab

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"amtmedic/amt"
	"amtmedic/capture"
	"amtmedic/diag"
	"amtmedic/diag/probe"
)

// How long a silent client is watched, in time of the world: after its hellos were started the
// first SYN is due within a minute; without that only a watch longer than the longest gap proves
// anything (symptom-catalogue 5).
const (
	afterStart = 75 * time.Second
	afterNone  = 65 * time.Minute
	lapseTime  = 1500 * time.Millisecond // real time in which an hour of silence passes
)

// watch gives the probe that looks at the capture of one side: it waits while what is there is too
// little, and then reads it as package probe reads any capture.
func (w *World) watch(side diag.Vantage, v *diag.View) probe.Probe {
	wire := probe.Wire{Side: side, Name: captureName(side), Clients: []netip.Addr{w.at.client}, Ports: w.ports(), Power: "s0"}
	if u, err := amt.ParseUUID(v.UUID()); err == nil {
		wire.UUID = u
	}
	p := probe.WireFile(wire)
	p.ID, p.What, p.Cost, p.Limit = "wire-"+string(side), "watch the port of the "+string(side), probe.Wait, 10*time.Second
	p.Run = func(ctx context.Context, r probe.Report) error {
		begin, after, err := w.await(ctx, side, r)
		if err != nil {
			return err
		}
		at := w.clock.now()
		wire.After = after
		wire.Open = func(func(string)) (capture.Source, error) { return w.ether(side).excerpt(begin, at), nil }
		return probe.WireFile(wire).Run(ctx, r)
	}
	return p
}

// captureName names the capture of a side in the folder of the case.
func captureName(side diag.Vantage) string { return string(side) + ".pcapng" }

// ether gives what the tap of one side saw.
func (w *World) ether(side diag.Vantage) *ether {
	if side == diag.AtServer {
		return w.serverEther
	}
	return w.clientEther
}

// await waits until the capture of a side shows how an attempt of the client ended, or is long
// enough to prove that there is none. It gives the moment and the cause from which on it counts.
func (w *World) await(ctx context.Context, side diag.Vantage, r probe.Report) (begin time.Time, after string, err error) {
	begin, after = w.pc.start()
	if begin.IsZero() {
		begin = w.begin
	}
	enough, pace := begin.Add(afterStart), float64(speed)
	if after == "nothing" {
		enough = begin.Add(afterNone)
		if left := enough.Sub(w.clock.now()); left > afterStart {
			pace = float64(left) / float64(lapseTime)
		}
	}
	r.Until(enough, "a SYN of the client")
	if w.clock.now().Before(enough) {
		w.clock.hasten(enough, pace)
	}
	var settled atomic.Bool
	scan, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = capture.Scan(scan, w.ether(side).source(begin), capture.Options{Ports: w.ports()}, func(e capture.Event) {
			if w.ends(e) {
				settled.Store(true)
				stop()
			}
		})
	}()
	err = w.clock.SleepUntil(scan, enough)
	w.clock.relax()
	stop()
	<-done
	w.pc.letEnd(ctx)
	w.letSessionEnd(ctx)
	if settled.Load() || ctx.Err() == nil {
		err = ctx.Err()
	}
	return begin, after, err
}

// ends reports whether an event is the end of an attempt of the client.
func (w *World) ends(e capture.Event) bool {
	switch e.Kind {
	case capture.KindHello, capture.KindUnreachable:
		return e.Src.Addr() == w.at.client
	case capture.KindRefused:
		return e.Dst.Addr() == w.at.client
	}
	return false
}

// ports are those that hellos go to in this world.
func (w *World) ports() []uint16 {
	ports := []uint16{amt.HelloPort}
	if p := w.service.address().Port(); p != amt.HelloPort {
		ports = append(ports, p)
	}
	return ports
}
