package provision

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// The example of symptom-catalogue 1: PSK, retry 3, PID 4WMA-PX70.
const (
	pskHex  = "0100020003000000000102030405060708090a0b0c0d0e0f34574d4150583730"
	pskUUID = "03020100-0504-0706-0809-0a0b0c0d0e0f"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pkiBytes is a version 3 hello with one SHA-256 hash.
func pkiBytes(t testing.TB) []byte {
	b := unhex(t, pskHex)[:24]
	b[2], b[8] = 3, 0x33
	return append(append(b, 1, 2, 32), bytes.Repeat([]byte{0xaa}, 32)...)
}

type bench struct {
	store  *store.Store
	addr   string
	log    *lockedBuffer
	events chan Event
	stop   func() time.Duration // stops the server and tells how long that took
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func serve(t *testing.T, l Limits) *bench {
	t.Helper()
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "core.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{store: st, addr: ln.Addr().String(), log: &lockedBuffer{}, events: make(chan Event, 10000)}
	s := New(st, Options{Limits: l, Log: slog.New(slog.NewJSONHandler(b.log, nil)), OnEvent: func(e Event) { b.events <- e }})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	b.stop = sync.OnceValue(func() time.Duration {
		begin := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		return time.Since(begin)
	})
	t.Cleanup(func() { b.stop(); _ = st.Close() })
	return b
}

// send writes pieces with a pause between them, and tells how the server ended the connection: nil
// is the orderly close that means the hello was kept.
func send(addr, from string, pause time.Duration, half bool, pieces ...[]byte) error {
	d := net.Dialer{Timeout: 5 * time.Second}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	for i, p := range pieces {
		if i > 0 {
			time.Sleep(pause)
		}
		if _, err := c.Write(p); err != nil {
			return err
		}
	}
	if half {
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			return err
		}
	}
	if n, err := c.Read(make([]byte, 1)); err != io.EOF || n != 0 {
		return fmt.Errorf("server sent %d bytes, %w", n, err)
	}
	return nil
}

func split(b []byte) (out [][]byte) {
	for i := range b {
		out = append(out, b[i:i+1])
	}
	return out
}

func TestHelloIsKeptBeforeClose(t *testing.T) {
	b := serve(t, Limits{Quiet: 100 * time.Millisecond})
	psk, pki := unhex(t, pskHex), pkiBytes(t)
	unknown := bytes.Clone(psk)
	unknown[2], unknown[8] = 9, 0x99
	for _, c := range []struct {
		name   string
		half   bool
		pause  time.Duration
		pieces [][]byte
		uuid   string
		state  store.State
		method amt.Method
	}{
		{"psk without half-close", false, 0, [][]byte{psk}, pskUUID, store.StateDelayed, amt.PSK},
		{"psk with half-close", true, 0, [][]byte{psk}, pskUUID, store.StateDelayed, amt.PSK},
		{"byte by byte", false, time.Millisecond, split(psk), pskUUID, store.StateDelayed, amt.PSK},
		{"two segments, slowly", false, 300 * time.Millisecond, [][]byte{psk[:25], psk[25:]}, pskUUID, store.StateDelayed, amt.PSK},
		{"bytes behind it", false, 0, [][]byte{psk, []byte("more")}, pskUUID, store.StateDelayed, amt.PSK},
		{"pki", false, 0, [][]byte{pki}, "03020133-0504-0706-0809-0a0b0c0d0e0f", store.Unprovisioned, amt.PKI},
		{"pki byte by byte", false, time.Millisecond, split(pki), "03020133-0504-0706-0809-0a0b0c0d0e0f", store.Unprovisioned, amt.PKI},
		{"unknown version, sender waits", false, 0, [][]byte{unknown}, "03020199-0504-0706-0809-0a0b0c0d0e0f", store.Unprovisioned, ""},
		{"unknown version, sender closes", true, 0, [][]byte{unknown}, "03020199-0504-0706-0809-0a0b0c0d0e0f", store.Unprovisioned, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			u, _ := amt.ParseUUID(c.uuid)
			before, _, _ := b.store.Client(t.Context(), u)
			if err := send(b.addr, "", c.pause, c.half, c.pieces...); err != nil {
				t.Fatal(err)
			}
			got, ok, err := b.store.Client(t.Context(), u)
			if err != nil || !ok || got.State != c.state || got.Method != c.method || got.Hellos != before.Hellos+1 || got.IP != "127.0.0.1" {
				t.Errorf("%+v %v %v", got, ok, err)
			}
		})
	}
	if !strings.Contains(b.log.String(), `"pid":"4WMAPX70"`) {
		t.Errorf("log without the PID: %s", b.log)
	}
}

