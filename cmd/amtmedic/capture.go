package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/capture"
)

func runCapture(e *env, args []string) (int, error) {
	steadyMemory()
	return subcommand(e, "capture", []command{
		{"scan", "find every hello and every attempt in capture files", runCaptureScan},
		{"live", "watch an interface for hellos", runCaptureLive},
		{"dissector", "write a script that teaches Wireshark the hello", runCaptureDissector},
	}, args)
}

// portFlag is a list of TCP ports that hellos go to.
type portFlag struct{ ports []uint16 }

// String gives the ports with commas.
func (p *portFlag) String() string {
	var s []string
	for _, n := range p.ports {
		s = append(s, strconv.Itoa(int(n)))
	}
	return strings.Join(s, ",")
}

// Set adds one port, or several with commas.
func (p *portFlag) Set(v string) error {
	for f := range strings.SplitSeq(v, ",") {
		n, err := strconv.ParseUint(strings.TrimSpace(f), 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("%q is not a port from 1 to 65535", f)
		}
		p.ports = append(p.ports, uint16(n))
	}
	return nil
}

func (p *portFlag) register(fs *flag.FlagSet) {
	fs.Var(p, "port", fmt.Sprintf("TCP port that hellos go to; may be repeated (default %d)", amt.HelloPort))
}

func runCaptureScan(e *env, args []string) (int, error) {
	fs := flags("capture scan FILE... [--port N] [--json] [--follow] [--for DURATION]")
	var ports portFlag
	ports.register(fs)
	asJSON := fs.Bool("json", false, "print one JSON object a line")
	follow := fs.Bool("follow", false, "go on reading a file that another program still writes, until interrupted")
	span := fs.Duration("for", 0, "with --follow: stop after this time, such as 90s")
	files, err := parse(fs, args)
	switch {
	case err != nil:
		return exitUsage, err
	case len(files) == 0:
		return exitUsage, misuse(fs, "capture scan takes at least one file, or - for standard input")
	case *follow && len(files) > 1:
		return exitUsage, misuse(fs, "--follow takes one file, %d were given", len(files))
	case *span < 0 || *span > 0 && !*follow:
		return exitUsage, misuse(fs, "--for takes a time above 0 and goes with --follow")
	case *follow:
		return followFile(e, files[0], ports.ports, *asJSON, *span)
	}
	out := newSoonWriter(e.stdout)
	code := exitOK
	for _, group := range capture.Chains(files) {
		emit := eventWriter(out, *asJSON, len(files) > 1)
		name := group[0]
		var err error
		if len(group) == 1 {
			err = scanFile(e, name, ports.ports, emit)
		} else {
			err = scanRing(e, group, ports.ports, emit)
		}
		if ferr := out.Flush(); ferr != nil {
			return exitFound, &amt.Error{Op: "write events", Err: ferr}
		}
		if e.ctx.Err() != nil {
			return exitInterrupt, &amt.Error{Op: "scan", Subject: plain(name), Err: errors.New("interrupted")}
		}
		if err != nil {
			code = report(e, exitUsage, err)
		}
	}
	return code, nil
}

// followFile scans a file that grows. A stop, by a signal or the clock, is a regular end.
func followFile(e *env, name string, ports []uint16, asJSON bool, span time.Duration) (int, error) {
	ctx := e.ctx
	if span > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, span)
		defer cancel()
	}
	err := scanSource(ctx, e, name, capture.FollowFile, ports, eventWriter(e.stdout, asJSON, false))
	if err != nil && ctx.Err() == nil {
		return exitUsage, err
	}
	return exitOK, nil
}

// scanFile gives the events of one file to emit and tells on standard error what was odd.
func scanFile(e *env, name string, ports []uint16, emit func(capture.Event) error) error {
	return scanSource(e.ctx, e, name, capture.OpenFile, ports, emit)
}

// scanRing gives the events of files of one ring, read as one: attempts go on between them.
func scanRing(e *env, names []string, ports []uint16, emit func(capture.Event) error) error {
	warn := warnOf(e)
	src := capture.NewChain(names, warn)
	return scanTo(e.ctx, src, capture.Options{Ports: ports}, func(text string) { warn(names[0], text) }, func(v capture.Event) error {
		v.File, v.Packet = src.Place(v.Packet)
		return emit(v)
	})
}

func warnOf(e *env) func(name, text string) {
	return func(name, text string) {
		fmt.Fprintf(e.stderr, "amtmedic: warning: %s: %s\n", plain(name), plain(text))
	}
}

// scanSource gives the events of what open opens.
func scanSource(ctx context.Context, e *env, name string, open func(string, func(string)) (*capture.File, error),
	ports []uint16, emit func(capture.Event) error) error {
	warn := func(text string) { warnOf(e)(name, text) }
	if name == "-" {
		open = func(name string, warn func(string)) (*capture.File, error) {
			return capture.NewFile(e.stdin, name, warn), nil
		}
	}
	src, err := open(name, warn)
	if err != nil {
		return err
	}
	defer src.Close()
	return scanTo(ctx, src, capture.Options{Ports: ports, File: name}, warn, emit)
}

// scanTo gives the events of a source to emit, until that does not work.
func scanTo(ctx context.Context, src capture.Source, opt capture.Options, warn func(string), emit func(capture.Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var failed error
	var stats capture.Stats
	opt.Stats = &stats
	err := capture.Scan(ctx, src, opt, func(v capture.Event) {
		if failed == nil {
			if failed = emit(v); failed != nil {
				cancel()
			}
		}
	})
	if stats.Undecodable > 0 {
		warn(fmt.Sprintf("%d of %d packets could not be decoded", stats.Undecodable, stats.Received))
	}
	if stats.Evicted > 0 {
		warn(fmt.Sprintf("%d attempts were judged early because too many were open at once", stats.Evicted))
	}
	if failed != nil {
		return &amt.Error{Op: "write events", Err: failed}
	}
	return err
}
