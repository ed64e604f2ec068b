package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"amtmedic/amt/hello"
)

// pacer takes the hellos of simulated clients, which send them all at once, and passes the first one of each on
// from its client's address, so many a second.
type pacer struct {
	t    *testing.T
	to   string
	addr string

	mu     sync.Mutex
	seen   map[string]bool // UUIDs
	first  []pacedHello
	sent   map[string]time.Time     // by UUID
	commit map[string]time.Duration // from the connection to its orderly end
}

type pacedHello struct {
	from, uuid string
	bytes      []byte
}

func newPacer(t *testing.T, to string) *pacer {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	p := &pacer{t: t, to: to, addr: ln.Addr().String(), seen: map[string]bool{}, sent: map[string]time.Time{}, commit: map[string]time.Duration{}}
	go func() {
		for c, err := ln.Accept(); err == nil; c, err = ln.Accept() {
			go p.take(c)
		}
	}()
	return p
}

// take reads a hello; its sender may believe that it was kept.
func (p *pacer) take(c net.Conn) {
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 4096)
	for n := 0; n < len(b); {
		k, err := c.Read(b[n:])
		n += k
		if _, whole := hello.Need(b[:n]); whole {
			b = b[:n]
			break
		}
		if err != nil {
			return
		}
	}
	m, err := hello.Decode(b)
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if u := m.UUID.String(); !p.seen[u] {
		p.seen[u] = true
		p.first = append(p.first, pacedHello{c.RemoteAddr().(*net.TCPAddr).IP.String(), u, b})
	}
}

// pass sends what n clients said, evenly, and waits for the last acknowledgement.
func (p *pacer) pass(n int, rate float64) {
	p.t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		p.mu.Lock()
		have := len(p.first)
		p.mu.Unlock()
		if have == n {
			break
		}
		if time.Now().After(end) {
			p.t.Fatalf("%d of %d clients said hello", have, n)
		}
	}
	var wg sync.WaitGroup
	begin := time.Now()
	for i, h := range p.first {
		time.Sleep(time.Until(begin.Add(time.Duration(float64(i) / rate * float64(time.Second)))))
		wg.Go(func() { p.send(h) })
	}
	wg.Wait()
}

func (p *pacer) send(h pacedHello) {
	at := time.Now()
	c, err := dialFrom(h.from, p.to)
	if err != nil {
		p.t.Error(err)
		return
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(at.Add(20 * time.Second))
	_, err = c.Write(h.bytes)
	if err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	took := time.Since(at)
	if err != io.EOF {
		p.t.Errorf("a hello was not acknowledged: %v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent[h.uuid], p.commit[h.uuid] = at, took
}

var networks atomic.Int32

// nextNetwork gives the first address of clients that no other clients of this process have: theirs are there
// until it ends.
func nextNetwork() string { return fmt.Sprintf("127.0.%d.1", 92+8*networks.Add(1)) }

// percentiles gives the median and the 99th of 100, in words.
func percentiles(all []time.Duration) string {
	slices.Sort(all)
	ms := func(part int) float64 { return float64(all[len(all)*part/100].Microseconds()) / 1000 }
	return fmt.Sprintf("p50 %.1f ms, p99 %.1f ms", ms(50), ms(99))
}

// paced has n clients of a method say hello at a rate, and gives the times until each hello was durable and
// until each client was provisioned, and how many were provisioned a second.
func paced(t *testing.T, method string, n int, rate float64) (commit, done []time.Duration, pace float64) {
	t.Helper()
	s := startTLS(t, "off")
	p := newPacer(t, s.addr)
	real := s.addr
	s.addr = p.addr // what the clients send to
	s.clients(method, map[string]string{"psk": "3.2.1", "pki": "9.0"}[method], nextNetwork(), n)
	s.addr = real
	p.pass(n, rate)
	s.wait(n, func() {})
	for line := range strings.Lines(s.text()) {
		var l struct {
			Time      time.Time
			Msg, UUID string
		}
		if json.Unmarshal([]byte(line), &l) != nil || l.Msg != "provisioned" {
			continue
		}
		if at, ok := p.sent[l.UUID]; ok {
			done = append(done, l.Time.Sub(at))
		}
	}
	for _, took := range p.commit {
		commit = append(commit, took)
	}
	if len(done) != n || len(commit) != n {
		t.Fatalf("the log has %d of %d clients, %d hellos were acknowledged", len(done), n, len(commit))
	}
	pace = float64(n) / working(t, s.text()).Seconds()
	_ = s.cmd.Process.Kill()
	<-s.done
	return commit, done, pace
}

// latency prints how long a client waits at 300 hellos a second; where clients are provisioned more slowly than
// that they only queue, and what counts is the wait at a rate that the worker follows.
func latency(t *testing.T, method string) {
	t.Helper()
	const asked, seconds = 300, 4
	commit, done, pace := paced(t, method, asked*seconds, asked)
	servePerf(fmt.Sprintf("%s: from connection to durable hello, %d hellos a second", method, asked), percentiles(commit), "-", "-", "-")
	what := fmt.Sprintf("%s: from hello to provisioned, %d hellos a second", method, asked)
	if pace < 0.95*asked {
		servePerf(what+fmt.Sprintf(", more than the %.0f that are provisioned: they queue", pace), percentiles(done), "-", "-", "-")
		rate := float64(int(pace*0.7/10) * 10)
		_, done, pace = paced(t, method, int(rate)*seconds, rate)
		what = fmt.Sprintf("%s: from hello to provisioned, %.0f hellos a second, of which the worker keeps up with %.0f", method, rate, pace)
	}
	servePerf(what, percentiles(done), "-", "-", "-")
}

// mostResident gives the most memory that a process had so far, in KiB.
func mostResident(t *testing.T, pid int) int {
	t.Helper()
	return statusKiB(t, pid, "VmHWM:")
}

// sessionMemory prints what each session with a client takes, as the difference that more of them at once make.
func sessionMemory(t *testing.T) {
	t.Helper()
	const few, many, n = 4, 132, 400
	var most []int
	for _, sessions := range []int{few, many} {
		s := startTLS(t, "off", "--sessions", fmt.Sprint(sessions))
		s.clients("psk", "3.2.1", nextNetwork(), n)
		s.wait(n, func() {})
		most = append(most, mostResident(t, s.cmd.Process.Pid))
		_ = s.cmd.Process.Kill()
		<-s.done
	}
	servePerf("memory of the server for each open session with a client, KiB", fmt.Sprintf("%.0f", float64(most[1]-most[0])/(many-few)), "-", "-", "-")
}

// openMemory prints what each open connection takes whose hello has not come.
func openMemory(t *testing.T, s *server) {
	t.Helper()
	const n = 2000
	was := residentKiB(t, s.cmd.Process.Pid)
	var open []net.Conn
	for i := range n {
		c, err := dialFrom(fmt.Sprintf("127.0.69.%d", 1+i%200), s.addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte{0, 0})
		open = append(open, c)
	}
	time.Sleep(time.Second)
	servePerf("memory of the server for each connection that waits for its hello, KiB", fmt.Sprintf("%.1f", float64(residentKiB(t, s.cmd.Process.Pid)-was)/n), "-", "-", "-")
	for _, c := range open {
		_ = c.Close()
	}
}
