package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// What a client of UUID 4c4c4544-... sends, as MeshCentral 1.1.55 and its older C# decoder read it.
const (
	clientUUID = "4c4c4544-0058-3910-8059-b7c04f4b5a31"
	vectorPSK  = "010002000000000044454c4c580010398059b7c04f4b5a31344b524736355154"
	vectorPKI  = "010003000300000044454c4c580010398059b7c04f4b5a31" + "02" +
		"0114" + "97b96e6eff812c364321615312da13fe341cdc63" +
		"0220" + "19de99e696897c91416b1f90e68e232b1743ff5d1b8708b1724583ada284236e"
	vectorNone = "000003000e00000044454c4c580010398059b7c04f4b5a31" + "01" +
		"0114" + "97b96e6eff812c364321615312da13fe341cdc63"
)

// serveOnce accepts one connection, hands it to f, and gives its address.
func serveOnce(t *testing.T, f func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		f(c.(*net.TCPConn))
		_ = c.Close()
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

func TestHelloSendBytes(t *testing.T) {
	for _, c := range []struct {
		name, want string
		args       []string
	}{
		{"psk", vectorPSK, []string{"--pid", "4KRG-65QT"}},
		{"pki", vectorPKI, []string{"--retry", "3", "--hash", "sha1:97b96e6eff812c364321615312da13fe341cdc63",
			"--hash", "sha256:19DE99E696897C91416B1F90E68E232B1743FF5D1B8708B1724583ADA284236E"}},
		{"admin not set", vectorNone, []string{"--admin-set=false", "--retry", "14", "--hash", "sha1:97b96e6eff812c364321615312da13fe341cdc63"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := make(chan []byte, 1)
			to := serveOnce(t, func(conn *net.TCPConn) {
				b, _ := io.ReadAll(conn) // to the client's close
				got <- b
			})
			e, stdout, stderr := testEnv(t)
			if code := run(e, append([]string{"hello", "send", "--json", "--to", to, "--uuid", clientUUID}, c.args...)); code != exitOK {
				t.Fatalf("exit %d: %s", code, stderr)
			}
			if b := <-got; hex.EncodeToString(b) != c.want {
				t.Errorf("sent %x\nwant %s", b, c.want)
			}
			var d delivery
			if err := json.Unmarshal([]byte(stdout.String()), &d); err != nil {
				t.Fatal(err)
			}
			if !d.Sent || d.Bytes != len(c.want)/2 || d.Closed != closedInOrder || d.Hex != c.want || d.To != to || len(d.Problems) != 0 {
				t.Errorf("reported %s", stdout)
			}
		})
	}
}

// TestHelloSendEnds tells the ways apart in which a server ends the connection.
func TestHelloSendEnds(t *testing.T) {
	for _, c := range []struct {
		name   string
		server func(*net.TCPConn)
		code   int
		closed string
		say    string
	}{
		{"closes when the counts are full", func(c *net.TCPConn) {
			_, _ = io.ReadFull(c, make([]byte, 32))
		}, exitOK, closedInOrder, "in order"},
		{"resets", func(c *net.TCPConn) {
			_, _ = io.ReadFull(c, make([]byte, 32))
			_ = c.SetLinger(0)
		}, exitFound, closedReset, "may be lost"},
		{"stays open", func(c *net.TCPConn) {
			_, _ = io.ReadAll(c)
			time.Sleep(600 * time.Millisecond)
		}, exitOK, closedNot, "has not closed"},
		{"answers", func(c *net.TCPConn) {
			_, _ = io.ReadAll(c)
			_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		}, exitOK, closedInOrder, "in order"},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := serveOnce(t, c.server)
			e, stdout, stderr := testEnv(t)
			code := run(e, []string{"hello", "send", "--to", to, "--uuid", clientUUID, "--pid", "0000-037M", "--timeout", "300ms"})
			if code != c.code || !strings.Contains(stdout.String(), c.say) {
				t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
			}
			if answered := strings.Contains(stderr.String(), "another service"); answered != (c.name == "answers") {
				t.Errorf("stderr %q", stderr)
			}
		})
	}
}

// TestHelloSendFrom: the hello leaves from the address and port that were asked for.
func TestHelloSendFrom(t *testing.T) {
	from := make(chan string, 1)
	to := serveOnce(t, func(c *net.TCPConn) {
		from <- c.RemoteAddr().String()
		_, _ = io.ReadAll(c)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0") // a free port
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	_ = l.Close()
	e, _, stderr := testEnv(t)
	if code := run(e, []string{"hello", "send", "--to", to, "--uuid", clientUUID, "--pid", "0000-037M", "--from", free}); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if got := <-from; got != free {
		t.Errorf("came from %s, want %s", got, free)
	}
}

// TestHelloSendInterrupted: a signal ends the wait with 130 and what was done is said.
func TestHelloSendInterrupted(t *testing.T) {
	e, stdout, _ := testEnv(t)
	ctx, cancel := context.WithCancel(e.ctx)
	e.ctx = ctx
	to := serveOnce(t, func(c *net.TCPConn) {
		_, _ = io.ReadAll(c)
		cancel()
		_, _ = c.Read(make([]byte, 1))
		time.Sleep(200 * time.Millisecond)
	})
	code := run(e, []string{"hello", "send", "--json", "--to", to, "--uuid", clientUUID, "--pid", "0000-037M"})
	if code != exitInterrupt || !strings.Contains(stdout.String(), `"sent":true`) {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

func TestServerAddress(t *testing.T) {
	for in, want := range map[string]string{
		"provisionserver":         "provisionserver:9971",
		"10.1.0.10":               "10.1.0.10:9971",
		"10.1.0.10:9972":          "10.1.0.10:9972",
		"ps.corp.example:":        "ps.corp.example:9971",
		"fd00::10":                "[fd00::10]:9971",
		"[fd00::10]":              "[fd00::10]:9971",
		"[fd00::10]:9972":         "[fd00::10]:9972",
		"ps.corp.example:service": "ps.corp.example:service",
	} {
		if got := serverAddress(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// TestUnknownHost uses a name of the reserved domain; without a name service the hint is another one.
func TestUnknownHost(t *testing.T) {
	err := &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "ps.invalid", IsNotFound: true}}
	if word, hint := dialHint(err); word != "unknown-host" || !strings.Contains(hint, "proves nothing for the client") {
		t.Errorf("%s: %s", word, hint)
	}
	if word, _ := dialHint(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "server misbehaving", IsTemporary: true}}); word != "name-service" {
		t.Errorf("temporary: %s", word)
	}
	if word, _ := dialHint(&net.OpError{Op: "dial", Err: timeoutError{}}); word != "timeout" {
		t.Errorf("timeout: %s", word)
	}
}

type timeoutError struct{}

func (timeoutError) Error() string   { return "i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

// FuzzParseHex: bytes written as hex in any spelling read back; nothing panics.
func FuzzParseHex(f *testing.F) {
	for _, s := range []string{"01 02", "0x01:02 # x\n0X03", "0", "0x", "::", "\n#", "0 x1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = parseHex(b)
		spelled := "0x" + hex.EncodeToString(b) + " # c\n"
		if got, err := parseHex([]byte(spelled)); err != nil || !bytes.Equal(got, b) {
			t.Fatalf("%q: %x, %v", spelled, got, err)
		}
	})
}
