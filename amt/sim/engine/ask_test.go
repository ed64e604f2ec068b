package engine

import (
	"crypto/rand"
	"crypto/rsa"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

// keyPool makes two RSA keys once for all tests.
var keyPool = struct {
	sync.Once
	keys []*rsa.PrivateKey
}{}

func poolKey(t testing.TB, n int) *rsa.PrivateKey {
	keyPool.Do(func() {
		for range 3 {
			k, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				t.Error(err)
				return
			}
			keyPool.keys = append(keyPool.keys, k)
		}
	})
	return keyPool.keys[n%len(keyPool.keys)]
}

var testNow = time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)

func testConfig(t testing.TB, version string) Config {
	t.Helper()
	v, err := amt.ParseVersion(version)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := amt.ParseUUID("4c4c4544-0058-3910-8059-b7c04f4b5a31")
	n := 0
	return Config{UUID: u, Version: v, Now: func() time.Time { return testNow }, Addr: netip.MustParseAddr("127.0.1.1"),
		Hashes: []hello.Hash{{Algorithm: hello.SHA256, Digest: make([]byte, 32)}},
		Keys: func(bits int) (*rsa.PrivateKey, error) {
			n++
			return poolKey(t, n-1), nil
		}}
}

// asker asks an engine in the message form of MeshCentral (provisioning-protocol 3.3).
type asker struct {
	t testing.TB
	e *Engine
	s Session
	n int
}

func newAsker(t testing.TB, e *Engine) *asker {
	return &asker{t: t, e: e, s: Session{Secure: true, User: "admin", From: netip.MustParseAddrPort("127.0.0.1:40000")}}
}

const meshHead = `<?xml version="1.0" encoding="utf-8"?><Envelope xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema" ` +
	`xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns="http://www.w3.org/2003/05/soap-envelope" >`

// message writes a message; selectors is XML or empty.
func (a *asker) message(action, class, selectors, body string) string {
	a.n++
	return meshHead + "<Header><a:Action>" + action + "</a:Action><a:To>/wsman</a:To><w:ResourceURI>" + uriOf(class) + "</w:ResourceURI><a:MessageID>" +
		itoa(a.n) + "</a:MessageID><a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>" +
		"<w:OperationTimeout>PT60S</w:OperationTimeout>" + selectors + "</Header><Body>" + body + "</Body></Envelope>"
}

func (a *asker) post(body string) Answer { return a.e.Answer(a.s, "POST", "/wsman", nil, []byte(body)) }

// ask sends a message and gives the answer and what stands in its body.
func (a *asker) ask(action, class, selectors, body string) (Answer, *node) {
	a.t.Helper()
	ans := a.post(a.message(action, class, selectors, body))
	if len(ans.Body) == 0 {
		return ans, nil
	}
	root, err := parse(ans.Body)
	if err != nil {
		a.t.Fatalf("answer to %s: %v\n%s", action, err, ans.Body)
	}
	if rel := root.kid("Header").value("RelatesTo"); rel != itoa(a.n) {
		a.t.Errorf("%s: RelatesTo %q, not %d", action, rel, a.n)
	}
	return ans, root.kid("Body").first()
}

func (a *asker) get(class string) *node {
	a.t.Helper()
	ans, n := a.ask(actGet, class, "", "")
	if ans.Status != 200 {
		a.t.Fatalf("Get %s: %d %s", class, ans.Status, ans.Body)
	}
	return n
}

// all enumerates and pulls as MeshCentral does.
func (a *asker) all(class string) []*node {
	a.t.Helper()
	ans, n := a.ask(actEnumerate, class, "", `<Enumerate xmlns="http://schemas.xmlsoap.org/ws/2004/09/enumeration" />`)
	if ans.Status != 200 {
		a.t.Fatalf("Enumerate %s: %d %s", class, ans.Status, ans.Body)
	}
	ctx := n.value("EnumerationContext")
	ans, n = a.ask(actPull, class, "", `<Pull xmlns="http://schemas.xmlsoap.org/ws/2004/09/enumeration"><EnumerationContext>`+ctx+
		`</EnumerationContext><MaxElements>999</MaxElements><MaxCharacters>99999</MaxCharacters></Pull>`)
	if ans.Status != 200 || n.kid("EndOfSequence") == nil {
		a.t.Fatalf("Pull %s: %d %s", class, ans.Status, ans.Body)
	}
	return n.kid("Items").kids
}

// call calls a method with arguments in XML (prefix r), and gives the ReturnValue.
func (a *asker) call(class, method, args string) (int, *node) {
	a.t.Helper()
	ans, n := a.ask(uriOf(class)+"/"+method, class, "", "<r:"+method+`_INPUT xmlns:r="`+uriOf(class)+`">`+args+"</r:"+method+"_INPUT>")
	if ans.Status != 200 {
		return -ans.Status, n
	}
	return atoi(n.value("ReturnValue")), n
}

func (a *asker) must(class, method, args string) *node {
	a.t.Helper()
	code, n := a.call(class, method, args)
	if code != 0 {
		a.t.Fatalf("%s.%s gives %d", class, method, code)
	}
	return n
}

func (a *asker) put(class, selectors, fields string) Answer {
	a.t.Helper()
	ans, _ := a.ask(actPut, class, selectors, "<r:"+class+` xmlns:r="`+uriOf(class)+`">`+fields+"</r:"+class+">")
	return ans
}

func arg(name, value string) string { return "<r:" + name + ">" + value + "</r:" + name + ">" }

// subcode reads the fault of an answer.
func subcode(ans Answer) string {
	root, err := parse(ans.Body)
	if err != nil {
		return err.Error()
	}
	code := root.kid("Body").kid("Fault").kid("Code")
	if s := code.kid("Subcode"); s != nil {
		return s.value("Value")
	}
	return code.value("Value")
}

// detail reads the text of the fault's detail.
func detail(ans Answer) string {
	root, err := parse(ans.Body)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(root.kid("Body").kid("Fault").kid("Detail").value("Text"))
}

const selectRemote = `<w:SelectorSet><w:Selector Name="InstanceID">` + tlsRemote + `</w:Selector></w:SelectorSet>`
