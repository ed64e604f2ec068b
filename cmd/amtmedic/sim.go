package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"amtmedic/amt"
	"amtmedic/amt/sim/engine"
	"amtmedic/amt/sim/fleet"
)

const simHelp = `sim is AMT clients made of software: they say hello, answer at the ports of the firmware, and
can be provisioned. They are our own reading of what is public: what works with them may fail with
firmware. A fault is injected with --inject STEP=WHAT[:ARGUMENT][@TIMES]:
    connect, tls, http, ping = refuse, garbage, slow, drop-before, drop-after
    tls, http                = pieces (byte by byte)
    http                     = chunked, close (after each answer), stale (nonces for one request)
    CLASS.METHOD or *        = refuse:38, http:500, soap, garbage, cut, slow:3s, drop-before,
                               drop-done, drop-after, missing:ELEMENT

`

// simFlags are the flags of sim as they were given.
type simFlags struct {
	to, method, version, state, address, suffix, inventory *string
	trust, inject                                          texts
	count                                                  *int
	otp, fast, keep, json                                  *bool
}

func runSim(e *env, args []string) (int, error) {
	fs := flags("sim [--to HOST:PORT] [--count N] [--method psk|pki]")
	f := simFlags{
		to:        fs.String("to", "", "setup `HOST:PORT` that hellos go to; without it none is sent"),
		count:     fs.Int("count", 1, "number of clients"),
		method:    fs.String("method", "psk", "psk or pki"),
		version:   fs.String("amt-version", "", "AMT `version`; 3.2.1 for psk and 9.0 for pki unless named"),
		state:     fs.String("state", "in", "pre, in or post"),
		address:   fs.String("address", firstAddress(), "`IP` address of the first client; each next one is one higher"),
		suffix:    fs.String("suffix", "", "domain `name` that the clients have by DHCP option 15"),
		inventory: fs.String("inventory", "", "`folder` for keys.csv, map.csv and clients.csv; they hold secrets"),
		otp:       fs.Bool("otp", false, "an agent planted a one-time password in each client: otp.csv of --inventory; pki only"),
		fast:      fs.Bool("fast", false, "hellos every few seconds until a session is open"),
		keep:      fs.Bool("keep", false, "go on when all clients are provisioned"),
		json:      fs.Bool("json", false, "print one JSON object for each change of a client's state"),
	}
	fs.Var(&f.trust, "trust", "`PEM` file of root certificates that the clients trust beside the built-in ones, repeatable")
	fs.Var(&f.inject, "inject", "`STEP=WHAT` goes wrong, repeatable")
	rest, err := parse(fs, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(e.stdout, simHelp)
		return exitUsage, err
	case err != nil:
		return exitUsage, err
	case len(rest) > 0:
		return exitUsage, misuse(fs, "sim takes no operand, %q was given", plain(rest[0]))
	}
	cfg, err := f.config(e.ctx)
	if err != nil {
		return exitUsage, misuse(fs, "%w", err)
	}
	return simulate(e, cfg, f)
}

// firstAddress is where clients begin: all of 127.0.0.0/8 is loopback on Linux alone.
func firstAddress() string {
	if runtime.GOOS == "linux" {
		return "127.0.1.1"
	}
	return "127.0.0.1"
}

