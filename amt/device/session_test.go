package device

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/wsman"
)

// Many requests go over one connection.
func TestOneConnectionForAll(t *testing.T) {
	s := newScripted(t, always(200, "", stateAnswer))
	sess := plain(t, s)
	d := NewWSMan(sess)
	for range 5 {
		if st, err := d.State(testContext(t)); err != nil || st.Provisioning != In {
			t.Fatalf("%v, %v", st, err)
		}
	}
	if s.count() != 1 || sess.Stats().Connections != 1 || sess.Stats().Exchanges != 5 {
		t.Errorf("%d connections, %+v", s.count(), sess.Stats())
	}
}

// The ways in which a client may end or lengthen a connection between two requests.
func TestConnectionBetweenRequests(t *testing.T) {
	cases := map[string]struct {
		each  []func(*peer)
		conns int
	}{
		"Connection: close": {[]func(*peer){func(p *peer) { p.request(); p.answer(200, "Connection: close\r\n", stateAnswer) }}, 3},
		"closed in silence": {[]func(*peer){func(p *peer) { p.request(); p.answer(200, "", stateAnswer) }}, 3},
		"reset in silence":  {[]func(*peer){func(p *peer) { p.request(); p.answer(200, "", stateAnswer); p.reset() }}, 3},
		"HTTP/1.0, no length": {[]func(*peer){func(p *peer) {
			p.request()
			p.say("HTTP/1.0 200 OK\r\n\r\n" + stateAnswer)
		}}, 3},
		"HTTP/1.1, no length": {[]func(*peer){func(p *peer) {
			p.request()
			p.say("HTTP/1.1 200 OK\r\n\r\n" + stateAnswer)
		}}, 3},
		"unasked bytes": {[]func(*peer){func(p *peer) {
			p.request()
			p.say(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%sHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", len(stateAnswer), stateAnswer))
			p.request()
		}}, 3},
		"chunks and a first 100": {[]func(*peer){func(p *peer) {
			for {
				if _, _, ok := p.request(); !ok {
					return
				}
				p.say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
				for len := 0; len < 3; len++ {
					part := stateAnswer[len*100 : (len+1)*100]
					p.say(fmt.Sprintf("%x\r\n%s\r\n", 100, part))
				}
				rest := stateAnswer[300:]
				p.say(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(rest), rest))
			}
		}}, 1},
		"the second request meets an end": {[]func(*peer){func(p *peer) {
			p.request()
			p.answer(200, "", stateAnswer)
			p.request() // it is read, and never answered
		}}, 3},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newScripted(t, c.each...)
			d := NewWSMan(plain(t, s))
			for i := range 3 {
				if st, err := d.State(testContext(t)); err != nil || st.Provisioning != In {
					t.Fatalf("request %d: %v, %v", i, st, err)
				}
			}
			if s.count() != c.conns {
				t.Errorf("%d connections, want %d", s.count(), c.conns)
			}
		})
	}
}

// A request is never sent twice when the client may have acted on the first.
func TestCommitIsNotSentTwice(t *testing.T) {
	commits := make(chan struct{}, 10)
	s := newScripted(t, func(p *peer) {
		p.request()
		p.answer(200, "", stateAnswer)
		if _, body, ok := p.request(); ok && strings.Contains(body, "CommitChanges_INPUT") {
			commits <- struct{}{}
		}
	})
	d := NewWSMan(plain(t, s))
	if _, err := d.State(testContext(t)); err != nil {
		t.Fatal(err)
	}
	err := d.Commit(testContext(t))
	if KindOf(err) != KindDropped || !AfterSend(err) {
		t.Errorf("%v, kind %s, after send %v", err, KindOf(err), AfterSend(err))
	}
	if len(commits) != 1 || s.count() != 1 {
		t.Errorf("%d commits on %d connections", len(commits), s.count())
	}
}

