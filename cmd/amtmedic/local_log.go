package main

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"text/tabwriter"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/device"
)

// localEvent is a line of local log.
type localEvent struct {
	Time       time.Time `json:"time"`
	Severity   string    `json:"severity"`
	Text       string    `json:"text"`
	SensorType int       `json:"sensor_type"`
	EventType  int       `json:"event_type"`
	Offset     int       `json:"offset"`
	Source     int       `json:"source"`
	Entity     int       `json:"entity"`
	Data       string    `json:"data"`
}

// localHash is a line of local hashes.
type localHash struct {
	Name      string `json:"name"`
	Algorithm string `json:"algorithm"`
	Digest    string `json:"digest"`
	Active    bool   `json:"active"`
	Default   bool   `json:"default"`
}

func localLogRun(e *env, w localWorld, args []string) (int, error) {
	fs := flags("local log [--user NAME] [--password-file FILE] [--via lms|tunnel] [--root FILE] [--pin SHA256] [--json]")
	return withLocal(e, w, fs, args, "read the event log", func(ctx context.Context, d device.Device, asJSON bool) error {
		all, err := device.EventLog(ctx, d)
		if err != nil {
			return err
		}
		if asJSON {
			for _, r := range all {
				if err := writeJSON(e.stdout, localEvent{r.Time, r.Level(), r.Text(), int(r.SensorType), int(r.EventType), int(r.Offset), int(r.Source), int(r.Entity), hex.EncodeToString(r.Data[:])}); err != nil {
					return err
				}
			}
			return nil
		}
		t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		for _, r := range all {
			fmt.Fprintf(t, "%s\t%s\t%s\n", r.Time.Format("2006-01-02T15:04:05Z"), r.Level(), r.Text())
		}
		if len(all) == 0 {
			fmt.Fprintln(e.stderr, "the event log is empty")
		}
		return t.Flush()
	})
}

func localHashesRun(e *env, w localWorld, args []string) (int, error) {
	fs := flags("local hashes [--user NAME] [--password-file FILE] [--via lms|tunnel] [--root FILE] [--pin SHA256] [--json]")
	return withLocal(e, w, fs, args, "read the certificate hashes", func(ctx context.Context, d device.Device, asJSON bool) error {
		all, err := device.RootHashes(ctx, d)
		if err != nil {
			return err
		}
		t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		for _, h := range all {
			line := localHash{plain(h.Name), algorithmOf(len(h.Digest)), hex.EncodeToString(h.Digest), h.Active, h.Default}
			if asJSON {
				if err := writeJSON(e.stdout, line); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", map[bool]string{true: "active", false: "off"}[h.Active], line.Algorithm, line.Digest, line.Name)
		}
		if len(all) == 0 {
			fmt.Fprintln(e.stderr, "the firmware lists no certificate hash")
		}
		return t.Flush()
	})
}

// algorithmOf names a digest by its length in bytes, as sources disagree about the number of it.
func algorithmOf(n int) string {
	switch n {
	case 16:
		return "md5"
	case 20:
		return "sha1"
	case 32:
		return "sha256"
	case 48:
		return "sha384"
	case 64:
		return "sha512"
	}
	return fmt.Sprintf("unknown-%d", n)
}

// withLocal opens a session with a log-in for a command that needs one.
func withLocal(e *env, w localWorld, fs *flag.FlagSet, args []string, op string, do func(ctx context.Context, d device.Device, asJSON bool) error) (int, error) {
	f := addLocal(fs, "print one JSON object a line")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	trust, err := f.check(fs, words)
	if err != nil {
		return exitUsage, err
	}
	return f.session(e, w, trust, op, func(ctx context.Context, d device.Device) error { return do(ctx, d, *f.json) })
}

// session opens one and closes it. The way is looked for before anybody is asked for a password.
func (f *localFlags) session(e *env, w localWorld, trust localTrust, op string, do func(context.Context, device.Device) error) (int, error) {
	ctx, cancel := context.WithTimeout(e.ctx, *f.timeout)
	defer cancel()
	fw, err := w.reach(ctx, *f.via, trust)
	if fw != nil {
		defer func() { _ = fw.Close() }()
	}
	if err == nil {
		if code, err := f.enter(e, fw); err != nil {
			return code, err
		}
		asked, cancel := context.WithTimeout(e.ctx, *f.timeout) // without the time of typing a password
		defer cancel()
		err = do(asked, fw.device)
	}
	switch {
	case e.ctx.Err() != nil:
		return exitInterrupt, &amt.Error{Op: op, Err: errors.New("interrupted")}
	case err != nil:
		return localError(op, err)
	}
	return exitOK, nil
}

// enter gives the session its log-in.
func (f *localFlags) enter(e *env, fw *localFirmware) (int, error) {
	login, ok, err := f.login(e)
	if err != nil {
		return exitUsage, err
	}
	if !ok {
		return exitUndecided, noLogin()
	}
	fw.device.LogIn(login)
	return exitOK, nil
}
