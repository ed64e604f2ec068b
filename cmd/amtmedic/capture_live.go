package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"amtmedic/amt"
	"amtmedic/capture"
)

// recordedFilter says in words what a recording holds.
const recordedFilter = "hellos, connections back, DNS, DHCP, ICMP"

func runCaptureLive(e *env, args []string) (int, error) {
	fs := flags("capture live [-i IFACE] [-w FILE] [--port N] [--json] [--for DURATION] [--promisc]")
	var ports portFlag
	ports.register(fs)
	iface := fs.String("i", "", "interface to watch; any, or none, is all of them (Linux)")
	file := fs.String("w", "", "also write the packets to this pcapng file; - writes them to standard output and no events")
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
	return watch(ctx, e, watching{iface: *iface, file: *file, json: *asJSON, promisc: *promisc, ports: ports.ports})
}

// watching is what capture live was asked for.
type watching struct {
	iface, file   string
	json, promisc bool
	ports         []uint16
}

// watch runs a live capture until ctx ends.
func watch(ctx context.Context, e *env, w watching) (int, error) {
	warn := func(text string) { fmt.Fprintf(e.stderr, "amtmedic: warning: %s: %s\n", plain(w.iface), plain(text)) }
	live, err := capture.OpenLive(w.iface, capture.LiveOptions{Ports: w.ports, Promisc: w.promisc, Warn: warn})
	switch {
	case errors.Is(err, capture.ErrNoInterface):
		return exitUsage, err
	case err != nil:
		return exitUndecided, err
	}
	defer live.Close()
	var src capture.Source = live
	var rec *capture.Recorder
	emit := eventWriter(e.stdout, w.json, false)
	if w.file != "" {
		out, done, err := recordTo(e, w.file)
		if err != nil {
			return exitFound, err
		}
		defer done()
		if rec, err = capture.NewRecorder(out, recordedInterfaces(live)...); err != nil {
			return exitFound, &amt.Error{Op: "record to", Subject: plain(w.file), Err: err}
		}
		src = capture.Record(live, rec)
		if w.file == "-" {
			emit = func(capture.Event) error { return nil }
		}
	}
	fmt.Fprintf(e.stderr, "amtmedic: watching %s\n", watched(w.iface))
	return finish(ctx, e, src, w, func(v capture.Event) error {
		if rec != nil {
			if err := rec.Flush(); err != nil {
				return err
			}
		}
		return emit(v)
	})
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
func finish(ctx context.Context, e *env, src capture.Source, w watching, emit func(capture.Event) error) (int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var stats capture.Stats
	err := capture.Scan(ctx, src, capture.Options{Ports: w.ports, Stats: &stats}, func(v capture.Event) {
		if err := emit(v); err != nil {
			cancel(fmt.Errorf("write events: %w", err))
		}
	})
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

// recordTo opens the file for the packets; they may hold what is nobody else's business, so it is
// for the owner only.
func recordTo(e *env, name string) (io.Writer, func(), error) {
	if name == "-" {
		return e.stdout, func() {}, nil
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, nil, &amt.Error{Op: "record packets", Err: err, Hint: "name a file in a folder that you may write to"}
	}
	return f, func() {
		if err := f.Close(); err != nil {
			fmt.Fprintf(e.stderr, "amtmedic: warning: %s: %v\n", plain(name), err)
		}
	}, nil
}
