package sim_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/provision"
	"amtmedic/amt/sim"
	"amtmedic/amt/store"
)

// The walk in short, on real sockets: one mistyped character, a hello that waits in vain, the right
// key. Both ends are ours, so this shows that they fit, not that either is right.
func TestWalk(t *testing.T) {
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "core.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = provision.New(st, provision.Options{}).Serve(ctx, ln) })

	acknowledged := make(chan sim.Event, 100)
	u, _ := amt.ParseUUID("4c4c4544-0058-3910-8059-b7c04f4b5a31")
	to := netip.MustParseAddrPort(ln.Addr().String())
	c := sim.New(sim.Config{UUID: u, Enabled: true, Clock: sim.ScaledClock(600), Network: sim.Sockets{},
		Lease: sim.Lease{Address: netip.MustParseAddr("127.0.0.1")}, Override: sim.Override{Addr: to.Addr(), Port: to.Port()},
		OnEvent: func(e sim.Event) {
			if e.Kind == sim.EventAcknowledged {
				acknowledged <- e
			}
		}})
	wg.Go(func() { _ = c.Run(ctx) })
	pps := amt.NewSecret("NKLDG5DCRRNQE9YZZIJL7LFLVJED69XJ")
	if err := c.InsertUSB("0000-037M", pps, amt.NewSecret("N3w-P@ssword")); err != nil {
		t.Fatal(err)
	}
	wait := func() {
		t.Helper()
		select {
		case <-acknowledged:
		case <-time.After(5 * time.Second):
			t.Fatalf("no hello was acknowledged; %+v", c.State())
		}
	}
	wait()
	if d, ok, err := st.Delayed(t.Context(), u); !ok || err != nil || d.Reason != store.ReasonPIDUnknown {
		t.Errorf("delayed %+v %v %v", d, ok, err)
	}
	if _, err := st.ImportKeys(t.Context(), []store.Pair{{PID: "0000037M", PPS: pps}}); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := st.Queue(t.Context(), u); !ok || err != nil {
		t.Errorf("not queued after the import: %v", err)
	}
	wait() // the next of the schedule changes nothing
	if got, _, err := st.Client(t.Context(), u); err != nil || got.Hellos < 2 || got.State != store.Unprovisioned {
		t.Errorf("%+v %v", got, err)
	}
	if err := c.MEBx().Login(amt.NewSecret("admin")); !errors.Is(err, sim.ErrLogIn) {
		t.Errorf("the factory password after One-Touch: %v", err)
	}
}
