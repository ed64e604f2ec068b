package provision

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/device"
	"amtmedic/amt/profile"
	"amtmedic/amt/store"
)

// upkeepOf does what the worker does with one kind of maintenance.
func (s *site) upkeepOf(m store.Maintenance) (store.Maintained, error) {
	s.t.Helper()
	s.must(s.st.Maintain(s.t.Context(), s.client.UUID, m, "a test asks for it"))
	j := s.job()
	if j.Maintenance() != m {
		s.t.Fatalf("the queue has kind %d (%s), not %s", j.Kind, j.Maintenance(), m)
	}
	got, err := (&Maintainer{Store: s.st, Firmware: s.fw, Random: s.w.o.Random}).Maintain(s.t.Context(), j)
	if err == nil {
		s.must(s.st.FinishMaintenance(s.t.Context(), j, got))
	}
	return got, err
}

// opens logs in as the administrator with one password, the way the client was left.
func (s *site) opens(password amt.Secret) error {
	m, err := (&Maintainer{Store: s.st, Firmware: s.fw}).open(s.t.Context(), store.Job{UUID: s.client.UUID})
	s.must(err)
	defer func() { _ = m.d.Close() }()
	d := m.open(adminLogins([]amt.Secret{password})...)
	defer func() { _ = d.Close() }()
	_, err = d.State(s.t.Context())
	return err
}

func (s *site) state() store.State {
	s.t.Helper()
	c, ok, err := s.st.Client(s.t.Context(), s.client.UUID)
	s.must(err)
	if !ok {
		s.t.Fatal("the client has no row")
	}
	return c.State
}

// Every kind of maintenance on clients of both methods, with TLS of all modes: what the firmware has
// afterwards is what the store says.
func TestMaintenance(t *testing.T) {
	for _, c := range []struct {
		method        amt.Method
		version, mode string
	}{{amt.PSK, "3.2.1", profile.TLSOff}, {amt.PSK, "6.0", profile.TLSServer}, {amt.PKI, "9.0", profile.TLSOff}, {amt.PKI, "16.1", profile.TLSOff}, {amt.PKI, "16.1", profile.TLSMutual}} {
		t.Run(string(c.method)+" "+c.version+" "+c.mode, func(t *testing.T) {
			p := profile.Default("office")
			p.TLS.Mode = c.mode
			s := newSite(t, c.method, c.version, p)
			first, err := s.configure(s.job())
			s.must(err)
			got, err := s.upkeepOf(store.MaintainClock)
			s.must(err)
			if !strings.Contains(got.Text, "is off by 0s") && !strings.Contains(got.Text, "1s") {
				t.Errorf("clock: %s", got.Text)
			}
			got, err = s.upkeepOf(store.MaintainPassword)
			s.must(err)
			if got.Password.Equal(first.Password) || got.Password.IsZero() {
				t.Error("the password is the old one")
			}
			if verified, next, err := s.st.Passwords(t.Context(), s.client.UUID); err != nil || !verified.Equal(got.Password) || !next.IsZero() {
				t.Errorf("the store has another password: %v", err)
			}
			if err := s.opens(first.Password); device.KindOf(err) != device.KindLogin {
				t.Errorf("the firmware takes the old password still: %v", err)
			}
			s.must(s.opens(got.Password))
			if got, err = s.upkeepOf(store.MaintainProfile); err != nil || !strings.Contains(got.Text, "office") {
				t.Errorf("profile: %q, %v", got.Text, err)
			}
			if got, err = s.upkeepOf(store.MaintainCertificate); err != nil || (c.mode == profile.TLSOff) != strings.Contains(got.Text, "nothing to renew") {
				t.Errorf("certificate: %q, %v", got.Text, err)
			}
			if s.state() != store.Provisioned {
				t.Errorf("the client is %s", s.state())
			}
			s.pairs(c.method)
			if _, err = s.upkeepOf(store.UnprovisionFull); err != nil {
				t.Fatal(err)
			}
			if s.state() != store.Unprovisioned {
				t.Errorf("after the end the client is %s", s.state())
			}
			if err := s.st.Maintain(t.Context(), s.client.UUID, store.MaintainClock, "test"); !errors.Is(err, store.ErrNotProvisioned) {
				t.Errorf("a client that is not provisioned can be queued: %v", err)
			}
		})
	}
}

