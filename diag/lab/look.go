package lab

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"amtmedic/amt"
	"amtmedic/capture"
	"amtmedic/diag"
	"amtmedic/diag/probe"
)

// How long a silent client is watched, in time of the world: after its power was cut the first SYN
// is due within a minute; without that only a watch longer than the longest gap proves anything
// (symptom-catalogue 5).
const (
	afterDrain = 75 * time.Second
	afterNone  = 65 * time.Minute
	lapseTime  = 1500 * time.Millisecond // real time in which an hour of silence passes
)

// sight is what a capture on one side shows since a moment.
type sight struct {
	client netip.Addr // packets of others are left out
	since  time.Time

	mu     sync.Mutex
	last   map[capture.Kind]capture.Event
	names  []capture.Event // questions for the provisioning name, the latest of each
	leases []capture.Event
}

func (s *sight) take(e capture.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Kind == capture.KindDHCP { // a lease counts until there is another
		s.leases = append(s.leases, e)
		return
	}
	if e.Time.Before(s.since) || (e.Src.Addr() != s.client && e.Dst.Addr() != s.client) {
		return
	}
	if e.Kind == capture.KindDNS {
		if strings.HasPrefix(strings.ToLower(e.DNS.QName), strings.ToLower(amt.ServerName)) {
			s.names = append(s.names, e)
		}
		return
	}
	s.last[e.Kind] = e
}

// settled reports whether the attempt that was seen has come to its end.
func (s *sight) settled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range []capture.Kind{capture.KindHello, capture.KindRefused, capture.KindUnreachable} {
		if _, ok := s.last[k]; ok {
			return true
		}
	}
	return false
}

// watch gives the probe that looks at the capture of one side.
func (w *World) watch(side diag.Vantage) probe.Probe {
	check, what := "chk-window", "watch the client's port"
	if side == diag.AtServer {
		check, what = "chk-server-capture", "watch the server's port"
	}
	pre := "wire." + string(side) + "."
	gives := []string{pre + "syn", pre + "synack", pre + "rst", pre + "fin", pre + "icmp", pre + "hello", pre + "watch"}
	if side == diag.AtClient {
		gives = append(gives, pre+"dns", pre+"dhcp")
	}
	return probe.Probe{ID: "wire-" + string(side), Check: check, What: what, Gives: gives, Cost: probe.Wait, Limit: 10 * time.Second,
		Run: func(ctx context.Context, r probe.Report) error { return w.look(ctx, side, r) }}
}

// look scans what the side has seen since the client got power, and waits while that is too little.
func (w *World) look(ctx context.Context, side diag.Vantage, r probe.Report) error {
	begin, after := w.pc.start()
	enough := begin.Add(afterDrain)
	if begin.IsZero() {
		begin, enough = w.begin, w.begin.Add(afterNone)
	}
	seen := &sight{client: w.at.client, since: begin, last: map[capture.Kind]capture.Event{}}
	source := w.source(side)
	scan, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- capture.Scan(scan, source, capture.Options{Ports: w.ports()}, seen.take) }()
	r.Until(enough, "a SYN of the client")
	w.hurry(after, enough)
	for w.clock.now().Before(enough) && ctx.Err() == nil && !seen.settled() {
		_ = w.clock.sleep(ctx, 3*time.Second) // the loop asks ctx
	}
	at := w.clock.now()
	stop()
	<-done // the scan ends what is still open
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, f := range seen.facts(side, at) {
		r.Fact(f)
	}
	r.Fact(diag.Fact{At: at, Key: "wire." + string(side) + ".watch", Vantage: side,
		Value: map[string]any{"seconds": at.Sub(begin).Round(time.Second).Seconds(), "after": after, "power": "s0"}})
	r.Saw(fmt.Sprintf("watched for %s after %s", at.Sub(begin).Round(time.Second), after))
	return nil
}

// hurry lets the time of the world pass faster while it is waited for.
func (w *World) hurry(after string, enough time.Time) {
	pace := float64(speed)
	if left := enough.Sub(w.clock.now()); after == "nothing" && left > afterDrain {
		pace = float64(left) / float64(lapseTime)
	}
	w.clock.hasten(enough, pace)
}

// source gives the capture of one side from the beginning of the world.
func (w *World) source(side diag.Vantage) capture.Source {
	if side == diag.AtServer {
		return w.serverEther.source()
	}
	return w.clientEther.source()
}

// ports are those that hellos go to in this world.
func (w *World) ports() []uint16 {
	ports := []uint16{amt.HelloPort}
	if p := w.service.address().Port(); p != amt.HelloPort {
		ports = append(ports, p)
	}
	return ports
}
