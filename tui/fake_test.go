package tui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/diag/probe"
	"amtmedic/diag/remedy"
)

// fake is a scripted walk: it shows one scene after the other, and goes on when it is answered or
// repaired.
type fake struct {
	mu      sync.Mutex
	scenes  []flow.Snapshot
	at      int
	changed chan struct{}
	calls   []string
	plan    remedy.Plan
	auto    bool
	planErr error
	doErr   error
	busy    bool // a line is seen with every look
	looks   int
	began   time.Time // when set, the clock of the scenes runs from here
}

func newFake(scenes ...flow.Snapshot) *fake {
	return &fake{scenes: scenes, changed: make(chan struct{}, 1), plan: dnsPlan(), auto: true}
}

func (f *fake) signal() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// next shows the next scene.
func (f *fake) next(call string) {
	f.mu.Lock()
	f.calls = append(f.calls, call)
	f.at = min(f.at+1, len(f.scenes)-1)
	f.mu.Unlock()
	f.signal()
}

func (f *fake) called() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.calls, " ")
}

func (f *fake) note(call string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
}

func (f *fake) Snapshot() flow.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.scenes[f.at]
	if !f.began.IsZero() {
		s.Now = s.Now.Add(time.Since(f.began))
	}
	f.looks++
	if f.busy {
		s.Step.Seen = append(slices.Clone(s.Step.Seen), fmt.Sprintf("packet %d", f.looks), fmt.Sprintf("answer %d", f.looks))
	}
	return s
}
func (f *fake) Changed() <-chan struct{} { return f.changed }
func (f *fake) Answer(q string, option int, text string) error {
	if text == "bad" {
		f.note("refused")
		return errors.New("read version: bad is not a version")
	}
	f.next(fmt.Sprintf("answer(%s,%d,%s)", q, option, text))
	return nil
}
func (f *fake) Skip()            { f.next("skip") }
func (f *fake) Undo()            { f.note("undo") }
func (f *fake) Recheck(c string) { f.next("recheck(" + c + ")") }
func (f *fake) Drain()           { f.note("drain") }
func (f *fake) Preview(_ context.Context, r diag.Remedy) (remedy.Plan, bool, error) {
	f.note("preview(" + r.ID + ")")
	return f.plan, f.auto, f.planErr
}
func (f *fake) Apply(_ context.Context, r diag.Remedy, in map[string]string) (string, error) {
	if f.doErr != nil {
		f.note("apply failed")
		return "", f.doErr
	}
	f.next(fmt.Sprintf("apply(%s,%d inputs)", r.ID, len(in)))
	return "the record is there, asked at 10.20.0.53", nil
}
func (f *fake) UndoRemedy(context.Context) error { f.note("undo-remedy"); return nil }

// Questions can be answered out of turn.
func (f *fake) Questions() []probe.Question {
	q := passwordQuestion()
	v := versionQuestion()
	return []probe.Question{q, v}
}

var t0 = time.Date(2026, 11, 23, 10, 3, 0, 0, time.UTC)

const uuid = "4c4c4544-0058-3910-8059-b7c04f4b5a31"

// titles are the words of checks and causes in these tests.
var titles = map[string]string{
	"chk-sku": "product has AMT", "chk-enabled": "AMT enabled", "chk-prov-state": "in Setup Mode, PSK",
	"chk-password": "MEBx password", "chk-window": "hello leaves the client", "chk-client-target": "right address",
	"chk-dns-client": "resolves at the client", "chk-dns-server": "resolves at the server",
	"chk-connect-9971": "port answers", "chk-listen": "service listens", "chk-hello-at-server": "hello arrives whole",
	"chk-service": "service runs", "chk-amtscs": "web directory", "chk-db": "database answers", "chk-pid": "PID is known",
	"chk-back": "connection back", "chk-params": "name and profile", "chk-tls-artifacts": "certificates", "chk-mgmt": "can be managed",
	"rc-hello-expired": "the setup window ran out", "rc-dns-no-record": "no record of that name", "rc-usb-key-layout": "the key is laid out wrong",
}

