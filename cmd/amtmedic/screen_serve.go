package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/cert"
	"amtmedic/amt/profile"
	"amtmedic/amt/store"
	"amtmedic/tui/page/core"
	setup "amtmedic/tui/page/server"
)

// serveControl starts "amtmedic serve" inside the workstation: the same flags, checks and construction,
// with its log lines as events of the page. Nil where the database cannot be named.
func (o *siteOptions) serveControl(e *env) *setup.Control {
	target := o.database()
	if target == "" {
		return nil
	}
	args := []string{"--db", target}
	for flag, value := range map[string]string{"--key-file": *o.keyFile, "--provisioning-cert": *o.cert} {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	return embedded(e, args)
}

// embedded is serve with these arguments.
func embedded(e *env, args []string) *setup.Control {
	inside := func(ctx context.Context, out io.Writer) *env {
		return &env{ctx: ctx, stdin: strings.NewReader(""), stdout: out, stderr: io.Discard} // nobody is asked behind the screen
	}
	return &setup.Control{
		Plan: func(ctx context.Context) (setup.Plan, error) {
			return planServe(inside(ctx, io.Discard), args)
		},
		Run: func(ctx context.Context, report func(setup.Event)) error {
			_, err := runServeHere(inside(ctx, &logEvents{report: report}), args)
			if ctx.Err() != nil && errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		},
	}
}

// planServe says what serve would do with these arguments. It opens nothing but the database, to read.
func planServe(e *env, args []string) (setup.Plan, error) {
	fs, o, db, err := readServe(e, args)
	if err != nil {
		return setup.Plan{}, err
	}
	target, err := db.target()
	if err != nil {
		return setup.Plan{}, err
	}
	p := setup.Plan{}
	if !strings.Contains(target, "://") { // a URL may have a password
		p.ByHand = "amtmedic serve " + strings.Join(shellWords(args), " ")
	}
	add := func(label, words string) { p.Rows = append(p.Rows, setup.Row{Label: label, Text: plain(words)}) }
	has, defaultProfile := "nothing: it will be made, with the profile default", "default: random password for each client, TLS off"
	st, err := store.OpenExisting(e.ctx, target, db.options(e))
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return p, err
	default:
		defer func() { _ = st.Close() }()
		if err := o.fromDatabase(e, fs, st); err != nil {
			return p, err
		}
		if has, defaultProfile, err = planDatabase(e.ctx, st); err != nil {
			return p, err
		}
	}
	add("listens on", *o.listen+listenWords(*o.listen))
	add("database", databaseLabel(target))
	add("it holds", has)
	add("profile", defaultProfile)
	add("certificate", o.planCertificate(e))
	add("names from", planNames(*o.sources, *o.script))
	add("web service", "none")
	if p.Refused, p.Hint = portTaken(e.ctx, *o.listen); p.Refused == "" {
		if _, err := o.firmware(e); err != nil {
			var known *amt.Error
			if p.Refused = err.Error(); errors.As(err, &known) {
				p.Hint = known.Hint
			}
		}
	}
	return p, nil
}