// Each way of not answering has its kind, and tells whether the request was out.
func TestTypedErrors(t *testing.T) {
	closed := newScripted(t, func(*peer) {})
	_ = closed.Close()
	reply := func(status int, body string) func(*peer) { return always(status, "", body) }
	cases := map[string]struct {
		each     func(*peer) // nil: nothing listens
		kind     Kind
		after    bool
		evidence string
	}{
		"nothing listens":  {nil, KindUnreachable, false, ""},
		"closed at once":   {func(p *peer) { p.in.Peek(1) }, KindDropped, true, ""},
		"reset":            {func(p *peer) { p.request(); p.reset() }, KindDropped, true, ""},
		"cut off answer":   {func(p *peer) { p.request(); p.say("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n<a>") }, KindDropped, true, "<a>"},
		"cut off header":   {func(p *peer) { p.request(); p.say("HTTP/1.1 200 OK\r\nContent-Le") }, KindDropped, true, "Content-Le"},
		"not HTTP":         {func(p *peer) { p.request(); p.say("SSH-2.0-OpenSSH_9.2\r\n\r\n") }, KindAnswer, true, "SSH-2.0"},
		"a web page":       {reply(200, "<html><body>Router</body></html>"), KindAnswer, true, "Router"},
		"no XML":           {reply(200, "\x16\x03\x01 nonsense"), KindAnswer, true, "nonsense"},
		"empty":            {reply(200, ""), KindAnswer, true, ""},
		"of another class": {reply(200, strings.ReplaceAll(stateAnswer, "AMT_Setup", "AMT_Other")), KindAnswer, true, "AMT_OtherAndConfigurationService"},
		"no state":         {reply(200, strings.ReplaceAll(stateAnswer, ">1<", ">up<")), KindAnswer, true, ""},
		"404":              {reply(404, "not here"), KindHTTP, false, "not here"},
		"500 without XML":  {reply(500, ""), KindHTTP, false, ""},
		"503 with XML":     {reply(503, stateAnswer), KindHTTP, false, "ProvisioningState"},
		"redirect":         {reply(303, ""), KindHTTP, false, ""},
		"fault":            {reply(400, fmt.Sprintf(faultAnswer, "AccessDenied")), KindFault, false, ""},
		"fault as 200":     {reply(200, fmt.Sprintf(faultAnswer, "AccessDenied")), KindFault, false, ""},
		"unsupported":      {reply(400, fmt.Sprintf(faultAnswer, "DestinationUnreachable")), KindMissing, false, ""},
		"a huge answer":    {func(p *peer) { p.request(); p.answer(200, "", strings.Repeat("x", wsman.MaxSize+10)) }, KindAnswer, true, "xxx"},
		"endless header":   {func(p *peer) { p.request(); p.say("HTTP/1.1 200 OK\r\nA: "); p.say(strings.Repeat("y", 2<<20)) }, KindAnswer, true, "A: yyy"},
		"log-in wanted":    {always(401, fmt.Sprintf(challenge, "n", false), ""), KindLogin, false, ""},
		"401, no digest":   {always(401, "WWW-Authenticate: Basic realm=\"x\"\r\n", ""), KindLogin, false, ""},
		"401, no header":   {always(401, "", ""), KindLogin, false, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := closed
			if c.each != nil {
				s = newScripted(t, c.each)
			}
			d := NewWSMan(plain(t, s))
			_, err := d.State(testContext(t))
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			if e.Kind != c.kind || AfterSend(err) != c.after || !strings.Contains(string(e.Evidence), c.evidence) {
				t.Errorf("kind %s, want %s; after send %v; evidence %.80q\n%v", e.Kind, c.kind, AfterSend(err), e.Evidence, err)
			}
			if e.Hint == "" || e.Address != s.Addr().String() || e.Op == "" {
				t.Errorf("hint %q, address %q, operation %q", e.Hint, e.Address, e.Op)
			}
			if len(e.Evidence) > maxEvidence {
				t.Errorf("%d bytes of evidence", len(e.Evidence))
			}
		})
	}
}

