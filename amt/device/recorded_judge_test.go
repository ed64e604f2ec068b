package device

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/xml"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"amtmedic/amt"
)

// el is an element as the reader of the standard library sees it.
type el struct {
	XMLName xml.Name
	Attrs   []xml.Attr `xml:",any,attr"`
	Kids    []el       `xml:",any"`
	Text    string     `xml:",chardata"`
}

func (e *el) kid(path ...string) *el {
	for _, name := range path {
		if e == nil {
			return nil
		}
		i := slices.IndexFunc(e.Kids, func(k el) bool { return k.XMLName.Local == name })
		if i < 0 {
			return nil
		}
		e = &e.Kids[i]
	}
	return e
}

func (e *el) value(path ...string) string {
	if k := e.kid(path...); k != nil {
		return strings.TrimSpace(k.Text)
	}
	return ""
}

// content is the first element of the body.
func (e *el) content() *el {
	if b := e.kid("Body"); b != nil && len(b.Kids) > 0 {
		return &b.Kids[0]
	}
	return nil
}

// mirror answers requests with what real firmware once answered to such ones, and keeps the requests.
type mirror struct {
	answers map[string]string // by what was asked: operation and URI of the class
	first   map[string]*el    // instance of a class, by its URI

	mu    sync.Mutex
	asked []*el
	lacks []string
}

