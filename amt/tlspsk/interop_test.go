package tlspsk

import (
	"bytes"
	"fmt"
	"io"
	"net"
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

func TestClientToOpenSSL(t *testing.T) {
	data := megabytes(3)
	each(t, func(t *testing.T, version, suite uint16) {
		if why := opensslLacks(t, suite); why != "" {
			t.Skip(why)
		}
		p := opensslServer(t, version, suite, "-quiet")
		c, err := dial(t, p.addr, config(version, suite))
		if err != nil {
			t.Fatal(err)
		}
		if s := c.State(); s.Version != version || s.Suite != suite || !s.Secure {
			t.Fatalf("agreed on %+v", s)
		}
		if err := exchange(c, c, p.in, p.out, data); err != nil {
			t.Fatal(err)
		}
	})
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
func served(t *testing.T, version, suite uint16, client func(addr string) *peer) {
	id, _ := pair()
	data := megabytes(3)
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

func TestServerToOpenSSL(t *testing.T) {
	each(t, func(t *testing.T, version, suite uint16) {
		if why := opensslLacks(t, suite); why != "" {
			t.Skip(why)
		}
		served(t, version, suite, func(addr string) *peer { return opensslClient(t, addr, version, suite, "-quiet") })
	})
}

func TestServerToGnuTLS(t *testing.T) {
	each(t, func(t *testing.T, version, suite uint16) {
		served(t, version, suite, func(addr string) *peer { return gnutlsClient(t, addr, gnutlsPriority(version, suite)) })
	})
}

func TestClientToGnuTLS(t *testing.T) {
	data := megabytes(3)
	each(t, func(t *testing.T, version, suite uint16) {
		p := gnutlsServer(t, gnutlsPriority(version, suite))
		c, err := dial(t, p.addr, config(version, suite))
		if err != nil {
			t.Fatal(err)
		}
		if s := c.State(); s.Version != version || s.Suite != suite || !s.Secure {
			t.Fatalf("agreed on %+v", s)
		}
		if err := echoed(c, data); err != nil {
			t.Fatal(err)
		}
	})
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
