package apf_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/apf"
	"amtmedic/amt/device"
	"amtmedic/amt/sim/engine"
	"amtmedic/amt/sim/lme"
)

func context30(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// to gives a Dial that leads every port to one server.
func to(addr string) func(context.Context, int) (net.Conn, error) {
	return func(ctx context.Context, _ int) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}
}

func connect(t *testing.T, f lme.Firmware, o apf.Options) *apf.Tunnel {
	t.Helper()
	tn, err := apf.Connect(context30(t), f.Connect(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tn.Close() })
	return tn
}

// amtServer is the engine of simulated firmware behind an HTTP server that asks for no log-in.
func amtServer(t *testing.T, secure bool) *httptest.Server {
	v, _ := amt.ParseVersion("9.0.0")
	e := engine.New(engine.Config{UUID: amt.UUID{0x4c, 1}, Version: v, Stage: engine.Post, Host: "pc17", Domain: "corp.example"})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a := e.Answer(engine.Session{User: "admin", Secure: secure}, r.Method, r.URL.Path, map[string]string{"content-type": r.Header.Get("Content-Type")}, body)
		for k, v := range a.Header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(a.Status)
		_, _ = w.Write(a.Body)
	})
	s := httptest.NewUnstartedServer(h)
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// The firmware's WS-Man is reached through the tunnel, plain and inside TLS, with windows far smaller
// than an answer.
func TestManagementThroughTheTunnel(t *testing.T) {
	for _, c := range []struct {
		port           int
		window, theirs int
	}{{apf.PlainPort, 0, 0}, {apf.PlainPort, 64, 48}, {apf.SecurePort, 200, 100}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			s := amtServer(t, c.port == apf.SecurePort)
			tn := connect(t, lme.Firmware{Ports: []int{c.port}, Dial: to(s.Listener.Addr().String()), Window: c.theirs}, apf.Options{Window: c.window, Settle: time.Millisecond})
			if got := tn.Ports(); len(got) != 1 || got[0] != c.port {
				t.Errorf("ports %v", got)
			}
			o := device.Options{Address: fmt.Sprintf("127.0.0.1:%d", c.port), Dial: tn.DialContext}
			if c.port == apf.SecurePort {
				want := sha256.Sum256(s.Certificate().Raw)
				o.TLS = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, VerifyConnection: func(cs tls.ConnectionState) error {
					if sha256.Sum256(cs.PeerCertificates[0].Raw) != want {
						return errors.New("another certificate")
					}
					return nil
				}}
			}
			sess := device.Open(o)
			d := device.NewWSMan(sess)
			id, err := d.Identify(context30(t))
			if err != nil || id.Version.String() != "9.0.0" || id.UUID != (amt.UUID{0x4c, 1}) {
				t.Fatalf("%+v, %v", id, err)
			}
			if n, err := d.Names(context30(t)); err != nil || n.FQDN() != "pc17.corp.example" {
				t.Errorf("%v, %v", n, err)
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// echo gives back what it gets and closes when the other side does.
func echo(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	return l
}

// Several channels carry different bytes at the same time, each in order and whole.
func TestChannelsBesideEachOther(t *testing.T) {
	l := echo(t)
	tn := connect(t, lme.Firmware{Dial: to(l.Addr().String()), Window: 700, Max: 256}, apf.Options{Window: 900})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			c, err := tn.Open(context30(t), 16992)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(30 * time.Second))
			data := bytes.Repeat([]byte(fmt.Sprintf("channel %d ", i)), 4000)
			go func() {
				if _, err := c.Write(data); err != nil {
					t.Error(err)
				}
			}()
			got := make([]byte, len(data))
			if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, data) {
				t.Errorf("channel %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if err := tn.Err(); err != nil {
		t.Error(err)
	}
}

// More channels one after the other than there are numbers: a close in order gives a number back.
func TestNumbersAreUsedAgain(t *testing.T) {
	l := echo(t)
	tn := connect(t, lme.Firmware{Dial: to(l.Addr().String())}, apf.Options{})
	for i := range 200 {
		c, err := tn.DialContext(context30(t), "tcp", "localhost:16993")
		if err != nil {
			t.Fatalf("channel %d: %v", i, err)
		}
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if n, err := io.ReadFull(c, make([]byte, 1)); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		_ = c.Close()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
	}
}

func TestDeadlines(t *testing.T) {
	l := echo(t)
	tn := connect(t, lme.Firmware{Dial: to(l.Addr().String())}, apf.Options{})
	c, err := tn.Open(context30(t), 16992)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	var timeout net.Error
	if _, err := c.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("again: %v", err)
	}
	// A deadline that moves wakes a read that waits without one.
	_ = c.SetDeadline(time.Time{})
	done := make(chan error, 1)
	go func() { _, err := c.Read(make([]byte, 1)); done <- err }()
	time.Sleep(5 * time.Millisecond)
	_ = c.SetDeadline(time.Unix(1, 0))
	if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("moved: %v", err)
	}
	// The channel is still of use.
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if b := make([]byte, 5); true {
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
			t.Errorf("%q, %v", b, err)
		}
	}
	if c.RemoteAddr().String() != "firmware:16992" || c.LocalAddr().Network() != "apf" {
		t.Errorf("%v, %v", c.RemoteAddr(), c.LocalAddr())
	}
}

// A firmware that refuses, or has nothing behind a port, is told by port and reason.
func TestRefusedChannel(t *testing.T) {
	tn := connect(t, lme.Firmware{}, apf.Options{})
	_, err := tn.Open(context30(t), 16992)
	var refused *apf.OpenError
	if !errors.As(err, &refused) || refused.Port != 16992 || !strings.Contains(err.Error(), "nothing listens there") {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"x:0", "x", "x:70000"} {
		if c, err := tn.DialContext(context30(t), "tcp", bad); err == nil {
			t.Errorf("%s: %v", bad, c)
		}
	}
	if _, err := tn.DialContext(context30(t), "udp", "x:1"); err == nil {
		t.Error("udp was dialled")
	}
	_ = tn.Close()
	if _, err := tn.Open(context30(t), 16992); !errors.Is(err, apf.ErrClosed) {
		t.Errorf("after the close: %v", err)
	}
}

// Closing the tunnel ends what waits in its channels.
func TestCloseEndsWaits(t *testing.T) {
	l := echo(t)
	tn := connect(t, lme.Firmware{Dial: to(l.Addr().String())}, apf.Options{})
	c, err := tn.Open(context30(t), 16992)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := c.Read(make([]byte, 1)); done <- err }()
	time.Sleep(5 * time.Millisecond)
	if err := tn.Close(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-done:
		if err == nil {
			t.Error("the read gave a byte")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the read still waits")
	}
}