func title(id string) string {
	if t := titles[id]; t != "" {
		return t
	}
	return id
}

func checks(upTo diag.Station, broken string) []diag.Result {
	rows := []struct {
		id string
		st diag.Station
	}{{"chk-sku", diag.Firmware}, {"chk-enabled", diag.Firmware}, {"chk-prov-state", diag.Firmware}, {"chk-usb", diag.Firmware},
		{"chk-window", diag.Wire}, {"chk-client-target", diag.Wire}, {"chk-dns-client", diag.Name}, {"chk-dns-server", diag.Name},
		{"chk-connect-9971", diag.Port}, {"chk-listen", diag.Port}, {"chk-hello-at-server", diag.Port}, {"chk-service", diag.Service},
		{"chk-amtscs", diag.Service}, {"chk-db", diag.Database}, {"chk-pid", diag.Credentials}, {"chk-back", diag.Credentials},
		{"chk-params", diag.FQDN}, {"chk-tls-artifacts", diag.TLS}, {"chk-mgmt", diag.Provisioned}}
	var out []diag.Result
	for _, r := range rows {
		res := diag.Result{Check: r.id, Station: r.st, Light: diag.Unlooked}
		switch {
		case r.id == "chk-usb":
			res.Light = diag.NotApplicable
		case r.id == broken:
			res.Light = diag.Broken
			res.Causes = []diag.Named{{ID: "rc-dns-split-horizon", Confidence: diag.Proven, Decided: []string{"dns.client", "dns.server"}}}
		case r.st < upTo:
			res.Light = diag.Good
		case broken != "":
			res.Light = diag.NotJudged
		}
		out = append(out, res)
	}
	return out
}

func lights(good int, then diag.Light) [diag.Stations]diag.Light {
	var l [diag.Stations]diag.Light
	for i := range good {
		l[i] = diag.Good
	}
	if good < diag.Stations {
		l[good] = then
	}
	return l
}

func someFacts() []diag.Fact {
	dns := func(v diag.Vantage, key, rcode, addr, server string, s int) diag.Fact {
		m := map[string]any{"qname": "provisionserver.corp.example", "rcode": rcode, "server": server}
		if addr != "" {
			m["addr"] = []any{addr}
		}
		return diag.Fact{At: t0.Add(time.Duration(s) * time.Second), Vantage: v, Key: key, Value: m, Probe: "names-" + string(v), Evidence: diag.Evidence{"names.txt line 3"}}
	}
	return []diag.Fact{
		{At: t0, Vantage: diag.AtClient, Key: "client.amt_version", Value: "3.2.1", Probe: "person"},
		{At: t0.Add(2 * time.Second), Vantage: diag.AtClient, Key: "client.prov_state", Value: "in", Probe: "local-me"},
		{At: t0.Add(4 * time.Second), Vantage: diag.AtClient, Key: "client.enabled", Value: true, Probe: "local-me"},
		dns(diag.AtClient, "dns.client", "NXDOMAIN", "", "10.20.0.53", 12),
		dns(diag.AtServer, "dns.server", "NOERROR", "10.1.0.10", "10.1.0.53", 15),
		{At: t0.Add(20 * time.Second), Vantage: diag.AtClient, Key: "wire.client.syn", Value: diag.None, Probe: "wire-client"},
	}
}

func base() flow.Snapshot {
	return flow.Snapshot{World: "this machine", CaseID: "PC-0412", Now: t0.Add(41 * time.Second),
		Judgement: diag.Judgement{UUID: uuid, Method: "psk", Road: lights(1, diag.Unlooked), Checks: checks(diag.Wire, ""),
			Next:     &diag.Next{ID: "chk-window", Text: "does a hello leave the client?"},
			Wanted:   []string{"wire.client.syn", "dns.client"},
			Possible: []string{"rc-dns-no-record", "rc-hello-expired", "rc-usb-key-layout"}},
		Facts: someFacts()[:3]}
}

