package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"amtmedic/diag"
)

func TestConnect(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	open := netip.MustParseAddrPort(l.Addr().String())
	got := make(chan int, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		n, _ := c.Read(make([]byte, 10))
		got <- n
	}()
	t.Cleanup(func() { _ = l.Close() })
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := netip.MustParseAddrPort(gone.Addr().String())
	_ = gone.Close()
	fails := func(err error) func(context.Context, string, string) (net.Conn, error) {
		return func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
		}
	}
	stalls := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
	}
	tests := []struct {
		name, want string
		port       Port
	}{
		{"open", "connect", Port{To: open}},
		{"open, from an address", "connect", Port{To: open, Local: netip.MustParseAddr("127.0.0.1")}},
		{"closed", "refused", Port{To: closed}},
		{"dropped", "timeout", Port{To: closed, Dial: stalls, Limit: 50 * time.Millisecond}},
		{"unreachable", "unreachable", Port{To: closed, Dial: fails(errnoUnreachable[0])}},
		{"time-out of the system", "timeout", Port{To: closed, Dial: fails(errnoTimeout[0])}},
		{"fault of this machine", "", Port{To: closed, Dial: fails(syscall.EMFILE)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.port.Side = diag.AtThird
			r, err := run(t, Connect(tt.port))
			if tt.want == "" {
				if err == nil || len(r.facts) > 0 {
					t.Errorf("facts %v, error %v", r.facts, err)
				}
				return
			}
			if err != nil || len(r.facts) != 1 || r.facts[0].Value != tt.want || r.facts[0].Vantage != diag.AtThird {
				t.Errorf("facts %v, error %v", r.facts, err)
			}
		})
	}
	if n := <-got; n != 0 {
		t.Errorf("the probe sent %d bytes", n)
	}
}

func TestConnectCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	r := &record{}
	p := Connect(Port{To: netip.MustParseAddrPort("192.0.2.1:9971"), Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	if err := p.Run(ctx, r); !errors.Is(err, context.Canceled) || len(r.facts) > 0 {
		t.Errorf("error %v, facts %v", err, r.facts)
	}
}

func TestConnectDefaults(t *testing.T) {
	for key, want := range map[string]string{"": ":9971", "net.16992": ":16992", "net.16993": ":16993", "net.mps": ":4433"} {
		p := Connect(Port{Key: key, To: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), 0)})
		if !strings.Contains(p.What, want) || p.Check == "" {
			t.Errorf("key %q: %q for check %q", key, p.What, p.Check)
		}
	}
	if p := Connect(Port{}); p.Needs == "" {
		t.Error("a probe without address says that it can run")
	}
}
