package tlspsk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// tcpPair gives both ends of a connection on loopback.
func tcpPair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	_ = a.SetDeadline(time.Now().Add(peerWait))
	_ = b.SetDeadline(time.Now().Add(peerWait))
	return a, b
}

// connect runs a handshake between our two ends over a and b.
func connect(t testing.TB, a, b net.Conn, cfg *Config) (client, server *Conn) {
	t.Helper()
	client, server = Client(a, cfg), Server(b, cfg)
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return client, server
}

// trickle lets bytes through in pieces with pauses.
type trickle struct {
	net.Conn
	slow bool
}

func (s *trickle) Write(b []byte) (n int, err error) {
	if !s.slow {
		return s.Conn.Write(b)
	}
	for n < len(b) && err == nil {
		var m int
		m, err = s.Conn.Write(b[n:min(n+7, len(b))])
		n += m
		time.Sleep(300 * time.Microsecond)
	}
	return n, err
}

// Deadlines that pass in the middle of records lose nothing, whichever the suite.
func TestReadDeadlineLosesNothing(t *testing.T) {
	each(t, func(t *testing.T, version, suite uint16) {
		t.Parallel()
		a, b := tcpPair(t)
		slow := &trickle{Conn: b}
		client, server := connect(t, a, slow, config(version, suite))
		slow.slow = true
		data := counting(0, 3000)
		go func() {
			for part := data; len(part) > 0; part = part[500:] {
				_, _ = server.Write(part[:500])
			}
			_ = server.CloseWrite()
		}()
		var got []byte
		passed := 0
		for buf := make([]byte, 64); ; {
			_ = client.SetReadDeadline(time.Now().Add(200 * time.Microsecond))
			n, err := client.Read(buf)
			got = append(got, buf[:n]...)
			if err == io.EOF {
				break
			}
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				passed++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, data) {
			t.Errorf("%d bytes came as %d", len(data), len(got))
		}
		if passed < 20 {
			t.Errorf("only %d deadlines passed", passed)
		}
	})
}

