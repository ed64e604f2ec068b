package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/provision"
	"amtmedic/amt/store"
)

const serveHelp = `serve is the setup server without the workstation. This version receives hellos, keeps
their clients in the database and queues them. It does NOT provision yet: queued clients
stay unprovisioned. Log lines go to standard output as JSON; the one with msg "ready"
names the address. It runs until SIGTERM or ctrl+c.

`

func runServe(e *env, args []string) (int, error) {
	fs := flags("serve [--db FILE] [--listen HOST:PORT] [--key-file FILE]")
	db := addDB(fs)
	listen := fs.String("listen", fmt.Sprintf(":%d", amt.HelloPort), "`HOST:PORT` to receive hellos on")
	later := map[string]*string{}
	for _, name := range []string{"web", "config", "provisioning-cert"} {
		later[name] = fs.String(name, "", "not in this version")
	}
	rest, err := parse(fs, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(e.stdout, serveHelp)
		return exitUsage, err
	case err != nil:
		return exitUsage, err
	case len(rest) > 0:
		return exitUsage, misuse(fs, "serve takes no operand; the database goes to --db")
	}
	for name, value := range later {
		if *value != "" {
			return exitUsage, &amt.Error{Op: "serve", Subject: "--" + name, Err: store.ErrNotHere,
				Hint: "this version receives, keeps and queues hellos; leave the flag out"}
		}
	}
	st, err := db.open(e)
	if err != nil {
		return stopped(e, err)
	}
	defer func() { _ = st.Close() }()
	return serve(e, st, *listen)
}

func serve(e *env, st *store.Store, listen string) (int, error) {
	lock, err := st.LockQueue(owner())
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = lock.Release() }()
	ln, err := (&net.ListenConfig{}).Listen(e.ctx, "tcp", listen)
	if err != nil {
		return stopped(e, listenError(listen, err))
	}
	log := slog.New(slog.NewJSONHandler(e.stdout, &slog.HandlerOptions{ReplaceAttr: utc}))
	log.Info("ready", "listen", ln.Addr().String(), "db", st.Path(), "process", os.Getpid(), "provisions", false)
	if err := provision.New(st, provision.Options{Log: log}).Serve(e.ctx, ln); err != nil {
		return exitFound, &amt.Error{Op: "serve", Subject: listen, Err: err}
	}
	log.Info("stopped")
	return exitOK, nil
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
