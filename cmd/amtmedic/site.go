package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"amtmedic/amt"
	"amtmedic/amt/cert"
	"amtmedic/amt/mei"
	"amtmedic/capture"
	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/diag/journal"
	"amtmedic/diag/site"
)

// siteOptions are the flags that say what is known of the site.
type siteOptions struct {
	server                             *string
	resolvers, serverResolvers, suffix texts
	captures, answers                  texts
	iface, db, keyFile, usb, cert      *string
	local                              *bool
	visited                            func() bool
	certFile                           *cert.File // nil while readCertificate has not read one
}

// readCertificate reads the provisioning certificate that was named. It may ask for its password.
func (o *siteOptions) readCertificate(e *env) (err error) {
	if *o.cert != "" {
		o.certFile, err = readCert(e, *o.cert, "")
	}
	return err
}

func siteFlags(fs *flag.FlagSet) *siteOptions {
	o := &siteOptions{
		server:  fs.String("server", "", "provisioning server, `HOST` by name or address"),
		iface:   fs.String("interface", "", "listen for the client on this `INTERFACE`"),
		db:      fs.String("db", "", "`FILE` of the provisioning core's database"),
		usb:     fs.String("usb", "", "the USB key that was tried, `PATH` of the device or of an image"),
		local:   fs.Bool("local", false, "this computer is the client: ask its Management Engine"),
		cert:    fs.String("provisioning-cert", "", "provisioning certificate of the server, PEM or PFX `FILE`; AMTMEDIC_CERT_PASSWORD opens a PFX"),
		keyFile: fs.String("key-file", os.Getenv("AMTMEDIC_KEY_FILE"), "`FILE` with the key of the database"),
	}
	fs.Var(&o.resolvers, "resolver", "DNS server of the client, `HOST[:PORT]` (repeatable; default: those of this machine)")
	fs.Var(&o.serverResolvers, "server-resolver", "DNS server of the provisioning server, `HOST[:PORT]` (repeatable)")
	fs.Var(&o.suffix, "suffix", "search suffix of the client, `NAME` (repeatable; default: those of this machine)")
	fs.Var(&o.captures, "capture", "capture `FILE`; server:FILE when it was made at the server (repeatable)")
	fs.Var(&o.answers, "answer", "what a person knows, `KEY=VALUE` in the words of docs/facts.md (repeatable)")
	o.visited = func() bool {
		any := false
		fs.Visit(func(f *flag.Flag) {
			any = any || !slices.Contains([]string{"json", "key-file", "format", "checks", "only", "accept", "list"}, f.Name)
		})
		return any
	}
	return o
}

func (o *siteOptions) given() bool { return o.visited() }