// config judges the flags.
func (f *simFlags) config(ctx context.Context) (c fleet.Config, err error) {
	c = fleet.Config{Count: *f.count, Method: amt.Method(*f.method), Stage: engine.Stage(*f.state), Suffix: *f.suffix, OTP: *f.otp, Fast: *f.fast}
	version := *f.version
	switch {
	case c.Method != amt.PSK && c.Method != amt.PKI:
		return c, fmt.Errorf("--method is psk or pki, not %.20q", *f.method)
	case !slices.Contains([]engine.Stage{engine.Pre, engine.In, engine.Post}, c.Stage):
		return c, fmt.Errorf("--state is pre, in or post, not %.20q", *f.state)
	case c.OTP && c.Method != amt.PKI:
		return c, errors.New("--otp is for --method pki: with a PID no one-time password is used")
	case c.Suffix != "" && !hostForm(c.Suffix):
		return c, fmt.Errorf("--suffix: %q is no domain name", plain(c.Suffix))
	case c.Count < 1 || c.Count > fleet.MaxCount:
		return c, fmt.Errorf("--count is 1 to %d", fleet.MaxCount)
	case version == "" && c.Method == amt.PSK:
		version = "3.2.1"
	case version == "":
		version = "9.0"
	}
	if c.Version, err = simVersion(version, c.Method); err != nil {
		return c, err
	}
	if c.First, err = netip.ParseAddr(*f.address); err != nil || !c.First.Is4() || c.First.IsUnspecified() {
		return c, fmt.Errorf("--address %.40q is no IPv4 address of a client", *f.address)
	}
	if c.Roots, err = readRoots(f.trust); err != nil {
		return c, err
	}
	if most := fleet.MaxRoots(c.Version); len(c.Roots) > most {
		return c, fmt.Errorf("--trust: %d roots, firmware has room for %d", len(c.Roots), most)
	}
	for _, s := range f.inject {
		fault, err := fleet.ParseFault(s)
		if err != nil {
			return c, fmt.Errorf("--inject: %w", err)
		}
		c.Faults = append(c.Faults, fault)
	}
	if *f.to != "" {
		c.To, err = resolve(ctx, serverAddress(*f.to))
	}
	return c, err
}

// simVersion reads a version, completes it to three parts, and refuses what no firmware is.
func simVersion(s string, m amt.Method) (amt.Version, error) {
	v, err := amt.ParseVersion(s)
	if err != nil {
		return v, err
	}
	for strings.Count(v.String(), ".") < 2 {
		if v, err = amt.ParseVersion(v.String() + ".0"); err != nil {
			return v, err
		}
	}
	switch {
	case !v.AtLeast(1, 0) || v.Major() > 99:
		return v, fmt.Errorf("there is no AMT %s", v)
	case m == amt.PSK && v.AtLeast(11, 0):
		return v, fmt.Errorf("AMT %s has no PSK: it was removed with 11.0; take --method pki", v)
	case m == amt.PKI && (!v.AtLeast(2, 2) || v.Major() == 2 && v.Minor() == 5):
		return v, fmt.Errorf("AMT %s has no Remote Configuration: it came with 2.2, 2.6 and 3.0; take --method psk", v)
	}
	return v, nil
}

// resolve finds the address of the setup server.
func resolve(ctx context.Context, to string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(to)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("--to: %w", err)
	}
	n, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil || n == 0 {
		return netip.AddrPort{}, fmt.Errorf("--to: %.20q is no port", port)
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil || len(addrs) == 0 {
		return netip.AddrPort{}, fmt.Errorf("--to: %.80q has no IPv4 address: %w", host, err)
	}
	return netip.AddrPortFrom(addrs[0].Unmap(), uint16(n)), nil
}

// readRoots reads the root certificates of PEM files.
func readRoots(names []string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for _, name := range names {
		found, err := readRootFile(name)
		if err != nil {
			return nil, fmt.Errorf("--trust: %w", err)
		}
		out = append(out, found...)
	}
	return out, nil
}

func readRootFile(name string) ([]*x509.Certificate, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var out []*x509.Certificate
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", plain(name), err)
		}
		if bytes.Equal(c.RawSubject, c.RawIssuer) { // a chain may be given whole: firmware keeps roots only
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s holds no root certificate in PEM form", plain(name))
	}
	return out, nil
}

// simPrinter prints lines and talk from many goroutines.
type simPrinter struct {
	e      *env
	json   bool
	mu     sync.Mutex
	talked int
	err    error // of standard output
}

// maxTalk is how many remarks are printed; a server that goes wrong makes thousands alike.
const maxTalk = 200