func probing() flow.Snapshot {
	s := base()
	s.Step = flow.Step{Kind: flow.Probing, Since: t0, Until: t0.Add(72 * time.Second), WaitsFor: "a SYN to port 9971",
		Check: flow.Info{ID: "chk-window", Title: "Does a hello leave the client?", Station: diag.Wire,
			Why: "A client in Setup Mode sends SYNs to port 9971. If none leaves, nothing behind it can be at fault yet."},
		What: "capture on eth0, tcp port 9971",
		Seen: []string{"0:07  DHCP  lease 10.20.0.7, no option 15", "0:07  DNS   provisionserver. → NXDOMAIN", "no SYN to 9971"}}
	return s
}

func passwordQuestion() probe.Question {
	return probe.Question{ID: "client.mebx_password", Check: "chk-password", Title: "Which password does the MEBx take?",
		Why:     "admin = factory default: One-Touch still works. Any other: somebody was here first.",
		How:     []string{"restart the PC, press Ctrl+P at start-up", "try admin, then the ones your site uses", "change nothing yet"},
		Options: []probe.Option{{Label: "admin is accepted", Follows: "not in Setup Mode, factory"}, {Label: "our own password is accepted", Follows: "not in Setup Mode, changed"}, {Label: "neither is accepted", Follows: "locked; a CMOS reset comes last"}, {Label: "the MEBx does not open"}, {Label: "I cannot get to the PC now"}}}
}

func versionQuestion() probe.Question {
	return probe.Question{ID: "client.amt_version", Check: "chk-versions", Title: "Which AMT version has the client?", Why: "The method depends on it.",
		How: []string{"it stands on the first MEBx page"}, Options: []probe.Option{{Label: "it cannot be told now"}},
		Field: &probe.Field{Label: "version", Hint: "3.2.1", Facts: func(s string) ([]diag.Fact, error) {
			if !strings.Contains(s, ".") {
				return nil, fmt.Errorf("read version: %q is not like 3.2.1", s)
			}
			return []diag.Fact{{Key: "client.amt_version", Value: s}}, nil
		}}}
}

func asking(q probe.Question) flow.Snapshot {
	s := base()
	s.Judgement.Road = lights(0, diag.Unlooked)
	s.Judgement.UUID, s.Judgement.Method = "", ""
	s.Facts = nil
	s.Step = flow.Step{Kind: flow.Asking, Question: &q, Check: flow.Info{ID: q.Check, Title: "MEBx password", Station: diag.Firmware}}
	s.Judgement.Checks[2].Check = "chk-password"
	s.Judgement.Checks[2].Light = diag.Unlooked
	return s
}

func split() flow.Snapshot {
	s := base()
	s.Facts = someFacts()
	s.Step = flow.Step{Kind: flow.Decided}
	j := &s.Judgement
	j.Road = lights(2, diag.Broken)
	for i := 3; i < diag.Stations; i++ {
		j.Road[i] = diag.NotJudged
	}
	j.Checks = checks(diag.Name, "chk-dns-client")
	j.Verdict, j.Component, j.Confidence = "rc-dns-split-horizon", "name service", diag.Proven
	j.Sentence = "The client asks a DNS server that does not know ProvisionServer"
	j.Change = "an answer with 10.1.0.10 from 10.20.0.53"
	j.Consequences, j.DecidedBy = []string{"rc-hello-expired"}, []string{"dns.client", "dns.server", "wire.client.syn"}
	j.Next = nil
	j.Remedies = []diag.Remedy{
		{ID: "rm-dns-split-horizon", Kind: "automatic", Text: "Add the CNAME to the zone at 10.20.0.53"},
		{ID: "rm-dns-split-horizon-2", Kind: "manual", Text: "Enter the server's address in the MEBx"},
		{ID: "rm-restart-hello", Kind: "automatic", Text: "Restart the hello"},
		{ID: "rm-dns-split-horizon-3", Kind: "manual", Destructive: true, Text: "Reset the CMOS and set the client up anew"}}
	return s
}

