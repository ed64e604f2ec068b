package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/capture"
	"amtmedic/diag"
)

// Wire says what is captured, and at which side it is seen.
type Wire struct {
	Side    diag.Vantage // AtClient or AtServer
	Name    string       // of the file or interface
	Clients []netip.Addr // addresses of the client, as far as known
	UUID    amt.UUID     // of the client; zero while unknown
	Ports   []uint16     // ports that hellos go to; amt.HelloPort when empty
	After   string       // what was done to the client at the beginning: drain, start-call; empty means nothing
	Power   string       // s0, s3 or s5; empty while unknown
	For     time.Duration
	// Record opens a file of the case for the packets of a live capture, or for those of the client in a
	// file, and gives the name by which facts refer to it; nil keeps no packets.
	Record func() (file io.WriteCloser, ref string, err error)
	// Open opens the source; warn is told what it says while it runs.
	Open func(warn func(string)) (capture.Source, error)
}

// What is still waited for after a live capture saw something.
const (
	afterSYN   = 20 * time.Second // its repeats and what answers
	afterHello = 8 * time.Second  // the connection back
)

// WireFile gives the probe that reads a capture file. The watch goes from its first to its last
// packet; side is the vantage from which it was captured, which only the person knows.
func WireFile(w Wire) Probe {
	p := w.probe(Read, "read "+w.Name)
	p.ID = "wire-file-" + string(w.Side)
	if p.Limit = time.Hour; w.Name == "" {
		p.Needs = "a capture file of the " + string(w.Side)
		return p
	}
	if w.Open == nil {
		w.Open = func(warn func(string)) (capture.Source, error) { return capture.OpenFile(w.Name, warn) }
	}
	p.Run = func(ctx context.Context, r Report) error { return w.run(ctx, r, time.Time{}) }
	return p
}

// WireLive gives the probe that listens on an interface of this machine, for the time For (0 means
// 75 s: longer than the first gap after a drain). It ends early once it saw what it came for. The
// rights are found out when it runs.
func WireLive(w Wire) Probe {
	if w.For <= 0 {
		w.For = 75 * time.Second
	}
	p := w.probe(Wait, fmt.Sprintf("listen on %s, tcp port %s", w.Name, w.portText()))
	p.ID = "wire-live-" + string(w.Side)
	if p.Limit = w.For + 5*time.Second; w.Name == "" {
		p.Needs = "a network interface of this machine"
		return p
	}
	if w.Open == nil {
		w.Open = func(warn func(string)) (capture.Source, error) {
			return capture.OpenLive(w.Name, capture.LiveOptions{Ports: w.Ports, Warn: warn})
		}
	}
	p.Run = func(ctx context.Context, r Report) error { return w.run(ctx, r, time.Now().Add(w.For)) }
	return p
}

// mostRecorded bounds the recording of one watch, but for packets of hellos.
const mostRecorded = 64 << 20

// recording begins the file of the case for what src gives; nil when no packets are kept.
func (w *Wire) recording(src capture.Source, warn func(string)) (capture.Sink, string) {
	if w.Record == nil {
		return nil, ""
	}
	file, ref, err := w.Record()
	if err == nil {
		var rec *capture.Recorder
		rec, err = capture.RecordTo(file, capture.RecordOptions{Limit: mostRecorded, Ports: w.Ports, KeepOn: true, Warn: warn}, w.interfaces(src)...)
		if err == nil {
			return rec, ref
		}
	}
	warn(fmt.Sprintf("the packets are not kept: %v", err))
	return nil, ""
}

// interfaces describes where the packets of src come from.
func (w *Wire) interfaces(src capture.Source) []capture.RecordedInterface {
	if l, ok := src.(interface {
		Interfaces() []capture.RecordedInterface
	}); ok {
		if list := l.Interfaces(); len(list) > 0 {
			for i := range list {
				list[i].Filter = "tcp port " + w.portText() + " and what explains it"
			}
			return list
		}
	}
	link := capture.LinkEthernet
	if l, ok := src.(interface{ Link() capture.LinkType }); ok {
		link = l.Link()
	}
	return []capture.RecordedInterface{{Name: w.Name, Link: link}}
}

