package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/mei"
)

// meiHash is a line of mei hashes.
type meiHash struct {
	Handle    uint32 `json:"handle"`
	Name      string `json:"name"`
	Algorithm string `json:"algorithm"`
	Digest    string `json:"digest"`
	Active    bool   `json:"active"`
	Default   bool   `json:"default"`
}

func meiHashesRun(e *env, w meiWorld, args []string) (int, error) {
	fs := flags("mei hashes [--json]")
	asJSON := fs.Bool("json", false, "print one JSON object a line")
	if words, err := parse(fs, args); err != nil || len(words) > 0 {
		return exitUsage, orMisuse(err, misuse(fs, "mei hashes takes no operand"))
	}
	var list []mei.Hash
	err := w.host(e, func(ctx context.Context, h mei.Host) (err error) {
		list, err = h.Hashes(ctx)
		return err
	})
	if werr := printHashes(e.stdout, list, *asJSON, err != nil); werr != nil {
		return exitFound, werr
	}
	if err != nil {
		return w.failed(e, err)
	}
	return exitOK, nil
}

func printHashes(out io.Writer, list []mei.Hash, asJSON, cut bool) error {
	tw := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	if !asJSON && (!cut || len(list) > 0) {
		fmt.Fprintln(tw, "ACTIVE\tDEFAULT\tALGORITHM\tDIGEST\tNAME")
	}
	for _, h := range list {
		if asJSON {
			if err := writeJSON(out, meiHash{h.Handle, plain(h.Name), h.Algorithm, h.Digest, h.Active, h.Default}); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", yesNo(h.Active), yesNo(h.Default), h.Algorithm, h.Digest, plain(h.Name))
	}
	return tw.Flush()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// host connects to AMT's host interface for do.
func (w meiWorld) host(e *env, do func(context.Context, mei.Host) error) error {
	ctx, cancel := context.WithTimeout(e.ctx, mei.LookLimit)
	defer cancel()
	h, err := mei.DialHost(ctx, w.dial)
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }()
	return do(ctx, h)
}

// meiEvent is a line of mei events: one thing that the firmware remembers.
type meiEvent struct {
	Time  string `json:"time"` // empty when the firmware does not tell it
	Event string `json:"event"`
	Text  string `json:"text"`
}

func meiEventsRun(e *env, w meiWorld, args []string) (int, error) {
	fs := flags("mei events [--json]")
	asJSON := fs.Bool("json", false, "print one JSON object a line")
	if words, err := parse(fs, args); err != nil || len(words) > 0 {
		return exitUsage, orMisuse(err, misuse(fs, "mei events takes no operand; the event log itself is read by local log"))
	}
	var list []meiEvent
	var silent []string
	err := w.host(e, func(ctx context.Context, h mei.Host) (err error) {
		list, silent, err = eventsOf(ctx, h)
		return err
	})
	for _, v := range list {
		if *asJSON {
			if werr := writeJSON(e.stdout, v); werr != nil {
				return exitFound, werr
			}
			continue
		}
		fmt.Fprintf(e.stdout, "%-20s  %-12s  %s\n", orDash(v.Time), v.Event, v.Text)
	}
	for _, s := range silent {
		fmt.Fprintf(e.stderr, "amtmedic: %s\n", plain(s))
	}
	if err != nil {
		return w.failed(e, err)
	}
	if len(list) == 0 {
		return exitUndecided, &amt.Error{Op: "read events", Err: errors.New("the firmware answers none of the questions"), Hint: "amtmedic local log reads the event log of AMT that is set up"}
	}
	return exitOK, nil
}

// eventsOf asks what the firmware remembers; a question without an answer is told, not taken for "nothing".
func eventsOf(ctx context.Context, h mei.Host) (list []meiEvent, silent []string, err error) {
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	a, err := h.Audit(ctx)
	if err == nil {
		when := a.At
		if !a.TimeValid {
			when = time.Time{}
		}
		list = append(list, meiEvent{at(when), "setup", auditWords(a)})
	} else if silent = append(silent, "setup record: "+err.Error()); ctx.Err() != nil || mei.Lost(err) {
		return list, silent, err
	}
	r, err := h.Reset(ctx)
	if err == nil {
		list = append(list, meiEvent{at(r.At), "host-reset", map[bool]string{true: "the last reset of the computer came over AMT", false: "the last reset of the computer did not come over AMT"}[r.Remote]})
	} else if silent = append(silent, "last reset: "+err.Error()); ctx.Err() != nil || mei.Lost(err) {
		return list, silent, err
	}
	m, err := h.ME(ctx)
	if err == nil {
		list = append(list, meiEvent{"", "me-reset", "last reset of the Management Engine: " + m.LastReset})
	} else if silent = append(silent, "last reset of the Management Engine: "+err.Error()); ctx.Err() != nil || mei.Lost(err) {
		return list, silent, err
	}
	t, err := h.Tunnel(ctx)
	if err == nil {
		list = append(list, meiEvent{"", "tunnel", strings.TrimSpace(fmt.Sprintf("%s, network %s %s", t.State, t.Network, plain(t.Server)))})
	} else if silent = append(silent, "tunnel: "+err.Error()); ctx.Err() != nil || mei.Lost(err) {
		return list, silent, err
	}
	return list, silent, nil
}

func auditWords(a mei.SetupAudit) string {
	s := "set up with TLS " + a.TLSMode
	if server := strings.Trim(plain(a.FQDN+" "+a.Address), " "); server != "" {
		s += " by " + server
	}
	if a.HostInitiated {
		s += ", begun from the operating system"
	}
	if a.Digest != "" {
		s += ", root " + a.Digest
	}
	return s
}