func rechecking() flow.Snapshot {
	s := split()
	s.Judgement.Verdict, s.Judgement.Sentence, s.Judgement.Remedies = "", "", nil
	s.Judgement.Road = lights(2, diag.Unlooked)
	s.Step = flow.Step{Kind: flow.Probing, Since: s.Now, What: "ask 10.20.0.53 for provisionserver.corp.example", Check: flow.Info{ID: "chk-dns-client", Title: "Does the name resolve at the client?", Station: diag.Name}}
	s.Actions = []flow.Action{{At: t0.Add(30 * time.Second), Remedy: "rm-dns-split-horizon", Stage: "intended", Title: "Add the CNAME to the zone at 10.20.0.53"},
		{At: t0.Add(31 * time.Second), Remedy: "rm-dns-split-horizon", Stage: "done", Title: "Add the CNAME to the zone at 10.20.0.53", Detail: "asked, and it is there"}}
	return s
}

// planned is the moment when the name is repaired and the hello has to be restarted.
func planned() flow.Snapshot {
	s := rechecking()
	s.Step = flow.Step{Kind: flow.Planned, Remedy: &diag.Remedy{ID: "rm-restart-hello", Kind: "manual", Text: "Restart the hello: switch the PC off, unplug it, press the power button until its light has faded, plug it in"}}
	s.Judgement.Road, s.Judgement.Checks = lights(4, diag.Unlooked), checks(diag.Service, "")
	return s
}

// beingProvisioned is the open road with the core at work: at the commit, provisioned, or put off.
func beingProvisioned(state probe.ProgressState) flow.Snapshot {
	s := green()
	s.Step = flow.Step{Kind: flow.Provisioning, Since: t0.Add(151 * time.Second)}
	s.Now = t0.Add(155 * time.Second)
	s.Judgement.Verdict, s.Judgement.Sentence = "ok-in-progress", "The client stands in the queue"
	s.Judgement.Road[diag.TLS], s.Judgement.Road[diag.Provisioned] = diag.Unlooked, diag.Unlooked
	p := probe.Progress{Core: "core on :9971", FQDN: "pc-0412.corp.example", Profile: "default", State: state, Since: t0.Add(151 * time.Second)}
	for i, l := range [][3]string{{"hello", "hello received", "PID 4KRG65QT, from 10.20.0.7"}, {"pid", "PID mapped", "csti_pid_map"},
		{"properties", "name and profile", "pc-0412.corp.example, default"}, {"session", "TLS-PSK session", "10.20.0.7:16993"},
		{"clock", "clock set", ""}, {"names", "host and domain", ""}, {"admin", "admin password", "stored before it was sent"},
		{"commit", "commit", "the client may close the line here"}, {"verify", "log in with the new password", ""}, {"provisioned", "provisioned", "csti_amts"}} {
		light, at := diag.Good, t0.Add(time.Duration(151+i/2)*time.Second)
		switch {
		case state == probe.ProgressRunning && i > 7, state == probe.ProgressDelayed && i > 3:
			light, at = diag.Unlooked, time.Time{}
		case state == probe.ProgressRunning && i == 7:
			light, at = diag.Busy, time.Time{}
		case state == probe.ProgressDelayed && i == 3:
			light = diag.Broken
		}
		p.Steps = append(p.Steps, probe.ProgressStep{Name: l[0], Title: l[1], Detail: l[2], At: at, Light: light})
	}
	switch state {
	case probe.ProgressDone:
		s.Step, s.Judgement = flow.Step{Kind: flow.Decided}, green().Judgement
		p.Ended = s.Now
	case probe.ProgressDelayed:
		s.Step = flow.Step{Kind: flow.Decided}
		p.Cause, p.Reason, p.Again, p.Ended = "rc-pps-mismatch", "the session ended at connect (key)", t0.Add(185*time.Second), s.Now
	}
	s.Provisioning = &p
	return s
}