func newMirror(t *testing.T) *mirror {
	t.Helper()
	_ = recorded(t, "amt", "general", "get.xml") // skips where nothing was recorded
	m := &mirror{answers: map[string]string{}, first: map[string]*el{}}
	err := filepath.WalkDir(filepath.Join(os.Getenv("AMTMEDIC_FOREIGN_DATA"), "wsman"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".xml" || strings.HasSuffix(name, "-bad.xml") {
			return err
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		m.learn(raw)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.first) < 60 {
		t.Fatalf("only %d classes were recorded", len(m.first))
	}
	return m
}

// learn takes an answer into the index.
func (m *mirror) learn(raw []byte) {
	var e el
	if xml.Unmarshal(raw, &e) != nil {
		return
	}
	c, uri := e.content(), e.value("Header", "ResourceURI")
	if c == nil {
		return
	}
	action := e.value("Header", "Action")
	op := action[strings.LastIndexByte(action, '/')+1:]
	switch op {
	case "PullResponse":
		if items := c.kid("Items"); items != nil && len(items.Kids) > 0 {
			uri = items.Kids[0].XMLName.Space
			m.note(uri, &items.Kids[0])
		}
	case "GetResponse", "PutResponse":
		uri = c.XMLName.Space
		m.note(uri, c)
	case "EnumerateResponse":
	default:
		op, uri = strings.TrimSuffix(c.XMLName.Local, "_OUTPUT")+"Response", c.XMLName.Space
	}
	key := op + " " + uri
	if _, taken := m.answers[key]; !taken {
		m.answers[key] = string(raw)
	}
}

func (m *mirror) note(uri string, instance *el) {
	if m.first[uri] == nil {
		m.first[uri] = instance
	}
}

// serve answers as long as the other side asks.
func (m *mirror) serve(p *peer) {
	for {
		_, body, ok := p.request()
		if !ok {
			return
		}
		var e el
		if err := xml.Unmarshal([]byte(body), &e); err != nil {
			p.answer(500, "", "")
			return
		}
		action, uri := e.value("Header", "Action"), e.value("Header", "ResourceURI")
		op := action[strings.LastIndexByte(action, '/')+1:]
		answer := m.answers[op+"Response "+uri]
		if op == "Enumerate" && answer == "" { // all of them look alike
			for key, a := range m.answers {
				if strings.HasPrefix(key, "EnumerateResponse ") {
					answer = a
				}
			}
		}
		if op == "Put" && answer == "" {
			answer = m.answers["GetResponse "+uri]
		}
		m.mu.Lock()
		m.asked = append(m.asked, &e)
		if answer == "" {
			m.lacks = append(m.lacks, op+" "+uri)
		}
		m.mu.Unlock()
		if answer == "" {
			p.answer(400, "Content-Type: application/soap+xml\r\n", strings.ReplaceAll(faultAnswer, "%s", "ActionNotSupported"))
			continue
		}
		p.answer(200, "Content-Type: application/soap+xml\r\n", answer)
	}
}

// Every request of a setup, of its maintenance and its end, is held against what firmware once answered to
// such ones: class and namespace, the name of the method, the elements of an instance that is put back and
// their order, the keys that name it, the form of references. What no answer was recorded of is named.
func TestRequestsFitWhatFirmwareAnswered(t *testing.T) {
	m := newMirror(t)
	d := NewWSMan(plain(t, newScripted(t, m.serve), admin("P@ssw0rd")))
	ctx, yes, no := testContext(t), true, false
	run := map[string]error{}
	_, run["identify"] = d.Identify(ctx)
	_, run["state"] = d.State(ctx)
	run["window"] = d.ExtendWindow(ctx, 2)
	run["clock"] = d.SetClock(ctx, time.Now)
	run["names"] = d.SetNames(ctx, Names{Host: "pc-0815", Domain: "corp.example"})
	run["mebx"] = d.SetMEBxPassword(ctx, amt.NewSecret("M3bx-Passw0rd!"))
	run["admin"] = d.SetAdmin(ctx, Login{User: "admin", Password: amt.NewSecret("N3w-Passw0rd!")})
	run["user"] = d.SetUser(ctx, User{Name: "tech", Password: amt.NewSecret("T3ch-Passw0rd"), Access: AnyAccess, Realms: []int{2, 5}})
	run["remove"] = d.RemoveUser(ctx, "tech")
	_, run["power"] = d.PowerPolicies(ctx)
	run["scheme"] = d.SetPowerPolicy(ctx, "SCHEME 1")
	run["redirection"] = d.SetRedirection(ctx, Redirection{SOL: &no, IDER: &no, Listener: &no})
	run["listener"] = d.SetRedirection(ctx, Redirection{Listener: &yes})
	run["consent"] = d.SetConsent(ctx, ConsentKVM)
	run["consent none"] = d.SetConsent(ctx, ConsentNone)
	run["network"] = d.SetNetwork(ctx, Network{DHCP: &no, Address: "10.1.0.7", Mask: "255.255.255.0", Gateway: "10.1.0.1", DNS: []string{"10.1.0.53"}, Ping: &no, RMCP: &no, Link: []int{1, 14}})
	root := selfMade(t)
	run["tls"] = d.SetTLS(ctx, TLS{On: true, Mutual: true, Names: []string{"console.corp.example"}, Root: root, TrustRoot: true, Roots: []*x509.Certificate{root},
		Sign: func(context.Context, crypto.PublicKey) ([]byte, error) { return root.Raw, nil }})
	run["tls off"] = d.SetTLS(ctx, TLS{})
	run["pair"] = d.SetPair(ctx, "4KRG65QT", amt.NewSecret("0000-1111-2222-3333-4444-5555-6666-7777"))
	run["commit"] = d.Commit(ctx)
	run["partial"], run["full"] = d.Unprovision(ctx, false), d.Unprovision(ctx, true)
	for name, err := range run {
		if err != nil && !slices.Contains([]string{"window", "user", "scheme", "pair"}, name) { // no answer to them was recorded
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(m.asked) < 30 {
		t.Fatalf("only %d requests", len(m.asked))
	}
	judged := 0
	for _, e := range m.asked {
		judged += m.judge(t, e)
	}
	slices.Sort(m.lacks)
	t.Logf("%d requests, %d judged; no answer was recorded to: %v", len(m.asked), judged, slices.Compact(m.lacks))
	if judged < 25 {
		t.Errorf("only %d requests were judged", judged)
	}
}

// judge compares one request with what was recorded; 1 when something was.
func (m *mirror) judge(t *testing.T, e *el) int {
	t.Helper()
	action, uri := e.value("Header", "Action"), e.value("Header", "ResourceURI")
	op := action[strings.LastIndexByte(action, '/')+1:]
	class := uri[strings.LastIndexByte(uri, '/')+1:]
	instance := m.first[uri]
	for _, s := range keysOf(e.kid("Header", "SelectorSet")) {
		if instance != nil && instance.kid(s[0]) == nil {
			t.Errorf("%s %s: its instances have no %s", op, class, s[0])
		}
	}
	c := e.content()
	switch op {
	case "Get", "Enumerate", "Pull", "Create":
		if op == "Create" && c != nil {
			m.sameForm(t, c, instance, nil)
		}
	case "Put":
		m.sameForm(t, c, instance, m.mayDiffer(class))
	default:
		answer, ok := m.answers[op+"Response "+uri]
		if !ok {
			return 0
		}
		var a el
		if err := xml.Unmarshal([]byte(answer), &a); err != nil {
			t.Fatal(err)
		}
		if want := strings.TrimSuffix(a.value("Header", "Action"), "Response"); action != want && want != "" {
			t.Errorf("the action is %s, the answer was to %s", action, want)
		}
		if out := a.content(); c == nil || c.XMLName.Space != out.XMLName.Space || c.XMLName.Local != strings.TrimSuffix(out.XMLName.Local, "_OUTPUT")+"_INPUT" {
			t.Errorf("%s.%s: the body does not fit", class, op)
		}
		for _, k := range c.Kids {
			if k.XMLName.Space != uri {
				t.Errorf("%s.%s: %s is in the namespace %q", class, op, k.XMLName.Local, k.XMLName.Space)
			}
		}
		return 1
	}
	if instance == nil {
		return 0
	}
	if instance.XMLName.Space != uri || instance.XMLName.Local != class {
		t.Errorf("%s: firmware calls it %s of %s", uri, instance.XMLName.Local, instance.XMLName.Space)
	}
	return 1
}

// mayDiffer names what a Put adds to or leaves out of an instance, and why it may.
func (m *mirror) mayDiffer(class string) []string {
	switch class {
	case "AMT_TLSSettingData":
		return []string{"TrustedCN"} // an array, empty in the recorded one
	case "AMT_EthernetPortSettings":
		return []string{"IPAddress", "SubnetMask", "DefaultGateway", "PrimaryDNS", "SecondaryDNS", "LinkPolicy"} // with DHCP there are none; an array
	}
	return nil
}

// sameForm compares the elements of two instances and their order, and their references.
func (m *mirror) sameForm(t *testing.T, sent, had *el, free []string) {
	t.Helper()
	if sent == nil || had == nil {
		return
	}
	if sent.XMLName != had.XMLName {
		t.Errorf("sent %v, firmware has %v", sent.XMLName, had.XMLName)
	}
	names := func(e *el) (out []xml.Name) {
		for _, k := range e.Kids {
			if !slices.Contains(free, k.XMLName.Local) {
				out = append(out, k.XMLName)
			}
		}
		return out
	}
	if a, b := names(sent), names(had); !slices.Equal(a, b) {
		t.Errorf("%s: sent %v\nfirmware has %v", had.XMLName.Local, a, b)
	}
	for i := range had.Kids {
		k := &had.Kids[i]
		s := sent.kid(k.XMLName.Local)
		if s == nil || k.kid("ReferenceParameters") == nil {
			continue
		}
		for _, path := range [][]string{{"Address"}, {"ReferenceParameters"}, {"ReferenceParameters", "ResourceURI"}, {"ReferenceParameters", "SelectorSet"}} {
			x, y := s.kid(path...), k.kid(path...)
			if x == nil || x.XMLName != y.XMLName {
				t.Errorf("reference %s: %v of firmware is not as we send it: %+v", k.XMLName.Local, path, x)
			}
		}
		if x, y := s.value("ReferenceParameters", "ResourceURI"), k.value("ReferenceParameters", "ResourceURI"); x != y {
			t.Errorf("reference %s: to %s, firmware has %s", k.XMLName.Local, x, y)
		}
	}
}

// keysOf lists names and values of selectors.
func keysOf(set *el) (out [][2]string) {
	if set == nil {
		return nil
	}
	for _, s := range set.Kids {
		for _, a := range s.Attrs {
			if a.Name.Local == "Name" {
				out = append(out, [2]string{a.Value, strings.TrimSpace(s.Text)})
			}
		}
	}
	return out
}

// selfMade is a root that nobody else has.
func selfMade(t *testing.T) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(certificate(t, "root").Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return c
}
