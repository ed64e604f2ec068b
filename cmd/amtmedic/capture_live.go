package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"amtmedic/amt"
	"amtmedic/capture"
)

// recordedFilter says in words what a recording holds.
const recordedFilter = "hellos, connections back, tunnels, presence, DNS, DHCP, ICMP, ARP, LLDP"

func runCaptureLive(e *env, args []string) (int, error) {
	fs := flags("capture live [-i IFACE] [-w FILE] [--port N] [--json] [--for DURATION] [--promisc] [--ring SIZE [--rotate DURATION]]")
	var ports portFlag
	ports.register(fs)
	iface := fs.String("i", "", "interface to watch; any, or none, is all of them (Linux)")
	var rec recording
	fs.StringVar(&rec.file, "w", "", "also write the packets to this new pcapng file; - writes them to standard output and no events")
	fs.Var(&rec.ring, "ring", "with -w: for days, files NAME-00001.pcapng and on of at most this `SIZE` together, such as 500MB; NAME-pinned.pcapng keeps the packets around every event")
	fs.DurationVar(&rec.every, "rotate", 0, "with --ring: begin a new file also after this time, such as 1h")
	asJSON := fs.Bool("json", false, "print one JSON object a line")
	promisc := fs.Bool("promisc", false, "also take packets for other stations: at a mirror port, with -i")
	span := fs.Duration("for", 0, "stop after this time, such as 90s (default: until interrupted)")
	rest, err := parse(fs, args)
	switch {
	case err != nil:
		return exitUsage, err
	case len(rest) > 0:
		return exitUsage, misuse(fs, "capture live takes no operand, %q was given", rest[0])
	case *span < 0:
		return exitUsage, misuse(fs, "--for takes a time above 0")
	case rec.check() != "":
		return exitUsage, misuse(fs, "%s", rec.check())
	}
	if *iface == "" {
		*iface = capture.AnyInterface
	}
	ctx := e.ctx
	if *span > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *span)
		defer cancel()
	}
	return watch(ctx, e, watching{iface: *iface, recording: rec, json: *asJSON, promisc: *promisc, ports: ports.ports})
}

// gatherLive is how long packets wait for company before a live capture tells of them.
const gatherLive = 100 * time.Millisecond

// watching is what capture live was asked for.
type watching struct {
	recording
	iface         string
	json, promisc bool
	ports         []uint16
}

// watch runs a live capture until ctx ends.
func watch(ctx context.Context, e *env, w watching) (int, error) {
	warn := func(text string) { fmt.Fprintf(e.stderr, "amtmedic: warning: %s: %s\n", plain(w.iface), plain(text)) }
	live, err := capture.OpenLive(w.iface, capture.LiveOptions{Ports: w.ports, Promisc: w.promisc, Gather: gatherLive, Warn: warn})
	switch {
	case errors.Is(err, capture.ErrNoInterface):
		return exitUsage, err
	case err != nil:
		return exitUndecided, err
	}
	defer live.Close()
	sink, lost, err := w.open(e, live, w.ports, warn)
	if err != nil {
		return exitFound, err
	}
	out := bufio.NewWriterSize(e.stdout, 64<<10) // handed on behind each burst
	emit := eventWriter(out, w.json, false)
	if w.file == "-" {
		emit = func(capture.Event) error { return nil }
	}
	fmt.Fprintf(e.stderr, "amtmedic: watching %s\n", watched(w.iface))
	code, err := finish(ctx, e, live, sink, w, emit, out.Flush)
	if sink != nil && lost() > 0 && err == nil {
		return exitFound, &amt.Error{Op: "record to", Subject: plain(w.file), Err: fmt.Errorf("%d packets could not be written", lost())}
	}
	return code, err
}

// watched names what is watched.
func watched(iface string) string {
	if iface == capture.AnyInterface {
		return "all interfaces"
	}
	return plain(iface)
}

// recordedInterfaces describes what a live capture can give to a recording.
func recordedInterfaces(l *capture.Live) []capture.RecordedInterface {
	list := l.Interfaces()
	for i := range list {
		list[i].Filter = recordedFilter
	}
	return list
}

// finish runs the scan and says how it ended: a stop, by a signal or the clock, is a regular end.
func finish(ctx context.Context, e *env, src capture.Source, sink capture.Sink, w watching,
	emit func(capture.Event) error, flush func() error) (int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var stats capture.Stats
	written := func(err error) {
		if err != nil {
			cancel(fmt.Errorf("write events: %w", err))
		}
	}
	told := func(v capture.Event) { written(emit(v)) }
	opt := capture.Options{Ports: w.ports, Stats: &stats, Pause: func() { written(flush()) }, Note: func(n capture.Note) {
		fmt.Fprintf(e.stderr, "amtmedic: note: %s\n", plain(n.Words()))
	}}
	var err error
	if sink == nil {
		err = capture.Scan(ctx, src, opt, told)
	} else {
		err = capture.ScanInto(ctx, src, sink, opt, told)
	}
	written(flush())
	fmt.Fprintf(e.stderr, "amtmedic: %d packets taken, %d lost\n", stats.Received, stats.Dropped)
	cause := context.Cause(ctx)
	switch {
	case ctx.Err() != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded):
		return exitFound, cause
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return exitOK, nil
	case err != nil:
		return exitFound, err
	}
	return exitOK, nil
}
