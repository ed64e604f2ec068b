package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/capture"
)

func runCapture(e *env, args []string) (int, error) {
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
	out := bufio.NewWriterSize(e.stdout, 64<<10)
	code := exitOK
	for _, name := range files {
		err := scanFile(e, name, ports.ports, eventWriter(out, *asJSON, len(files) > 1))
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

// scanSource gives the events of what open opens.
func scanSource(ctx context.Context, e *env, name string, open func(string, func(string)) (*capture.File, error),
	ports []uint16, emit func(capture.Event) error) error {
	warn := func(text string) { fmt.Fprintf(e.stderr, "amtmedic: warning: %s: %s\n", plain(name), plain(text)) }
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
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var failed error
	var stats capture.Stats
	err = capture.Scan(ctx, src, capture.Options{Ports: ports, File: name, Stats: &stats}, func(v capture.Event) {
		if failed == nil {
			if failed = emit(v); failed != nil {
				cancel()
			}
		}
	})
	if stats.Undecodable > 0 {
		warn(fmt.Sprintf("%d of %d packets could not be decoded", stats.Undecodable, stats.Received))
	}
	if failed != nil {
		return &amt.Error{Op: "write events", Err: failed}
	}
	return err
}

// eventWriter prints events, as JSON or as a line for people.
func eventWriter(w io.Writer, asJSON, withFile bool) func(capture.Event) error {
	if asJSON {
		return func(v capture.Event) error { return writeJSON(w, v) }
	}
	return func(v capture.Event) error {
		_, err := fmt.Fprintln(w, plain(eventLine(v, withFile)))
		return err
	}
}

// eventLine is an event in words.
func eventLine(v capture.Event, withFile bool) string {
	at := "no time                    "
	if !v.Time.IsZero() {
		at = v.Time.UTC().Format("2006-01-02T15:04:05.000000Z")
	}
	line := fmt.Sprintf("%s %-14s %s > %s", at, v.Kind, v.Src, v.Dst)
	if w := eventWords(v); w != "" {
		line += "  " + w
	}
	if len(v.VLAN) > 0 {
		line += fmt.Sprintf("  vlan %v", v.VLAN)
	}
	if withFile {
		line += fmt.Sprintf("  (%s packet %d)", v.File, v.Packet)
	} else {
		line += fmt.Sprintf("  (packet %d)", v.Packet)
	}
	return line
}

// eventWords is what an event says beyond its addresses.
func eventWords(v capture.Event) string {
	switch v.Kind {
	case capture.KindHello:
		m := v.Hello
		s := fmt.Sprintf("%s, version %d, retry %d, uuid %s", typeWords(*m), m.Version, m.RetryCount, m.UUID)
		if m.Foreign != "" {
			s = "no hello: " + m.Foreign
		} else if m.PID != "" {
			s += ", pid " + m.PID.Dashed()
		} else if len(m.Hashes) > 0 {
			s += fmt.Sprintf(", %d hashes", len(m.Hashes))
		}
		if !m.Sound() {
			s += ", problems: " + strings.Join(amt.Codes(m.Problems), " ")
		}
		return s + wayWords(v)
	case capture.KindPartial:
		s := fmt.Sprintf("%d bytes are there", v.Bytes)
		if v.Missing > 0 {
			s += fmt.Sprintf(", at least %d are missing", v.Missing)
		}
		return s + wayWords(v)
	case capture.KindSYNRetransmit:
		return fmt.Sprintf("repeat %d", v.Repeats)
	case capture.KindClosed:
		return fmt.Sprintf("by the %s with %s", v.By, strings.ToUpper(v.How))
	case capture.KindUnreachable:
		return fmt.Sprintf("%s says ICMP type %d code %d", v.By, v.ICMP.Type, v.ICMP.Code)
	case capture.KindBack:
		if v.Alert > 0 {
			return fmt.Sprintf("%s %d by the %s", v.Outcome, v.Alert, v.By)
		}
		return v.Outcome
	case capture.KindDNS:
		return strings.TrimSpace(fmt.Sprintf("%s %s: %s %s", v.DNS.QName, v.DNS.QType, v.DNS.RCode,
			strings.Join(append(v.DNS.CNAME, v.DNS.Addr...), " ")))
	case capture.KindDHCP:
		return fmt.Sprintf("%s %s address %q suffix %q dns %s", v.DHCP.Type, v.DHCP.MAC, v.DHCP.Addr, v.DHCP.Suffix, strings.Join(v.DHCP.DNS, " "))
	}
	return ""
}

func wayWords(v capture.Event) string {
	if len(v.Way) == 0 {
		return ""
	}
	return " (" + strings.Join(v.Way, ", ") + ")"
}