// world makes the site, and the facts that the answers give. Its errors are wrong use, or files that
// cannot be read.
func (o *siteOptions) world() (*site.World, []diag.Fact, error) {
	if err := o.check(); err != nil {
		return nil, nil, err
	}
	so := site.Options{Server: *o.server, Resolvers: o.resolvers, ServerResolvers: o.serverResolvers, Suffixes: o.suffix,
		Interface: *o.iface, Database: *o.db, Store: keyOptions(*o.keyFile), USBKey: *o.usb, USB: usbSystem}
	if *o.local {
		so.Local = mei.Dial(mei.Options{})
	}
	if dir, err := journal.Dir(); err == nil {
		so.OwnDatabase = filepath.Join(dir, "core.db")
	}
	for _, c := range o.captures {
		side, path := diag.AtClient, c
		if p, ok := strings.CutPrefix(c, "server:"); ok {
			side, path = diag.AtServer, p
		} else if p, ok := strings.CutPrefix(c, "client:"); ok {
			path = p
		}
		if err := site.Readable(path); err != nil {
			return nil, nil, err
		}
		so.Captures = append(so.Captures, site.Capture{Side: side, Path: path})
	}
	if so.USBKey != "" {
		if _, err := os.Stat(so.USBKey); err != nil {
			return nil, nil, &amt.Error{Op: "read USB key", Err: err, Hint: "name the device, or an image of it"}
		}
	}
	if f := o.certFile; f != nil {
		so.CertificateName, so.Certificate = filepath.Base(*o.cert), func() (*cert.File, error) { return f, nil }
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

// check refuses names, addresses and interfaces that cannot be any.
func (o *siteOptions) check() error {
	if s := *o.server; s != "" && !hostForm(s) {
		return &amt.Error{Op: "read --server", Subject: plain(s), Err: errors.New("this is neither a name nor an address"),
			Hint: "a port that MEBx holds goes to --answer client.server_override=ADDRESS:PORT"}
	}
	for flag, list := range map[string]texts{"--resolver": o.resolvers, "--server-resolver": o.serverResolvers} {
		for _, s := range list {
			host := strings.Trim(s, "[]")
			if h, p, err := net.SplitHostPort(s); err == nil {
				n, perr := strconv.ParseUint(p, 10, 16)
				if host = h; perr != nil || n == 0 {
					host = ""
				}
			}
			if !hostForm(host) {
				return &amt.Error{Op: "read " + flag, Subject: plain(s), Err: errors.New("this is no DNS server"), Hint: "give its address, with :PORT where that is not 53"}
			}
		}
	}
	for _, s := range o.suffix {
		if _, err := netip.ParseAddr(s); err == nil || !hostForm(strings.Trim(s, ".")) {
			return &amt.Error{Op: "read --suffix", Subject: plain(s), Err: errors.New("this is no domain name"), Hint: "for example --suffix corp.example; that the client has none is --answer client.suffix="}
		}
	}
	if err := databaseForm(*o.db); err != nil {
		return &amt.Error{Op: "read --db", Subject: plain(*o.db), Err: err, Hint: "name the database file of amtmedic serve; without --db none is read, unless this machine is the server"}
	}
	if s := *o.iface; s != "" {
		if _, err := net.InterfaceByName(s); err != nil {
			return &amt.Error{Op: "listen on", Subject: plain(s), Err: capture.ErrNoInterface, Hint: "this machine has " + interfaceNames()}
		}
	}
	return nil
}

// databaseForm refuses what is there and cannot be a database. That one is missing or cannot be
// opened is a finding.
func databaseForm(path string) error {
	fi, err := os.Stat(path)
	if err != nil || path == "" || fi.Mode().IsRegular() && fi.Size() == 0 {
		return nil
	}
	if !fi.Mode().IsRegular() {
		return errors.New("this is no regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil // which the probe says
	}
	defer f.Close()
	const magic = "SQLite format 3\x00" // https://www.sqlite.org/fileformat.html 1.3.1
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(f, head); err != nil || string(head) != magic {
		return errors.New("this file is no database")
	}
	return nil
}

// hostForm reports whether a text can be a host: an address, or a name of labels.
func hostForm(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		bad := strings.ContainsFunc(label, func(r rune) bool {
			return r != '-' && r != '_' && r < 0x80 && !unicode.IsLetter(r) && !unicode.IsDigit(r) || unicode.IsControl(r) || unicode.IsSpace(r)
		})
		if label == "" || len(label) > 63 || bad {
			return false
		}
	}
	return true
}

func interfaceNames() string {
	var names []string
	list, _ := net.Interfaces() // it only helps
	for _, i := range list {
		names = append(names, i.Name)
	}
	return strings.Join(names, ", ")
}

// openCase makes a new case of a real client.
func openCase() (*journal.Case, error) {
	dir, err := journal.Dir()
	if err != nil {
		return nil, err
	}
	return journal.Create(dir, journal.Options{Tool: versionLine(), Now: time.Now, Rand: rand.IntN})
}

// keepPackets lets what is captured live go into the case as it comes, and the client's packets of the
// capture files that were named.
func keepPackets(world *site.World, book *journal.Case) {
	world.KeepPackets(wireFiles(book))
	world.KeepFiles(wireFiles(book))
}

// wireFiles makes files for packets in a case.
func wireFiles(book *journal.Case) func(side string) (io.WriteCloser, string, error) {
	return func(side string) (io.WriteCloser, string, error) {
		path, ref, err := book.WirePath(side)
		if err != nil {
			return nil, "", err
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0o600)
		if err != nil {
			return nil, "", err
		}
		return f, ref, nil
	}
}

// diagnoseHere probes this machine and its network. Nobody is asked: what a person knows comes as
// --answer.
func diagnoseHere(e *env, o *siteOptions, form *reportFlags) (code int, err error) {
	if err := o.readCertificate(e); err != nil {
		return exitUsage, err
	}
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
	keepPackets(world, book)
	walk, err := flow.New(flow.Options{World: onlyWorld{world, form.want}, Journal: book, Judge: form.judge, Info: checkInfo, Facts: facts})
	if err != nil {
		return exitUndecided, err
	}
	s, err := walkAlone(e.ctx, walk, book.ID())
	switch {
	case e.ctx.Err() != nil:
		return exitInterrupt, &amt.Error{Op: "diagnose", Err: errors.New("interrupted")}
	case err != nil:
		return exitFault, err
	}
	for _, p := range s.Problems {
		for line := range strings.SplitSeq(p, "\n") {
			fmt.Fprintf(e.stderr, "amtmedic: %s\n", plain(line))
		}
	}
	return form.print(e.stdout, &judged{before: s.Judgement, facts: s.Facts, accepted: form.found(s.Facts, s.Now)})
}

// walkAlone walks until a verdict stands or nothing more can be known without a person. It gives the
// state then; the error is that of a case that cannot be kept.
func walkAlone(ctx context.Context, walk *flow.Walk, caseID string) (flow.Snapshot, error) {
	run, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cancel(runWalk(run, walk, caseID))
	}()
	s, err := flow.Settle(run, walk)
	if err != nil {
		err = context.Cause(run)
	}
	cancel(nil)
	<-ended // the case is closed next
	return s, err
}
