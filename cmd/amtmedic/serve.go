package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/ca"
	"amtmedic/amt/cert"
	"amtmedic/amt/provision"
	"amtmedic/amt/store"
)

const serveHelp = `serve is the setup server without the workstation: it receives hellos, keeps their clients in
the database, and configures the ones that it has a name for: a row of the UUID map
("amtmedic discover import"), or what the properties script or reverse DNS answers. A client
that cannot be configured yet waits as a delayed entry with its reason; "amtmedic clients"
shows it. Log lines go to standard output as JSON; the one with msg "ready" names the
addresses. It runs until SIGTERM or ctrl+c.

What it does with clients has met our own simulated firmware only.

`

// serveFlags makes the flags of serve.
func serveFlags() (*flag.FlagSet, serveOptions, dbFlags) {
	fs := flags("serve [--db FILE|URL] [--listen HOST:PORT] [--web HOST:PORT] [--config FILE] [--key-file FILE] [--provisioning-cert FILE] [--properties LIST] [--script FILE] [--sessions N] [--receive-only]")
	db := addDB(fs)
	return fs, serveOptions{
		listen:   fs.String("listen", fmt.Sprintf(":%d", amt.HelloPort), "`HOST:PORT` to receive hellos on"),
		sources:  fs.String("properties", "", "`LIST` of where names come from, in this order: map, script, dns (default: map, and script where --script is given)"),
		script:   fs.String("script", "", "properties script, `FILE`: gets UUID, address, method, PID; answers JSON with fqdn, profile, ou"),
		sessions: fs.Int("sessions", 32, "clients that are configured at once, `N`"),
		cert:     fs.String("provisioning-cert", "", "`FILE` with the certificate for Remote Configuration clients, PEM or PFX; AMTMEDIC_CERT_PASSWORD opens a PFX"),
		receive:  fs.Bool("receive-only", false, "receive and queue hellos, configure nobody"),
		config:   fs.String("config", "", "`FILE` with lines \"name = value\" for flags that are not given here; SIGHUP has it read again"),
		level:    fs.String("log-level", "info", "`LEVEL` of the log: error, warning, info, verbose"),
		logFile:  fs.String("log", "", "`FILE` that log lines go to instead of standard output, at its end"),
		lease:    fs.Duration("lease", time.Minute, "in a database that several servers share, how long a client stays with one that fell silent, `TIME`"),
		web:      addWeb(fs),
	}, db
}

// readServe reads the command line of serve, and the file that --config names. Its errors are wrong usage.
func readServe(e *env, args []string) (fs *flag.FlagSet, o serveOptions, db dbFlags, err error) {
	fs, o, db = serveFlags()
	rest, err := parse(fs, args)
	if err != nil {
		return fs, o, db, err
	}
	if len(rest) > 0 {
		return fs, o, db, misuse(fs, "serve takes no operand; the database goes to --db")
	}
	if *o.config != "" {
		if err := applyConfig(e, fs, *o.config); err != nil {
			return fs, o, db, err
		}
	}
	o.args, o.had = args, values(fs)
	return fs, o, db, o.check(fs)
}

func runServe(e *env, args []string) (int, error) {
	return managed(e, func(e *env) (int, error) { return runServeHere(e, args) })
}

// runServeHere is runServe, whoever started it.
func runServeHere(e *env, args []string) (int, error) {
	fs, o, db, err := readServe(e, args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(e.stdout, serveHelp)
	}
	if err != nil {
		return exitUsage, err
	}
	fw, err := o.firmware(e)
	if err != nil {
		return exitUsage, err
	}
	st, err := db.open(e)
	if err != nil {
		return stopped(e, err)
	}
	defer func() { _ = st.Close() }()
	fw.CA = ca.New(st, ca.Options{})
	if err := o.fromDatabase(e, fs, st); err != nil {
		return stopped(e, err)
	}
	sources, err := o.properties(st)
	if err != nil {
		return exitUsage, err
	}
	return serve(e, st, o, fw, sources)
}