func TestWhatIsNotKeptIsReset(t *testing.T) {
	b := serve(t, Limits{Idle: 150 * time.Millisecond})
	psk := unhex(t, pskHex)
	for _, c := range []struct {
		name  string
		half  bool
		bytes []byte
		log   string
	}{
		{"cut off in the PID, then silence", false, psk[:31], "31 bytes of version 2"},
		{"cut off in the PID, then closed", true, psk[:30], "30 bytes of version 2"},
		{"cut off in the header", false, psk[:20], "20 bytes"},
		{"hash missing", true, pkiBytes(t)[:40], "40 bytes of version 3"},
	} {
		if err := send(b.addr, "", 0, c.half, c.bytes); err == nil {
			t.Errorf("%s: closed as if it had been kept", c.name)
		}
		if !strings.Contains(b.log.String(), c.log) {
			t.Errorf("%s: no log line", c.name)
		}
	}
	if all, err := b.store.Clients(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("clients %+v %v", all, err)
	}
}

func TestForeignBytesLeaveARecord(t *testing.T) {
	b := serve(t, Limits{})
	for _, text := range []string{"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x00\xf1\x01\x00\x00\xed\x03\x03", "SSH-2.0-OpenSSH_9\r\n"} {
		if err := send(b.addr, "", 0, false, []byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	rows, err := b.store.Log(t.Context(), amt.UUID{}, 10)
	if err != nil || len(rows) != 3 || !strings.Contains(rows[0].Text, "HTTP protocol from 127.0.0.1:") {
		t.Errorf("%+v %v", rows, err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	var wg sync.WaitGroup
	for range 8 {
		seed := random.Uint64()
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, 3))
			for range 125 {
				junk := make([]byte, 1+r.IntN(3000))
				for i := range junk {
					junk[i] = byte(r.Uint32())
				}
				_ = send(b.addr, "", 0, true, junk)
			}
		})
	}
	wg.Wait()
	if err := send(b.addr, "127.0.0.2", 0, false, unhex(t, pskHex)); err != nil && runtime.GOOS == "linux" {
		t.Errorf("a hello after 1,000 connections of garbage: %v", err)
	}
	rows, err = b.store.Log(t.Context(), amt.UUID{}, 5000)
	if err != nil || len(rows) < 5 || len(rows) > 100 {
		t.Errorf("%d log rows, %v", len(rows), err)
	}
}

// Silent connections from many addresses must not keep out others; nor must one address take all.
func TestSilentConnections(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux answers on all of 127.0.0.0/8")
	}
	b := serve(t, Limits{Open: 300, OpenPerSource: 64})
	var open []net.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	dial := func(from string, n int) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
		for range n {
			if c, err := d.Dial("tcp", b.addr); err == nil { // above the limit the reset may come this early
				open = append(open, c)
			}
		}
	}
	dial("127.0.1.1", 100) // above what one address may have
	for i := range 50 {
		dial(fmt.Sprintf("127.0.2.%d", i+1), 8)
	}
	late := 0
	for i := range 100 {
		begin := time.Now()
		if err := send(b.addr, fmt.Sprintf("127.0.3.%d", i%20+1), 0, false, unhex(t, pskHex)); err != nil || time.Since(begin) > 2*time.Second {
			late++
		}
	}
	if late > 1 {
		t.Errorf("%d of 100 hellos were not acknowledged in time", late)
	}
	refused := 0
	for len(b.events) > 0 {
		if e := <-b.events; e.Kind == EventRefused && e.From.Addr().String() == "127.0.1.1" {
			refused++
		}
	}
	if refused != 36 {
		t.Errorf("%d of 100 connections of one address refused, 36 are above its limit", refused)
	}
	if took := b.stop(); took > 2*time.Second {
		t.Errorf("the stop took %v", took)
	}
}

func TestStoreFailureIsReset(t *testing.T) {
	b := serve(t, Limits{})
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := send(b.addr, "", 0, false, unhex(t, pskHex)); err == nil {
		t.Error("closed as if the hello had been kept")
	}
	if e := <-b.events; e.Kind != EventError || e.Err == nil {
		t.Errorf("event %+v", e)
	}
}

func TestRate(t *testing.T) {
	tb := newTable(Limits{Rate: 20, Burst: 5}.withDefaults())
	now := time.Unix(1000, 0)
	try := func(n int) (ok int) {
		for range n {
			near, far := net.Pipe()
			if c, in := tb.admit(near, now); in {
				tb.release(c)
				ok++
			}
			_, _ = near.Close(), far.Close()
		}
		return ok
	}
	if n := try(10); n != 5 {
		t.Errorf("%d at once, 5 allowed", n)
	}
	now = now.Add(100 * time.Millisecond)
	if n := try(10); n != 2 {
		t.Errorf("%d after 100 ms, 2 allowed", n)
	}
}
