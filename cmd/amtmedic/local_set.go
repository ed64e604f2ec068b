package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/device"
	"amtmedic/amt/store"
)

// localChange is a line of local set: a setting, what it is and what it is to be.
type localChange struct {
	Setting string `json:"setting"`
	Old     string `json:"old"`
	New     string `json:"new"`
	Done    bool   `json:"done"`

	do func(context.Context) error
}

// localWishes are the flags of local set that change something. Empty leaves it.
type localWishes struct {
	name                  *string
	clock, dhcp           *bool
	ping, rmcp            *string
	sol, ider, redirectTo *string
	yes                   *bool
}

func localSetRun(e *env, w localWorld, args []string) (int, error) {
	fs := flags("local set [--name FQDN] [--clock] [--dhcp] [--ping on|off] [--rmcp on|off] [--sol on|off] [--ider on|off] [--listener on|off] [--yes] [--json]")
	f := addLocal(fs, "print one JSON object a line")
	want := &localWishes{
		name:       fs.String("name", "", "set host and domain name to `FQDN`"),
		clock:      fs.Bool("clock", false, "set the clock to that of this computer"),
		dhcp:       fs.Bool("dhcp", false, "let the wired interface take its address from DHCP"),
		ping:       fs.String("ping", "", "`on` or off: answer ICMP echo"),
		rmcp:       fs.String("rmcp", "", "`on` or off: answer the presence ping"),
		sol:        fs.String("sol", "", "`on` or off: serial over LAN"),
		ider:       fs.String("ider", "", "`on` or off: IDE redirection"),
		redirectTo: fs.String("listener", "", "`on` or off: the port of redirection"),
		yes:        fs.Bool("yes", false, "agree to the preview without being asked"),
	}
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	trust, err := f.check(fs, words)
	if err == nil {
		err = want.check(fs)
	}
	if err != nil {
		return exitUsage, err
	}
	return f.session(e, w, trust, "change the local AMT", func(ctx context.Context, d device.Device) error {
		changes, err := want.plan(ctx, d)
		if err != nil {
			return err
		}
		return applyLocal(e, f, want, changes)
	})
}

func (l *localWishes) check(fs *flag.FlagSet) error {
	some := *l.name != "" || *l.clock || *l.dhcp
	for name, v := range map[string]string{"ping": *l.ping, "rmcp": *l.rmcp, "sol": *l.sol, "ider": *l.ider, "listener": *l.redirectTo} {
		if v != "" && v != "on" && v != "off" {
			return misuse(fs, "--%s is on or off", name)
		}
		some = some || v != ""
	}
	if !some {
		return misuse(fs, "local set takes at least one setting to change")
	}
	if *l.name != "" {
		if err := store.HostName(strings.ToLower(*l.name)); err != nil {
			return misuse(fs, "--name: %v", err)
		}
	}
	return nil
}

// plan reads what is there and gives the changes that are left to make.
func (l *localWishes) plan(ctx context.Context, d device.Device) (all []localChange, err error) {
	add := func(setting, old, new string, do func(context.Context) error) {
		if old != new {
			all = append(all, localChange{Setting: setting, Old: old, New: new, do: do})
		}
	}
	if *l.name != "" {
		n, err := d.Names(ctx)
		if err != nil {
			return nil, err
		}
		host, domain, _ := strings.Cut(*l.name, ".")
		add("name", n.FQDN(), *l.name, func(ctx context.Context) error { return d.SetNames(ctx, device.Names{Host: host, Domain: domain}) })
	}
	if *l.clock {
		at, err := d.Clock(ctx)
		if err != nil {
			return nil, err
		}
		if now := time.Now(); now.Sub(at).Abs() > 5*time.Second {
			add("clock", at.Format(time.RFC3339), now.UTC().Format(time.RFC3339), func(ctx context.Context) error { return d.SetClock(ctx, time.Now) })
		}
	}
	if *l.sol != "" || *l.ider != "" || *l.redirectTo != "" {
		if err := l.planRedirection(ctx, d, add); err != nil {
			return nil, err
		}
	}
	if *l.dhcp || *l.ping != "" || *l.rmcp != "" { // last: the firmware may leave its address
		if err := l.planNetwork(ctx, d, add); err != nil {
			return nil, err
		}
	}
	return all, nil
}