func green() flow.Snapshot {
	s := rechecking()
	s.Step = flow.Step{Kind: flow.Decided}
	j := &s.Judgement
	j.Road, j.Checks = lights(diag.Stations, diag.Good), checks(diag.Provisioned+1, "")
	j.Verdict, j.Component, j.Confidence, j.Complete = "ok-provisioned", "", diag.Proven, true
	j.Sentence = "The client is provisioned and can be managed"
	j.Change, j.Consequences, j.Possible, j.DecidedBy = "a log-in that is refused", nil, nil, []string{"client.prov_state"}
	return s
}

func dnsPlan() remedy.Plan {
	return remedy.Plan{Title: "Add the CNAME to the zone at 10.20.0.53",
		Rows: []remedy.Row{{Label: "will send", Text: "DNS update (RFC 2136), signed with key amtmedic-key"}, {Label: "to", Text: "10.20.0.53:53, zone corp.example"},
			{Label: "adds", Text: "provisionserver.corp.example.  300  CNAME  ns1.corp.example."}, {Label: "removes", Text: "nothing"},
			{Label: "checked first", Text: "no record of that name there (asked 10:04:02)"}},
		ByHand: []string{"open the zone corp.example at 10.20.0.53", "add provisionserver CNAME ns1.corp.example.", "ask for it: dig @10.20.0.53 provisionserver.corp.example"},
		Fields: []remedy.Field{{Name: "key", Label: "key name", Hint: "amtmedic-key"}, {Name: "secret", Label: "key secret", Hint: "base64", Secret: true, Check: func(s string) error {
			if s == "" {
				return errors.New("it is empty")
			}
			return nil
		}}},
		Confirm: "yes", Undo: "deletes exactly this record"}
}

func practice() flow.Snapshot {
	s := probing()
	s.World, s.CaseID = "practice", "lab-dns-split"
	s.Client = []string{"Intel(R) Management Engine BIOS Extension", "", "AMT version      3.2.1", "State            in Setup Mode", "Network          10.20.0.7 by DHCP"}
	return s
}

func startData() Start {
	part := func(id, t, p, h string) Symptom { return Symptom{ID: id, Text: t, Part: p, Hint: h} }
	st := Start{Machine: "linux · root · eth0, lo", Can: []string{"probe names and ports", "read captures", "run the core"},
		Missing: []Missing{{What: "capture live", Needs: "needs one right", Command: "sudo setcap cap_net_raw,cap_net_admin=eip $(which amtmedic)"}},
		Recent:  []string{"PC-0412 rc-dns-split-horizon yesterday", "PC-0398 ok-provisioned"},
		Symptoms: []Symptom{part("sym-no-systems", "The PC does not appear in the console", "server", "client or network"),
			part("sym-none-provision", "It appears, but stays unprovisioned", "server", "server or credentials"),
			part("sym-realtime-no-amt", "It was provisioned, now it cannot be managed", "console", "after provisioning"),
			part("sym-usb-ignored", "One-Touch with a USB key did nothing", "client", "client, USB key"),
			part("sym-script-failed", `"Properties Script failed" in the log`, "server", "server, script"),
			part("sym-console-error", "The console shows an error on its nodes", "console", "web directory, database")},
		Faults: []Fault{{ID: "rc-dns-split-horizon", Text: "the client's DNS server does not know the name", Available: true, Needs: ""}, {ID: "rc-fw-9971-blocked", Text: "a firewall drops port 9971", Available: false, Needs: "root and nft"}, {ID: "rc-pps-mismatch", Text: "the PPS of client and server differ", Available: true, Needs: ""}}}
	for i := range 64 {
		st.Symptoms = append(st.Symptoms, part(fmt.Sprintf("sym-more-%02d", i), fmt.Sprintf("Another thing that is seen, number %d", i), "client", "somewhere"))
	}
	return st
}