// shellWords puts quotation marks around arguments that a shell would take apart.
func shellWords(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		if out[i] = a; strings.ContainsAny(a, " '\"$\\;&|") {
			out[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return out
}

// databaseLabel names a database without the password that its URL may have.
func databaseLabel(target string) string { return core.NewDatabase(target, store.Options{}).Label() }

func listenWords(listen string) string {
	host, _, _ := net.SplitHostPort(listen)
	if host != "" {
		return ""
	}
	return ", on every address of this machine"
}

// planDatabase says what a database holds that a start would work with.
func planDatabase(ctx context.Context, st *store.Store) (has, defaultProfile string, err error) {
	keys, unused, err := st.PIDCounts(ctx)
	if err != nil {
		return "", "", err
	}
	q, err := st.QueueStats(ctx)
	if err != nil {
		return "", "", err
	}
	has = fmt.Sprintf("%d keys, %d of them unused; %d clients in the queue, %d delayed", keys, unused, q.Queued, q.Delayed)
	conf, err := st.Config(ctx)
	if err != nil {
		return has, "", err
	}
	name := conf["default_profile"]
	body, ok, err := st.ProfileBody(ctx, name)
	if err != nil || !ok {
		return has, name + ": there is no profile of that name, clients wait", err
	}
	p, err := profile.ReadJSON(name, body)
	if err != nil {
		return has, name + ": it cannot be applied, clients wait", nil
	}
	return has, fmt.Sprintf("%s: network password %s, TLS %s", name, p.Network.Rule, p.TLS.Mode), nil
}

// planCertificate says for whom the certificate is.
func (o serveOptions) planCertificate(e *env) string {
	if *o.cert == "" {
		return "none: clients with PID and PPS only"
	}
	f, err := readCert(e, *o.cert, "")
	if err != nil {
		return *o.cert + ": it cannot be read"
	}
	r := cert.Judge(f, cert.Question{Now: time.Now()})
	return fmt.Sprintf("%s: %s, until %s", *o.cert, r.Subject, r.NotAfter.UTC().Format(time.DateOnly))
}

func planNames(sources, script string) string {
	words := map[string]string{"map": "the UUID map", "script": "the properties script " + script, "dns": "reverse DNS"}
	if sources == "" {
		sources = "map"
	}
	var out []string
	for name := range strings.SplitSeq(sources, ",") {
		out = append(out, words[strings.TrimSpace(name)])
	}
	return strings.Join(out, ", then ")
}

// portTaken says who has the port that serve would listen on; empty when nobody has.
func portTaken(ctx context.Context, listen string) (why, hint string) {
	owner, taken := portOwner(listen)
	if !taken {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
		if err == nil {
			_ = l.Close()
			return "", ""
		}
		var known *amt.Error
		if errors.As(listenError(listen, err), &known) {
			hint = known.Hint
		}
		return fmt.Sprintf("port %s cannot be had: %v", listen, err), hint
	}
	if owner == "" {
		owner = "a program of another user"
	}
	return fmt.Sprintf("%s is taken by %s", listen, owner), "end that program; if it is a setup server, a walk reads its database with --db"
}

// logEvents turns the log lines of serve into events of the page.
type logEvents struct {
	report func(setup.Event)

	mu   sync.Mutex
	rest []byte
}

// Write takes lines as they come.
func (l *logEvents) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, b...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok {
			return len(b), nil
		}
		l.rest = rest
		var v map[string]any
		if json.Unmarshal(line, &v) == nil {
			l.report(eventOf(v))
		}
	}
}

// eventKinds are the messages that the page counts.
var eventKinds = map[string]setup.Kind{msgReady: setup.Ready, "hello": setup.Hello, "provisioned": setup.Provisioned, "client delayed": setup.Delayed}

// eventDetails are the attributes worth a line beside the client, in this order.
var eventDetails = []string{"code", "reason", "fqdn", "address", "source", "from", "pid", "action", "listen", "text", "err"}

// eventOf makes an event of a log line.
func eventOf(v map[string]any) setup.Event {
	str := func(name string) string {
		s, _ := v[name].(string)
		return s
	}
	e := setup.Event{What: str("msg"), Client: str("uuid"), Kind: eventKinds[str("msg")]}
	e.At, _ = time.Parse(time.RFC3339Nano, str("time"))
	if e.Kind == setup.Hello && str("action") == "delayed" {
		e.Kind = setup.HelloDelayed
	}
	if e.Kind == setup.Other && str("level") == "ERROR" {
		e.Kind = setup.Failed
	}
	var words []string
	for _, name := range eventDetails {
		if s := str(name); s != "" {
			words = append(words, s)
		}
	}
	e.Detail = strings.Join(words, " · ")
	return e
}