type addChange func(setting, old, new string, do func(context.Context) error)

func (l *localWishes) planRedirection(ctx context.Context, d device.Device, add addChange) error {
	is, err := d.Redirection(ctx)
	if err != nil {
		return err
	}
	for _, s := range []struct {
		name, want string
		is         *bool
		set        func(*bool) device.Redirection
	}{
		{"listener", *l.redirectTo, is.Listener, func(v *bool) device.Redirection { return device.Redirection{Listener: v} }},
		{"sol", *l.sol, is.SOL, func(v *bool) device.Redirection { return device.Redirection{SOL: v} }},
		{"ider", *l.ider, is.IDER, func(v *bool) device.Redirection { return device.Redirection{IDER: v} }},
	} {
		if s.want != "" {
			on := s.want == "on"
			add(s.name, onOff(s.is), s.want, func(ctx context.Context) error { return d.SetRedirection(ctx, s.set(&on)) })
		}
	}
	return nil
}

func (l *localWishes) planNetwork(ctx context.Context, d device.Device, add addChange) error {
	is, err := d.Network(ctx)
	if err != nil {
		return err
	}
	dhcp := ""
	if *l.dhcp {
		dhcp = "on"
	}
	for _, s := range []struct {
		name, want string
		is         *bool
		set        func(*bool) device.Network
	}{
		{"ping", *l.ping, is.Ping, func(v *bool) device.Network { return device.Network{Ping: v} }},
		{"rmcp", *l.rmcp, is.RMCP, func(v *bool) device.Network { return device.Network{RMCP: v} }},
		{"dhcp", dhcp, is.DHCP, func(v *bool) device.Network { return device.Network{DHCP: v} }},
	} {
		if s.want != "" {
			on := s.want == "on"
			add(s.name, onOff(s.is), s.want, func(ctx context.Context) error { return d.SetNetwork(ctx, s.set(&on)) })
		}
	}
	return nil
}

// applyLocal shows the changes, asks, and makes one after the other until one does not succeed. The
// time that a person thinks is not the firmware's: each change has its own.
func applyLocal(e *env, f *localFlags, want *localWishes, changes []localChange) error {
	if len(changes) == 0 {
		fmt.Fprintln(e.stderr, "nothing to do: the firmware has these settings already")
		return nil
	}
	for _, c := range changes {
		fmt.Fprintf(e.stderr, "%s: %s -> %s\n", c.Setting, plain(orDash(c.Old)), plain(c.New))
	}
	if err := agreeLocal(e, *want.yes); err != nil {
		return err
	}
	journal := openLocalJournal(e)
	for _, c := range changes {
		if err := journal.add("intent", c, nil); err != nil {
			return fmt.Errorf("record the intent: %w", err)
		}
		ctx, cancel := context.WithTimeout(e.ctx, *f.timeout)
		err := c.do(ctx)
		cancel()
		c.Done = err == nil
		err = errors.Join(err, journal.add(map[bool]string{true: "done", false: "failed"}[c.Done], c, err))
		if *f.json {
			err = errors.Join(err, writeJSON(e.stdout, c))
		} else if err == nil {
			_, err = fmt.Fprintf(e.stdout, "%s is %s now\n", c.Setting, plain(c.New))
		}
		if err != nil {
			return fmt.Errorf("set %s: %w", c.Setting, err)
		}
	}
	return nil
}

var errNotAgreed = errors.New("not agreed to; nothing was changed")

// agreeLocal asks for a typed yes.
func agreeLocal(e *env, yes bool) error {
	if yes {
		return nil
	}
	if f, ok := e.stdin.(*os.File); !ok || !isTerminal(f) {
		return &amt.Error{Op: "agree to the changes", Err: errors.New("there is no terminal to ask on; nothing was changed"), Hint: "--yes agrees"}
	}
	fmt.Fprint(e.stderr, "Type yes to make these changes: ")
	answer := make(chan string, 1)
	go func() { // ends with the line, or with the process
		line, _ := bufio.NewReader(e.stdin).ReadString('\n')
		answer <- strings.TrimSpace(line)
	}()
	select {
	case <-e.ctx.Done():
		return e.ctx.Err()
	case got := <-answer:
		if got != "yes" {
			return errNotAgreed
		}
	}
	return nil
}