func TestDeadlines(t *testing.T) {
	silent := func(p *peer) { p.request(); p.in.Peek(1) }
	t.Run("of the call", func(t *testing.T) {
		s := newScripted(t, silent)
		d := NewWSMan(open(t, Options{Address: s.Addr().String(), CallTime: 50 * time.Millisecond}))
		err := d.Commit(testContext(t))
		if KindOf(err) != KindTimeout || !AfterSend(err) {
			t.Errorf("%v, kind %s", err, KindOf(err))
		}
	})
	t.Run("of the caller", func(t *testing.T) {
		s := newScripted(t, silent)
		d := NewWSMan(plain(t, s))
		ctx, cancel := context.WithTimeout(testContext(t), 50*time.Millisecond)
		defer cancel()
		if err := d.Commit(ctx); KindOf(err) != KindTimeout || !AfterSend(err) {
			t.Errorf("%v, kind %s", err, KindOf(err))
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		got := make(chan struct{})
		s := newScripted(t, func(p *peer) { p.request(); close(got); p.in.Peek(1) })
		d := NewWSMan(plain(t, s))
		ctx, cancel := context.WithCancel(testContext(t))
		go func() { <-got; cancel() }()
		if err := d.Commit(ctx); KindOf(err) != KindCancelled || !AfterSend(err) {
			t.Errorf("%v, kind %s", err, KindOf(err))
		}
	})
	t.Run("while it connects", func(t *testing.T) {
		s := newScripted(t, silent)
		ctx, cancel := context.WithCancel(testContext(t))
		cancel()
		if _, err := NewWSMan(plain(t, s)).State(ctx); KindOf(err) != KindCancelled || AfterSend(err) {
			t.Errorf("%v, kind %s", err, KindOf(err))
		}
	})
}

// What is sent never comes back, in evidence or in words, when the other side echoes it.
func TestEchoesTellNoSecret(t *testing.T) {
	echoes := map[string]struct {
		say  func(p *peer, r *http.Request, body string)
		kind Kind
	}{
		"as a page": {func(p *peer, _ *http.Request, body string) {
			p.answer(200, "", "you said: "+strings.TrimPrefix(body, `<?xml version="1.0" encoding="utf-8"?>`)+" and <x:ProvisioningServerOTP>T25lVGltZQ==</x:ProvisioningServerOTP>")
		}, KindAnswer},
		"as no HTTP":  {func(p *peer, _ *http.Request, body string) { p.say(body + "\r\n\r\n") }, KindAnswer},
		"as a header": {func(p *peer, _ *http.Request, body string) { p.say("HTTP/1.1 200 OK\r\n" + body + "\r\n\r\n") }, KindAnswer},
		"as a fault": {func(p *peer, _ *http.Request, body string) {
			text := strings.NewReplacer("<", " ", ">", " ").Replace(body[strings.Index(body, "<Body>"):])
			p.answer(400, "", strings.ReplaceAll(fmt.Sprintf(faultAnswer, "AccessDenied"), ">no<", ">"+text+"<"))
		}, KindFault},
		"as an error page": {func(p *peer, _ *http.Request, body string) { p.answer(502, "", body) }, KindHTTP},
	}
	for name, c := range echoes {
		t.Run(name, func(t *testing.T) {
			s := newScripted(t, func(p *peer) {
				for {
					r, body, ok := p.request()
					if !ok {
						return
					}
					c.say(p, r, body)
				}
			})
			d := NewWSMan(plain(t, s, admin("Old&Pass-1")))
			for what, call := range map[string]func() error{
				"MEBx": func() error { return d.SetMEBxPassword(testContext(t), amt.NewSecret("S3cret<&>Pass")) },
				"pair": func() error {
					return d.SetPair(testContext(t), "4KRG65QT", amt.NewSecret("ABCD-EFGH-1234-5678-JKLM-NPQR-9876-5432"))
				},
			} {
				var e *Error
				if err := call(); !errors.As(err, &e) || e.Kind != c.kind {
					t.Fatalf("%s: %v", what, err)
				}
				all := string(e.Evidence) + e.Error() + fmt.Sprintf("%+v", e)
				contains(t, all, "[secret]")
				for _, bad := range []string{"S3cret", "&lt;&amp;", "ABCDEFGH", "T25lVGltZQ", "Old&Pass"} {
					if strings.Contains(all, bad) {
						t.Errorf("%s: %q is in %s", what, bad, all)
					}
				}
			}
		})
	}
}