func (p *simPrinter) line(l fleet.Line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	if p.json {
		err = writeJSON(p.e.stdout, l)
	} else {
		_, err = fmt.Fprintf(p.e.stdout, "%s  %-15s  %-4s  %d hellos\n", l.UUID, l.Address, l.State, l.HellosSent)
	}
	p.err = errors.Join(p.err, err)
}

func (p *simPrinter) talk(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.talked++
	switch {
	case p.talked < maxTalk:
		fmt.Fprintln(p.e.stderr, plain(s))
	case p.talked == maxTalk:
		fmt.Fprintln(p.e.stderr, "more remarks are not shown")
	}
}

// manyClients fill the memory by themselves.
const manyClients = 10_000

// simulate lives the life of the clients.
func simulate(e *env, cfg fleet.Config, f simFlags) (int, error) {
	if cfg.Count <= manyClients {
		collectLess(e.ctx, 1<<30)
	}
	p := &simPrinter{e: e, json: *f.json}
	cfg.OnLine, cfg.OnTalk = p.line, p.talk
	fl, err := fleet.New(cfg)
	if err != nil {
		return exitUsage, &amt.Error{Op: "sim", Err: err, Hint: "take fewer clients with --count, or another first --address"}
	}
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	if *f.inventory != "" { // those of an earlier run would be taken for this one's
		for _, file := range fl.Inventory() {
			if err := os.Remove(filepath.Join(*f.inventory, file.Name)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return exitFound, &amt.Error{Op: "write inventory", Err: err}
			}
		}
	}
	if err := fl.Open(); err != nil {
		return exitFound, simListenError(err, cfg.Count > fleet.SharedAbove)
	}
	if *f.inventory != "" {
		for _, file := range fl.Inventory() {
			if err := writeSecretFile("write inventory", filepath.Join(*f.inventory, file.Name), true, file.Write); err != nil {
				return exitFound, err
			}
		}
	}
	simReady(p, cfg, fl)
	if err := fl.Run(ctx, *f.keep); err != nil {
		return exitFound, &amt.Error{Op: "sim", Err: err}
	}
	if p.err != nil {
		return exitFound, &amt.Error{Op: "sim", Subject: "standard output", Err: p.err}
	}
	if left := cfg.Count - fl.Provisioned(); left > 0 && !*f.keep {
		return exitInterrupt, &amt.Error{Op: "sim", Err: fmt.Errorf("interrupted while %d of %d clients were not provisioned", left, cfg.Count)}
	}
	return exitOK, nil
}

// simReady says that the ports are open, and what a person should know about them.
func simReady(p *simPrinter, cfg fleet.Config, fl *fleet.Fleet) {
	p.talk(fmt.Sprintf("%d simulated clients (AMT %s, %s, %s) from %s on", cfg.Count, cfg.Version, cfg.Method, cfg.Stage, cfg.First))
	if err := fl.PingError(); err != nil {
		p.talk(fmt.Sprintf("the presence ping is not answered: %v", err))
	}
	if cfg.Method == amt.PKI && cfg.Suffix == "" && cfg.Stage == engine.In {
		p.talk("without --suffix the clients know no domain and refuse every provisioning certificate")
	}
}

func simListenError(err error, shared bool) error {
	hint := ""
	switch {
	case isErrno(err, syscall.EADDRINUSE, 10048) && shared:
		hint = fmt.Sprintf("more than %d clients listen on all addresses of this machine, and another program has that port on one of them, perhaps another sim", fleet.SharedAbove)
	case isErrno(err, syscall.EADDRINUSE, 10048):
		hint = "another program has that port, perhaps another sim: take another --address"
	case isErrno(err, syscall.EADDRNOTAVAIL, 10049):
		hint = "this machine does not have that address; outside Linux only 127.0.0.1 with --count 1"
	case errors.Is(err, syscall.EMFILE):
		hint = fmt.Sprintf("too many open files: raise the limit (ulimit -n), take fewer clients, or more than %d, which share their listeners", fleet.SharedAbove)
	}
	return &amt.Error{Op: "sim", Err: err, Hint: hint}
}
