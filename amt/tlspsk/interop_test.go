package tlspsk

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

var (
	allVersions = []uint16{VersionTLS10, VersionTLS11, VersionTLS12}
	allSuites   = []uint16{SuiteAES128SHA, SuiteAES256SHA, Suite3DESSHA, SuiteRC4128SHA}
)

// megabytes gives data without a pattern that a record's length would divide.
func megabytes(n int) []byte {
	b := make([]byte, n<<20)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// exchange sends data through a and b in both directions at once and compares what arrives.
func exchange(a io.Writer, fromB io.Reader, b io.Writer, fromA io.Reader, data []byte) error {
	errs := make(chan error, 4)
	send := func(w io.Writer) {
		_, err := w.Write(data)
		errs <- err
	}
	take := func(name string, r io.Reader) {
		got := make([]byte, len(data))
		n, err := io.ReadFull(r, got)
		if err == nil && !bytes.Equal(got, data) {
			err = fmt.Errorf("data changed")
		}
		if err != nil {
			err = fmt.Errorf("%s: %w after %d bytes", name, err, n)
		}
		errs <- err
	}
	go send(a)
	go send(b)
	go take("from b", fromB)
	go take("from a", fromA)
	var first error
	for range 4 {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// each runs f for every version and suite.
func each(t *testing.T, f func(t *testing.T, version, suite uint16)) {
	for _, v := range allVersions {
		for _, s := range allSuites {
			t.Run(VersionName(v)+"/"+SuiteName(s), func(t *testing.T) { f(t, v, s) })
		}
	}
}

// accept runs our server for one connection and hands it to f.
func accept(t *testing.T, cfg *Config, f func(c *Conn, err error)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	done := make(chan struct{})
	t.Cleanup(func() {
		select {
		case <-done:
		case <-time.After(peerWait):
			t.Error("the server is still busy")
		}
	})
	go func() {
		defer close(done)
		raw, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer raw.Close()
		_ = raw.SetDeadline(time.Now().Add(peerWait))
		c := Server(raw, cfg)
		f(c, c.Handshake())
	}()
	return l.Addr().String()
}

// served checks what a foreign client agreed on with our server and exchanges data with it.
func served(t *testing.T, version, suite uint16, data []byte, client func(addr string) *peer) {
	id, _ := pair()
	ready, tested := make(chan *Conn, 1), make(chan struct{})
	addr := accept(t, config(version, suite), func(c *Conn, err error) {
		if err != nil {
			t.Error(err)
			close(ready)
			return
		}
		ready <- c
		<-tested
	})
	defer close(tested)
	p := client(addr)
	c := <-ready
	if c == nil {
		return
	}
	if s := c.State(); s.Version != version || s.Suite != suite || !s.Secure || s.Identity != id {
		t.Fatalf("agreed on %+v", s)
	}
	if err := exchange(c, c, p.in, p.out, data); err != nil {
		t.Fatal(err)
	}
}

// pairings are our two ends with the two foreign programs.
var pairings = []struct {
	name string
	run  func(t *testing.T, version, suite uint16)
}{
	{"our client, s_server", func(t *testing.T, version, suite uint16) {
		opensslHas(t, suite)
		p := opensslServer(t, version, suite, "-quiet")
		c := agreed(t, p, version, suite)
		if err := exchange(c, c, p.in, p.out, megabytes(3)); err != nil {
			t.Fatal(err)
		}
	}},
	{"s_client, our server", func(t *testing.T, version, suite uint16) {
		opensslHas(t, suite)
		served(t, version, suite, megabytes(3), func(addr string) *peer { return opensslClient(t, addr, version, suite, "-quiet") })
	}},
	{"our client, gnutls-serv", func(t *testing.T, version, suite uint16) {
		c := agreed(t, gnutlsServer(t, gnutlsPriority(version, suite)), version, suite)
		if err := echoed(c, megabytes(3)); err != nil {
			t.Fatal(err)
		}
	}},
	{"gnutls-cli, our server", func(t *testing.T, version, suite uint16) {
		data := megabytes(3)
		if os.Getenv("AMTMEDIC_LONG") == "" {
			data = data[:400000] // gnutls-cli needs a second for a megabyte
		}
		served(t, version, suite, data, func(addr string) *peer { return gnutlsClient(t, addr, gnutlsPriority(version, suite)) })
	}},
}

// TestInterop exchanges megabytes in each direction for every version and suite that the
// foreign program has. Its log is the table of what was done.
func TestInterop(t *testing.T) {
	var table strings.Builder
	for _, p := range pairings {
		for _, s := range allSuites {
			fmt.Fprintf(&table, "\n%-24s %-30s", p.name, SuiteName(s))
			for _, v := range allVersions {
				cell := "not run"
				t.Run(p.name+"/"+VersionName(v)+"/"+SuiteName(s), func(t *testing.T) {
					defer func() {
						switch {
						case t.Failed():
							cell = "FAILED"
						case t.Skipped():
							cell = "not there"
						default:
							cell = "ok"
						}
					}()
					p.run(t, v, s)
				})
				fmt.Fprintf(&table, " %s %-10s", VersionName(v), cell)
			}
		}
	}
	t.Log(table.String())
}

// agreed opens a session to a foreign server and checks what was agreed on.
func agreed(t *testing.T, p *peer, version, suite uint16) *Conn {
	t.Helper()
	c, err := dial(t, p.addr, config(version, suite))
	if err != nil {
		t.Fatal(err)
	}
	if s := c.State(); s.Version != version || s.Suite != suite || !s.Secure {
		t.Fatalf("agreed on %+v", s)
	}
	return c
}

// Without limits both ends take the newest version and the suite that the server likes best.
func TestUnlimited(t *testing.T) {
	p := gnutlsServer(t, "NONE:+VERS-TLS1.0:+VERS-TLS1.1:+VERS-TLS1.2:+PSK:+ARCFOUR-128:+3DES-CBC:+AES-256-CBC:+SHA1:+COMP-NULL:+SIGN-ALL:%SERVER_PRECEDENCE")
	c, err := dial(t, p.addr, config(0, 0))
	if err != nil || c.State().Version != VersionTLS12 || c.State().Suite != SuiteRC4128SHA {
		t.Errorf("our client agreed on %+v, %v", c.State(), err)
	}
	result := make(chan State, 1)
	addr := accept(t, config(0, 0), func(c *Conn, err error) {
		if err != nil {
			t.Error(err)
		}
		result <- c.State()
	})
	gnutlsClient(t, addr, "NONE:+VERS-TLS-ALL:+PSK:+DHE-PSK:+ARCFOUR-128:+AES-256-GCM:+AES-256-CBC:+AES-128-CBC:+SHA1:+AEAD:+COMP-NULL:+SIGN-ALL")
	if s := <-result; s.Version != VersionTLS12 || s.Suite != SuiteAES128SHA {
		t.Errorf("our server agreed on %+v", s)
	}
}

// The hint travels in both directions; a server with renegotiation_info turned off is that of old
// firmware.
func TestHintAndOldServer(t *testing.T) {
	const hint = "provisioning"
	for name, p := range map[string]*peer{
		"openssl": opensslServer(t, VersionTLS11, SuiteAES128SHA, "-psk_hint", hint),
		"gnutls":  gnutlsServer(t, gnutlsPriority(VersionTLS11, SuiteAES128SHA)+":%DISABLE_SAFE_RENEGOTIATION", "--pskhint", hint),
	} {
		c, err := dial(t, p.addr, config(0, 0))
		if s := c.State(); err != nil || s.Hint != hint || s.Secure != (name == "openssl") {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	cfg := config(0, 0)
	cfg.Hint = hint
	done := make(chan struct{})
	p := opensslClient(t, accept(t, cfg, func(c *Conn, err error) {
		if err != nil {
			t.Error(err)
		}
		_ = c.Close()
		close(done)
	}), VersionTLS12, SuiteAES128SHA)
	said, _ := io.ReadAll(p.out)
	<-done
	if !strings.Contains(string(said), "PSK identity hint: "+hint) {
		t.Errorf("s_client does not know the hint:\n%s", said)
	}
}

// echoed sends data as lines of text, one after the other, and compares what gnutls-serv sends back:
// it answers what it has read as a text that ends with a newline.
func echoed(c io.ReadWriter, data []byte) error {
	const line = 12000 // bytes
	for n := 0; len(data) > 0; n += line {
		text := bytes.Map(func(r rune) rune { return 'a' + r%26 }, bytes.ToValidUTF8(data[:min(line, len(data))], []byte("x")))
		data = data[min(line, len(data)):]
		text = append(text, '\n')
		if _, err := c.Write(text); err != nil {
			return fmt.Errorf("%w after %d bytes", err, n)
		}
		got := make([]byte, len(text))
		if m, err := io.ReadFull(c, got); err != nil {
			return fmt.Errorf("%w after %d bytes", err, n+m)
		}
		if !bytes.Equal(got, text) {
			return fmt.Errorf("data changed after %d bytes", n)
		}
	}
	return nil
}