// fromDatabase fills from csti_configuration what neither the command line nor the file says: the port of
// hellos, and whether the script is asked for names.
func (o serveOptions) fromDatabase(e *env, fs *flag.FlagSet, st *store.Store) error {
	conf, err := st.Config(e.ctx)
	if errors.Is(err, store.ErrNoConfig) {
		return nil
	}
	if err != nil {
		return err
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if about, _ := store.FindSetting("hello_port"); !given["listen"] && about.Check(conf["hello_port"]) == nil {
		*o.listen = ":" + conf["hello_port"]
	}
	if *o.sources == "" && conf["params_from"] == "db" {
		*o.sources = "map"
	}
	return nil
}

// logTo gives what log lines go to.
func (o serveOptions) logTo(e *env) (io.Writer, func(), error) {
	if *o.logFile == "" {
		return e.stdout, func() {}, nil
	}
	f, err := os.OpenFile(*o.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, &amt.Error{Op: "serve", Subject: "--log " + plain(*o.logFile), Err: err, Hint: "its folder has to exist, and this account has to be allowed to write there"}
	}
	return f, func() { _ = f.Close() }, nil
}

// serveOptions are the flags of serve.
type serveOptions struct {
	listen, sources, script, cert, config, level, logFile *string
	sessions                                              *int
	receive                                               *bool
	lease                                                 *time.Duration
	web                                                   webFlags
	args                                                  []string          // of the command line
	had                                                   map[string]string // what all flags were set to at the start
}

// check tells wrong usage before anything is opened.
func (o serveOptions) check(fs *flag.FlagSet) error {
	switch {
	case *o.sessions < 1:
		return misuse(fs, "--sessions is a number above 0")
	case *o.lease < time.Second || *o.lease > time.Hour:
		return misuse(fs, "--lease is between 1s and 1h")
	case !listenForm(*o.listen):
		return misuse(fs, "--listen: %q is not HOST:PORT, such as 10.1.0.10:9971 or :9971", plain(*o.listen))
	}
	if _, err := logLevel(*o.level); err != nil {
		return misuse(fs, "--log-level: %v", err)
	}
	return o.web.check(fs)
}

// firmware is how clients are configured: with the provisioning certificate where one is named. One
// that no client would take is refused before the first hello.
func (o serveOptions) firmware(e *env) (*provision.Firmware, error) {
	fw := &provision.Firmware{}
	if *o.cert == "" {
		return fw, nil
	}
	f, err := readCert(e, *o.cert, "")
	if err != nil {
		return nil, err
	}
	r := cert.Judge(f, cert.Question{Now: time.Now()})
	for _, p := range r.Problems {
		if p.Code != "chain-order" { // it is put in order here
			printProblems(e.stderr, "problem", r.Problems)
			return nil, &amt.Error{Op: "serve", Subject: "--provisioning-cert " + plain(*o.cert), Err: errors.New("no client would take this certificate"),
				Hint: "amtmedic cert check shows all of it; without the flag serve configures clients with PID and PPS only"}
		}
	}
	if fw.Certificate, err = provision.WithCertificate(f); err != nil {
		return nil, &amt.Error{Op: "serve", Subject: "--provisioning-cert " + plain(*o.cert), Err: err}
	}
	return fw, nil
}

// properties gives the sources of names in the order that was asked for.
func (o serveOptions) properties(st *store.Store) ([]provision.PropertySource, error) {
	list := *o.sources
	if list == "" {
		list = "map"
		if *o.script != "" {
			list = "map,script"
		}
	}
	var out []provision.PropertySource
	for _, name := range strings.Split(list, ",") {
		switch strings.TrimSpace(name) {
		case "map":
			out = append(out, provision.FromMap(st))
		case "dns":
			out = append(out, provision.FromDNS(net.DefaultResolver))
		case "script":
			if *o.script == "" {
				return nil, &amt.Error{Op: "serve", Subject: "--properties", Err: errors.New("no properties script is named"), Hint: "name it with --script FILE"}
			}
			if err := provision.CheckScript(*o.script); err != nil {
				return nil, &amt.Error{Op: "serve", Subject: "--script", Err: err, Hint: "it has to be a file that this account may execute"}
			}
			out = append(out, provision.FromScript(*o.script, 0))
		default:
			return nil, &amt.Error{Op: "serve", Subject: "--properties", Err: fmt.Errorf("%q is no source of names", plain(name)), Hint: "it takes map, script and dns, parted by commas"}
		}
	}
	return out, nil
}

func serve(e *env, st *store.Store, o serveOptions, fw *provision.Firmware, sources []provision.PropertySource) (int, error) {
	collectLess(e.ctx, 256<<20)
	lock, err := st.LockQueue(owner())
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = lock.Release() }()
	if _, err := st.ReleaseOrphans(e.ctx, lock); err != nil {
		return stopped(e, err)
	}
	// every hello has a deadline of its own: no connection lives long enough for keep-alive
	ln, err := (&net.ListenConfig{KeepAlive: -1}).Listen(e.ctx, "tcp", *o.listen)
	if err != nil {
		return stopped(e, listenError(*o.listen, err))
	}
	to, closeLog, err := o.logTo(e)
	if err != nil {
		_ = ln.Close()
		return exitUsage, err
	}
	defer closeLog()
	level := new(slog.LevelVar)
	log := slog.New(&announcing{slog.NewJSONHandler(to, &slog.HandlerOptions{ReplaceAttr: utc, Level: slog.LevelDebug}), level})
	l, _ := logLevel(*o.level) // checked
	level.Set(l)
	var wake func()
	web, err := o.web.listen(e, st, log, func() { wake() })
	if err != nil {
		_ = ln.Close()
		return stopped(e, err)
	}
	so := provision.Options{Log: log, OnEvent: web.event}
	work := func() error { return nil }
	wake = func() {}
	name, sessions := serverName(), func() int { return 0 }
	again := &reloader{e: e, args: o.args, level: level, log: log, had: o.had, sources: func(o serveOptions) ([]provision.PropertySource, error) { return o.properties(st) }}
	if !*o.receive {
		again.w = provision.NewWorker(st, provision.WorkerOptions{Name: name, Sessions: *o.sessions, Lease: *o.lease, Configurer: fw, Sources: sources, Log: log, OnEvent: web.event,
			Maintainer: &provision.Maintainer{Store: st, Firmware: fw, Random: rand.Reader}})
		w := again.w
		so.OnEvent = func(ev provision.Event) { w.Wake(); web.event(ev) }
		work, wake, sessions = func() error { return w.Run(e.ctx) }, w.Wake, w.Sessions
	}
	if *o.config != "" {
		defer again.listen(e.ctx)()
	}
	defer watchKeys(e.ctx, st, log)()
	log.Info(msgReady, append([]any{"listen", ln.Addr().String(), "db", st.Path(), "process", os.Getpid(), "provisions", !*o.receive}, web.ready()...)...)
	if _, err := provision.CheckTLSMode(e.ctx, st); err != nil {
		log.Warn("tls_mode and the default profile do not go together: its clients will wait with this reason", "err", err)
	}
	defer o.together(e, st, log, name, ln.Addr().String(), sessions, wake)()
	webbed := make(chan error, 1)
	go func() { webbed <- web.run(e.ctx) }()
	worked := make(chan error, 1)
	go func() { worked <- work() }()
	err = provision.New(st, so).Serve(e.ctx, ln)
	if err != nil {
		return exitFound, &amt.Error{Op: "serve", Subject: *o.listen, Err: err}
	}
	if err := errors.Join(<-worked, <-webbed); err != nil {
		return exitFound, &amt.Error{Op: "work the queue", Subject: st.Path(), Err: err}
	}
	log.Info(msgStopped)
	return exitOK, nil
}

// listenForm reports whether a text has a host, which may be empty, and the number of a port.
func listenForm(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// stopped tells a start that was interrupted from one that did not work.
func stopped(e *env, err error) (int, error) {
	if errors.Is(err, context.Canceled) && e.ctx.Err() != nil {
		return exitInterrupt, &amt.Error{Op: "serve", Err: errors.New("interrupted before it was ready")}
	}
	return exitFound, err
}

// owner names this process to the one who finds the queue locked.
func owner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	return fmt.Sprintf("amtmedic serve on %s, process %d, since %s", host, os.Getpid(), time.Now().UTC().Format(time.RFC3339))
}

func listenError(listen string, err error) error {
	hint := "--listen takes HOST:PORT, such as 10.1.0.10:9971 or :9971"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "another program has that port, perhaps another setup server: stop it, or take another port with --listen"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "this machine does not have that address"
	case errors.Is(err, os.ErrPermission):
		hint = "ports below 1024 need a privilege; clients send to 9971 unless told otherwise"
	}
	return &amt.Error{Op: "listen", Subject: listen, Err: err, Hint: hint}
}

// utc prints the times of log lines in UTC.
func utc(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindTime {
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	}
	return a
}
