package main

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
	"amtmedic/diag"
	"amtmedic/diag/check"
	"amtmedic/diag/flow"
	"amtmedic/diag/journal"
	"amtmedic/diag/site"
)

// siteOptions are the flags that say what is known of the site.
type siteOptions struct {
	server                             *string
	resolvers, serverResolvers, suffix texts
	captures, answers                  texts
	iface, db, keyFile                 *string
	visited                            func() bool
}

func siteFlags(fs *flag.FlagSet) *siteOptions {
	o := &siteOptions{
		server:  fs.String("server", "", "provisioning server, `HOST` by name or address"),
		iface:   fs.String("interface", "", "listen for the client on this `INTERFACE`"),
		db:      fs.String("db", "", "`FILE` of the provisioning core's database"),
		keyFile: fs.String("key-file", os.Getenv("AMTMEDIC_KEY_FILE"), "`FILE` with the key of the database"),
	}
	fs.Var(&o.resolvers, "resolver", "DNS server of the client, `HOST[:PORT]` (repeatable; default: those of this machine)")
	fs.Var(&o.serverResolvers, "server-resolver", "DNS server of the provisioning server, `HOST[:PORT]` (repeatable)")
	fs.Var(&o.suffix, "suffix", "search suffix of the client, `NAME` (repeatable; default: those of this machine)")
	fs.Var(&o.captures, "capture", "capture `FILE`; server:FILE when it was made at the server (repeatable)")
	fs.Var(&o.answers, "answer", "what a person knows, `KEY=VALUE` in the words of docs/facts.md (repeatable)")
	o.visited = func() bool {
		any := false
		fs.Visit(func(f *flag.Flag) { any = any || f.Name != "json" && f.Name != "key-file" })
		return any
	}
	return o
}

func (o *siteOptions) given() bool { return o.visited() }

// world makes the site, and the facts that the answers give.
func (o *siteOptions) world() (*site.World, []diag.Fact, error) {
	so := site.Options{Server: *o.server, Resolvers: o.resolvers, ServerResolvers: o.serverResolvers, Suffixes: o.suffix,
		Interface: *o.iface, Database: *o.db, Store: store.Options{KeyFile: *o.keyFile}}
	for _, c := range o.captures {
		side, path := diag.AtClient, c
		if p, ok := strings.CutPrefix(c, "server:"); ok {
			side, path = diag.AtServer, p
		} else if p, ok := strings.CutPrefix(c, "client:"); ok {
			path = p
		}
		if _, err := os.Stat(path); err != nil {
			return nil, nil, &amt.Error{Op: "open capture", Err: err}
		}
		so.Captures = append(so.Captures, site.Capture{Side: side, Path: path})
	}
	var facts []diag.Fact
	for _, a := range o.answers {
		f, err := parseAnswer(a)
		if err != nil {
			return nil, nil, &amt.Error{Op: "read answer", Err: err, Hint: "for example --answer client.enabled=true"}
		}
		facts = append(facts, f)
	}
	return site.New(so), facts, nil
}

// openCase makes a new case of a real client.
func openCase() (*journal.Case, error) {
	dir, err := journal.Dir()
	if err != nil {
		return nil, err
	}
	return journal.Create(dir, journal.Options{Tool: versionLine(), Now: time.Now, Rand: rand.IntN})
}

// diagnoseHere probes this machine and its network. Nobody is asked: what a person knows comes as
// --answer.
func diagnoseHere(e *env, o *siteOptions, asJSON bool) (code int, err error) {
	world, facts, err := o.world()
	if err != nil {
		return exitUsage, err
	}
	defer func() { err = errors.Join(err, world.Close()) }()
	book, err := openCase()
	if err != nil {
		return exitUndecided, err
	}
	defer func() { err = errors.Join(err, book.Close()) }()
	walk, err := flow.New(flow.Options{World: world, Journal: book, Judge: check.Judge, Info: checkInfo, Facts: facts})
	if err != nil {
		return exitUndecided, err
	}
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- walk.Run(ctx) }()
	settled := make(chan struct{})
	var s flow.Snapshot
	go func() { s, err = flow.Settle(ctx, walk); close(settled) }()
	select {
	case <-settled:
	case werr := <-done:
		cancel()
		<-settled
		if e.ctx.Err() == nil {
			return exitFault, werr
		}
	}
	if e.ctx.Err() != nil {
		return exitInterrupt, &amt.Error{Op: "diagnose", Err: errors.New("interrupted")}
	}
	cancel()
	if s.Notice != "" && !asJSON {
		_, _ = e.stderr.Write([]byte("amtmedic: " + plain(s.Notice) + "\n"))
	}
	code, perr := printJudgement(e, &s.Judgement, s.Facts, asJSON)
	return code, perr
}