func TestWriteDeadlineLosesNothing(t *testing.T) {
	a, b := net.Pipe()
	client, server := connect(t, a, b, config(VersionTLS10, SuiteAES128SHA))
	data := megabytes(1)[:200000]
	got := make(chan []byte, 1)
	go func() {
		var all []byte
		for buf := make([]byte, 1000); ; time.Sleep(20 * time.Microsecond) {
			n, err := server.Read(buf)
			if all = append(all, buf[:n]...); err != nil {
				got <- all
				return
			}
		}
	}()
	passed := 0
	for rest := data; len(rest) > 0; {
		_ = client.SetWriteDeadline(time.Now().Add(100 * time.Microsecond))
		n, err := client.Write(rest)
		rest = rest[n:]
		if errors.Is(err, os.ErrDeadlineExceeded) {
			passed++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Close(); err != nil { // takes along what waits
		t.Fatal(err)
	}
	if all := <-got; !bytes.Equal(all, data) {
		t.Errorf("%d bytes came as %d", len(data), len(all))
	}
	if passed < 5 {
		t.Errorf("only %d deadlines passed", passed)
	}
}

func TestHalfClose(t *testing.T) {
	a, b := tcpPair(t)
	client, server := connect(t, a, b, config(0, 0))
	data := megabytes(2)
	done := make(chan error, 1)
	go func() { // answers only after the end of the question
		question, err := io.ReadAll(server)
		if err == nil {
			_, err = server.Write(question)
		}
		if err == nil {
			err = server.Close()
		}
		done <- err
	}()
	if _, err := client.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write(data); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write after CloseWrite gives %v", err)
	}
	answer, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(answer, data) {
		t.Errorf("answer of %d bytes, %v", len(answer), err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// The end of the connection without close_notify is not the end of the data.
func TestTruncation(t *testing.T) {
	for _, cut := range []int{0, 1, 5, 20, 52, 53} { // bytes of a record of 53 that still arrive
		a, b := tcpPair(t)
		client, server := connect(t, a, b, config(VersionTLS12, SuiteAES128SHA))
		rec, err := server.out.guard.seal(nil, recordData, VersionTLS12, []byte("0123456789"), server.cfg.Rand)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = b.Write(rec[:min(cut, len(rec))])
		_ = b.Close()
		got, err := io.ReadAll(client)
		if err != io.ErrUnexpectedEOF || ReasonOf(err) != ReasonTruncated || cut < len(rec) && len(got) > 0 {
			t.Errorf("cut at %d of %d: %q, %v", cut, len(rec), got, err)
		}
	}
}

// A foreign client that ends as it should, and one that dies.
func TestForeignEnds(t *testing.T) {
	for _, end := range []struct {
		name string
		how  func(*peer)
		want func(error) bool
	}{
		{"close_notify", func(p *peer) { _ = p.in.Close() }, func(err error) bool { return err == nil }},
		{"killed", func(p *peer) { _ = p.cmd.Process.Kill() }, func(err error) bool { r := ReasonOf(err); return r == ReasonTruncated || r == ReasonReset }},
	} {
		t.Run(end.name, func(t *testing.T) {
			ready, result := make(chan struct{}), make(chan error, 1)
			p := opensslClient(t, accept(t, config(0, 0), func(c *Conn, err error) {
				close(ready)
				if err == nil {
					_, err = io.ReadAll(c)
				}
				result <- err
			}), VersionTLS12, SuiteAES128SHA)
			<-ready
			end.how(p)
			if err := <-result; !end.want(err) {
				t.Errorf("the session ends with %v", err)
			}
		})
	}
}

// OpenSSL asks for renegotiation, is refused, and then gives up on its own.
func TestRenegotiationIsRefused(t *testing.T) {
	result := make(chan error, 1)
	p := opensslClient(t, accept(t, config(0, 0), func(c *Conn, err error) {
		if err == nil {
			_, err = io.ReadAll(c)
		}
		result <- err
	}), VersionTLS12, SuiteAES128SHA)
	go func() { _, _ = io.Copy(p.said, p.out) }()
	_, _ = io.WriteString(p.in, "R\n")
	err := <-result
	var alert *AlertError
	if !errors.As(err, &alert) || alert.Sent || alert.Step != StepOpen || alert.Alert != AlertHandshakeFailure {
		t.Errorf("the session ends with %v", err)
	}

	a, b := tcpPair(t)
	client, server := connect(t, a, b, config(0, 0))
	go func() {
		for range maxRenegotiate {
			_ = inject(server, recordHandshake, []byte{messageHelloRequest, 0, 0, 0})
		}
		_, _ = server.Write([]byte("still here"))
		_ = inject(server, recordHandshake, []byte{messageHelloRequest, 0, 0, 0})
		_, _ = io.ReadAll(server)
	}()
	got, err := io.ReadAll(client)
	if string(got) != "still here" || !errors.As(err, &alert) || !alert.Sent || alert.Alert != AlertHandshakeFailure {
		t.Errorf("%q, %v", got, err)
	}
}

// inject sends one record of any kind, for tests of what must not be sent.
func inject(c *Conn, typ byte, data []byte) error {
	c.out.Lock()
	defer c.out.Unlock()
	if err := c.queue(typ, data); err != nil {
		return err
	}
	return c.flush()
}

func TestOpenSessionRefuses(t *testing.T) {
	for _, bad := range []struct {
		name  string
		typ   byte
		data  []byte
		alert Alert
		times int
	}{
		{"change of cipher", recordCCS, []byte{1}, AlertUnexpectedMessage, 1},
		{"another type", 99, []byte{1}, AlertUnexpectedMessage, 1},
		{"finished", recordHandshake, []byte{messageFinished, 0, 0, 0}, AlertUnexpectedMessage, 1},
		{"empty handshake record", recordHandshake, nil, AlertUnexpectedMessage, 1},
		{"long hello request", recordHandshake, []byte{messageHelloRequest, 1, 0, 0}, AlertDecodeError, 1},
		{"malformed alert", recordAlert, []byte{1}, AlertDecodeError, 1},
		{"empty records without end", recordData, nil, AlertUnexpectedMessage, maxIdle + 1},
		{"warnings without end", recordAlert, []byte{alertWarning, 90}, AlertUnexpectedMessage, maxIdle + 1},
	} {
		t.Run(bad.name, func(t *testing.T) {
			a, b := tcpPair(t)
			client, server := connect(t, a, b, config(0, 0))
			for range bad.times {
				_ = inject(server, bad.typ, bad.data)
			}
			_, err := io.ReadAll(client)
			var sent, received *AlertError
			if !errors.As(err, &sent) || !sent.Sent || sent.Alert != bad.alert {
				t.Errorf("client: %v", err)
			}
			if _, err := io.ReadAll(server); !errors.As(err, &received) || received.Sent || received.Alert != bad.alert {
				t.Errorf("server: %v", err)
			}
			if _, err := client.Write([]byte("x")); err == nil {
				t.Error("the session can still be written to")
			}
		})
	}
}

// An empty record now and then is what OpenSSL 0.9 sends.
func TestEmptyRecordsAreLegal(t *testing.T) {
	a, b := tcpPair(t)
	client, server := connect(t, a, b, config(VersionTLS10, SuiteAES128SHA))
	go func() {
		for range 40 {
			_ = inject(server, recordData, nil)
			_, _ = server.Write([]byte("x"))
		}
		_ = server.Close()
	}()
	if got, err := io.ReadAll(client); err != nil || len(got) != 40 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestContextEndsHandshake(t *testing.T) {
	a, _ := tcpPair(t)
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	c := Client(a, config(0, 0))
	err := c.HandshakeContext(ctx)
	var e *HandshakeError
	if !errors.As(err, &e) || e.Step != StepHello || ReasonOf(err) != ReasonCancelled {
		t.Errorf("%v", err)
	}
	if again := c.Handshake(); again != err {
		t.Errorf("the second call gives %v", again)
	}
}

func TestUnfitConfig(t *testing.T) {
	_, key := pair()
	for name, change := range map[string]func(*Config){
		"no key": func(c *Config) { c.Key = nil }, "unknown own identity": func(c *Config) { c.Key = fixed("other", key) },
		"empty key": func(c *Config) { c.Key = fixed(c.Identity, nil) }, "long key": func(c *Config) { c.Key = fixed(c.Identity, make([]byte, 257)) },
		"TLS 1.3": func(c *Config) { c.MaxVersion = 0x0304 }, "SSL 3": func(c *Config) { c.MinVersion = 0x0300 },
		"no range": versions(VersionTLS12, VersionTLS10), "suite": onlySuite(0x002F), "no suites": func(c *Config) { c.Suites = []uint16{} },
		"long identity": func(c *Config) { c.Identity = strings.Repeat("x", 129) }, "long hint": func(c *Config) { c.Hint = strings.Repeat("x", 129) },
	} {
		cfg := config(0, 0)
		change(cfg)
		s := &script{in: strings.NewReader("")}
		err := Client(s, cfg).Handshake()
		if none := name == "unknown own identity"; none != (ReasonOf(err) == ReasonNoKey) {
			t.Errorf("%s: reason %q", name, ReasonOf(err))
		}
		if err == nil || s.out.Len() > 0 || strings.Contains(err.Error(), string(key)) {
			t.Errorf("%s: %v, %d bytes sent", name, err, s.out.Len())
		}
	}
}

// The first byte alone, in TLS 1.0 with CBC only. Both foreign servers take it.
func TestSplitFirstByte(t *testing.T) {
	for _, version := range allVersions {
		for _, suite := range []uint16{SuiteAES128SHA, SuiteRC4128SHA} {
			a, b := tcpPair(t)
			cfg := config(version, suite)
			cfg.SplitFirstByte = true
			w := &tap{Conn: a}
			client, _ := connect(t, w, b, cfg)
			w.sent.Reset()
			_, _ = client.Write([]byte("hello"))
			records := 0
			for r := bytes.NewReader(w.sent.Bytes()); r.Len() > 0; records++ {
				readRaw(t, r)
			}
			if split := version == VersionTLS10 && suite == SuiteAES128SHA; split != (records == 2) {
				t.Errorf("%s, %s: %d records", VersionName(version), SuiteName(suite), records)
			}
		}
	}
	cfg := config(VersionTLS10, SuiteAES128SHA)
	cfg.SplitFirstByte = true
	for name, p := range map[string]*peer{"openssl": opensslServer(t, VersionTLS10, SuiteAES128SHA, "-rev"),
		"gnutls": gnutlsServer(t, gnutlsPriority(VersionTLS10, SuiteAES128SHA))} {
		c, err := dial(t, p.addr, cfg)
		if err != nil {
			t.Fatal(err)
		}
		line := make([]byte, 4)
		if _, err := io.WriteString(c, "aba\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, line); err != nil || string(line) != "aba\n" {
			t.Errorf("%s: %q, %v", name, line, err)
		}
	}
}

// net/http over both ends, with one connection for all requests.
func TestHTTP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	})}
	go func() { _ = srv.Serve(secured{l}) }()
	defer srv.Close()
	var mu sync.Mutex
	dials := 0
	tr := &http.Transport{DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		dials++
		raw, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		c := Client(raw, config(0, 0))
		return c, c.HandshakeContext(ctx)
	}}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, Timeout: peerWait}
	for range 5 {
		body := strings.Repeat("x", 80000)
		resp, err := client.Post("https://"+l.Addr().String(), "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(got) != body {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	if dials != 1 {
		t.Errorf("%d connections for five requests", dials)
	}
}

// secured puts our server's end on every connection.
type secured struct{ net.Listener }

func (s secured) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return Server(c, config(0, 0)), nil
}