// pairs changes the pair, undoes the setup in part, and sets the client up with the new pair.
func (s *site) pairs(m amt.Method) {
	s.t.Helper()
	before, _, err := s.st.Client(s.t.Context(), s.client.UUID)
	s.must(err)
	got, err := s.upkeepOf(store.MaintainPair)
	s.must(err)
	if m != amt.PSK {
		if got.PID != "" {
			s.t.Errorf("a client of Remote Configuration got the pair %s", got.PID)
		}
		return
	}
	if got.PID == "" || got.PID == before.PID {
		s.t.Fatalf("the PID is %q, it was %q", got.PID, before.PID)
	}
	_, err = s.upkeepOf(store.Unprovision)
	s.must(err)
	if s.state() != store.Unprovisioned {
		s.t.Errorf("after the partial unprovision the client is %s", s.state())
	}
	_, err = s.st.RecordHello(s.t.Context(), store.Hello{From: netip.MustParseAddrPort("127.0.0.1:16994"), Version: 2, UUID: s.client.UUID, PID: got.PID})
	s.must(err)
	deadline := time.Now().Add(20 * time.Second)
	for {
		if _, err = s.configure(s.job()); err == nil || time.Now().After(deadline) {
			break
		}
		_, err = s.st.Release(s.t.Context(), "test") // the client is about to restart its network side
		s.must(err)
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil || s.state() != store.Provisioned {
		s.t.Fatalf("the client is %s with its new pair: %v", s.state(), err)
	}
}

// A session that ends after the new password left, and before anybody knows it, is taken up with the
// password that was stored.
func TestMaintenancePasswordResumed(t *testing.T) {
	s := newSite(t, amt.PKI, "9.0", profile.Default("office"))
	_, err := s.configure(s.job())
	s.must(err)
	s.must(s.st.Maintain(t.Context(), s.client.UUID, store.MaintainPassword, "test"))
	j := s.job()
	sent := amt.NewSecret("Sent-Befor3-The-Cut")
	s.must(s.st.SetNextPassword(t.Context(), j, sent))
	plain, _, _ := s.client.Ports()
	verified, _, err := s.st.Passwords(t.Context(), s.client.UUID)
	s.must(err)
	d := device.NewWSMan(device.Open(device.Options{Address: plain.String(), Logins: adminLogins([]amt.Secret{verified})}))
	s.must(d.SetAdmin(t.Context(), device.Login{User: adminUser, Password: sent}))
	_ = d.Close()
	s.must(s.st.Delay(t.Context(), j, "rc-return-path-blocked: the session was cut", "cut", 0))
	_, _, err = s.st.PromoteDue(t.Context())
	s.must(err)
	got, err := (&Maintainer{Store: s.st, Firmware: s.fw, Random: s.w.o.Random}).Maintain(t.Context(), s.job())
	if err != nil || !got.Password.Equal(sent) {
		t.Fatalf("another password than the one that was sent: %v", err)
	}
}

// A hello that comes while maintenance is under way, or waits, goes before it.
func TestHelloBeforeMaintenance(t *testing.T) {
	ctx := t.Context()
	s := newSite(t, amt.PKI, "9.0", profile.Default("office"))
	_, err := s.configure(s.job())
	s.must(err)
	hello := func() {
		_, err := s.st.RecordHello(ctx, store.Hello{From: netip.MustParseAddrPort("127.0.0.1:16994"), Version: 3, UUID: s.client.UUID})
		s.must(err)
	}
	maintain := func() {
		s.must(s.st.Finish(ctx, s.job(), store.Done{})) // what the hello brought
		s.must(s.st.Maintain(ctx, s.client.UUID, store.MaintainClock, "test"))
	}
	hello()
	for name, then := range map[string]func(store.Job) error{
		"done":     func(j store.Job) error { return s.st.FinishMaintenance(ctx, j, store.Maintained{Text: "test"}) },
		"given up": func(j store.Job) error { return s.st.GiveUpMaintenance(ctx, j, "rc-x: words", "text") },
		"delayed": func(j store.Job) error {
			err := s.st.Delay(ctx, j, "rc-x: words", "text", 0)
			if err == nil {
				_, _, err = s.st.PromoteDue(ctx)
			}
			return err
		},
		"waiting": func(j store.Job) error { _, err := s.st.Release(ctx, "test"); return err },
	} {
		maintain()
		j := s.job()
		hello()
		s.must(then(j))
		again := s.job()
		if again.Kind != 3 {
			t.Errorf("%s: the queue has kind %d", name, again.Kind)
		}
		_, err := s.st.Release(ctx, "test")
		s.must(err)
	}
}

// Maintenance is queued when it is due, and once.
func TestUpkeepIsDue(t *testing.T) {
	ctx := t.Context()
	s := newSite(t, amt.PKI, "9.0", profile.Default("office"))
	_, err := s.configure(s.job())
	s.must(err)
	ahead := time.Duration(0)
	w := NewWorker(s.st, WorkerOptions{Maintainer: &Maintainer{Store: s.st, Firmware: s.fw}, Now: func() time.Time { return time.Now().Add(ahead) }})
	entries := func() int {
		s.must(w.Due(ctx))
		q, err := s.st.QueueStats(ctx)
		s.must(err)
		return q.Queued
	}
	ahead = 48 * time.Hour
	if n := entries(); n != 0 {
		t.Fatalf("%d entries without a schedule", n)
	}
	s.must(s.st.SetConfig(ctx, "maintain_clock_days", "3"))
	if n := entries(); n != 0 {
		t.Fatalf("%d entries after two of three days", n)
	}
	ahead = 73 * time.Hour
	if n := entries(); n != 1 {
		t.Fatalf("%d entries after three days", n)
	}
	if n := entries(); n != 1 {
		t.Fatalf("%d entries after the second look", n)
	}
	s.must(s.st.FinishMaintenance(ctx, s.job(), store.Maintained{Text: "test"}))
	ahead = 72*time.Hour - time.Minute
	if n := entries(); n != 0 {
		t.Fatalf("%d entries right after it was done", n)
	}
	s.must(s.st.SetConfig(ctx, "maintain_clock_days", "soon"))
	if err := w.Due(context.Background()); err == nil || !strings.Contains(err.Error(), "maintain_clock_days") {
		t.Fatalf("a wrong number of days: %v", err)
	}
}

// The kinds of maintenance that the store knows are those that the Maintainer does.
func TestMaintenanceKinds(t *testing.T) {
	for _, m := range []store.Maintenance{store.MaintainClock, store.MaintainPassword, store.MaintainPair, store.MaintainCertificate, store.MaintainProfile, store.Unprovision, store.UnprovisionFull} {
		if !m.Known() || !slices.Contains(store.Maintenances(), m) {
			t.Errorf("%s is not known", m)
		}
	}
}

// What the settings of the database say counts.
func TestSettingsCount(t *testing.T) {
	ctx := t.Context()
	s := newSite(t, amt.PKI, "9.0", profile.Default("office"))
	j := s.job()
	refused := func(cause string) {
		t.Helper()
		_, err := s.w.task(ctx, j)
		var r *Refusal
		if !errors.As(err, &r) || r.Cause != cause {
			t.Errorf("%v is not %s", err, cause)
		}
	}
	s.must(s.st.SetConfig(ctx, "rcfg_enabled", "false"))
	refused("rc-rcfg-off-on-server")
	s.must(s.st.SetConfig(ctx, "rcfg_enabled", "true"))
	s.must(s.st.SetConfig(ctx, "uuid_policy", "imported-only"))
	if _, err := s.w.task(ctx, j); err != nil {
		t.Errorf("a client of the map: %v", err)
	}
	s.must(s.st.RemoveMapRow(ctx, s.client.UUID))
	refused("rc-uuid-not-allowed")
	s.must(s.st.SetConfig(ctx, "retry_s", "7"))
	if d := s.w.backOff(ctx, 12); d != 7*time.Second {
		t.Errorf("the twelfth attempt waits %v", d)
	}
}

// Maintenance that waits gives way to what is asked for, and a key that a client has used stays used when
// its file is imported again.
func TestMaintenanceGivesWay(t *testing.T) {
	ctx := t.Context()
	s := newSite(t, amt.PSK, "6.0", profile.Default("office"))
	_, err := s.configure(s.job())
	s.must(err)
	s.must(s.st.Maintain(ctx, s.client.UUID, store.MaintainClock, "test"))
	s.must(s.st.Delay(ctx, s.job(), "rc-return-path-blocked: words", "text", time.Hour))
	s.must(s.st.Maintain(ctx, s.client.UUID, store.Unprovision, "test"))
	if j := s.job(); j.Maintenance() != store.Unprovision {
		t.Errorf("the queue has %s", j.Maintenance())
	}
	again := store.Pair{PID: s.client.Pair.PID, PPS: s.client.Pair.PPS} // a maker's list has no passwords
	_, err = s.st.ImportKeys(ctx, []store.Pair{again})
	s.must(err)
	if row, _, err := s.st.PID(ctx, again.PID); err != nil || !row.Used || row.UUID != s.client.UUID {
		t.Errorf("after the second import: %+v, %v", row, err)
	}
	if kept, _, err := s.st.Key(ctx, again.PID); err != nil || !kept.AdminPassword.Equal(s.client.Password) {
		t.Errorf("the second import took the password away: %v", err)
	}
}