func (w *Wire) probe(cost Cost, what string) Probe {
	if len(w.Ports) == 0 {
		w.Ports = []uint16{amt.HelloPort}
	}
	if w.After == "" {
		w.After = "nothing"
	}
	side := "wire." + string(w.Side) + "."
	p := Probe{Check: "chk-window", What: what, Cost: cost, Gives: []string{"wire.back", "wire.back_dst", "wire.mps", "client.prov_state"}}
	for _, k := range []string{"syn", "synack", "rst", "fin", "icmp", "hello", "watch", "back"} {
		p.Gives = append(p.Gives, side+k)
	}
	if w.Side == diag.AtServer {
		p.Check = "chk-server-capture"
	} else {
		p.Gives = append(p.Gives, side+"dns", side+"dhcp")
	}
	return p
}

func (w *Wire) portText() string {
	var s []string
	for _, p := range w.Ports {
		s = append(s, fmt.Sprint(p))
	}
	return strings.Join(s, ", ")
}

// run scans the source; until is zero for a file.
func (w *Wire) run(ctx context.Context, r Report, until time.Time) error {
	src, err := w.Open(r.Saw)
	if err != nil {
		return err
	}
	if c, ok := src.(interface{ Close() error }); ok {
		defer func() { _ = c.Close() }()
	}
	file := w.Name
	hold := &holding{Report: r}
	if until.IsZero() && w.Record != nil {
		r = hold
	}
	var keep capture.Sink
	if !until.IsZero() { // facts refer to what is kept
		keep, file = w.recording(src, r.Saw)
	}
	spy := &watched{Source: src}
	g := &gatherer{w: w, r: r, file: file, clients: slices.Clone(w.Clients), seen: map[string]bool{}, count: map[string]int{}, latest: map[string]diag.Fact{}, others: map[netip.Addr]bool{}, vendors: map[string]string{}, mine: map[int][]capture.Event{}}
	scan, cancel := context.WithCancel(ctx)
	defer cancel()
	if !until.IsZero() {
		r.Until(until, "a SYN to port "+w.portText())
		t := time.AfterFunc(time.Until(until), cancel)
		defer t.Stop()
		g.enough = func(wait time.Duration) {
			if end := time.Now().Add(wait); end.Before(until) {
				t.Reset(wait)
				r.Until(end, "what follows it")
				until = end
			}
		}
	}
	stats := capture.Stats{}
	opt := capture.Options{Ports: w.Ports, File: file, Stats: &stats, Note: g.note}
	if keep != nil {
		err = capture.ScanInto(scan, spy, keep, opt, g.event)
	} else {
		err = capture.Scan(scan, spy, opt, g.event)
	}
	if ctx.Err() != nil {
		hold.release(func(string) string { return "" })
		return ctx.Err()
	}
	if errors.Is(err, context.Canceled) {
		err = nil // the watch is over
	}
	first, last := spy.span(!until.IsZero())
	g.end(first, last, stats, err)
	if len(hold.facts) > 0 {
		hold.release(w.keepFile(ctx, g, spy.number))
	}
	return err
}

// Interfaces gives those of the source below, of which new ones can appear.
func (s *watched) Interfaces() []capture.RecordedInterface {
	if l, ok := s.Source.(interface {
		Interfaces() []capture.RecordedInterface
	}); ok {
		return l.Interfaces()
	}
	return nil
}

// watched notes the times of the first and last packet that pass.
type watched struct {
	capture.Source
	first, last time.Time
	started     time.Time
	number      int // of the last packet
}

// Run passes packets on. Heartbeats move the end, never the beginning.
func (s *watched) Run(ctx context.Context, fn func(*capture.Packet) error) error {
	s.started = time.Now()
	return s.Source.Run(ctx, func(p *capture.Packet) error {
		s.number = max(s.number, p.Number)
		if !p.Time.IsZero() {
			if s.first.IsZero() || p.Time.Before(s.first) {
				s.first = p.Time
			}
			if p.Time.After(s.last) {
				s.last = p.Time
			}
		}
		return fn(p)
	})
}

// span gives what was watched. A live capture is watched from its start, also when nothing came.
func (s *watched) span(live bool) (first, last time.Time) {
	if !live {
		return s.first, s.last
	}
	now := time.Now()
	if s.last.After(now) {
		now = s.last
	}
	return s.started, now
}
