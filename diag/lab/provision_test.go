package lab

import (
	"context"
	"crypto/tls"
	"os"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/ca"
	"amtmedic/amt/cert"
	"amtmedic/amt/device"
	"amtmedic/amt/profile"
	"amtmedic/amt/sim/engine"
	"amtmedic/amt/sim/front"
	"amtmedic/amt/store"
	"amtmedic/diag"
	"amtmedic/diag/probe"
)

// Behind a repair the core provisions the client: its row says so, and the password in it opens the
// firmware, which the factory's one does not.
func TestProvisioned(t *testing.T) {
	ids := []string{"rc-amtconfig-stopped", "rc-pid-mistyped", "rc-already-provisioned", "rc-fqdn-unresolved", "rc-cert-suffix-mismatch", "rc-cert-hash-algorithm",
		"rc-pps-mismatch", "rc-otp-mismatch", "rc-script-error", "rc-ca-unavailable"}
	if os.Getenv("AMTMEDIC_LONG") != "" {
		ids = everyFault()[2:]
	}
	for i, id := range ids {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			buildable(t, id)
			w := newWorld(t, int64(300+i), id)
			j := judge(t, w)
			for tried, n := map[string]bool{}, 0; !j.Healthy(); j = judge(t, w) {
				if n++; n > 8 || !repairOnce(t, w, &j, tried) {
					t.Fatalf("nothing left to repair %q with", j.Verdict)
				}
			}
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			var seen []int
			p, err := w.Provision(ctx, diag.NewView(nil, w.Now()), func(p probe.Progress) { seen = append(seen, p.Done()) })
			if err != nil || p.State != probe.ProgressDone || p.Done() != len(p.Steps) || p.FQDN != w.plan.id.client {
				t.Fatalf("%v: %+v", err, p)
			}
			if len(seen) < 3 {
				t.Errorf("reported as it went: %v", seen)
			}
			row, _, err := w.store.Client(ctx, w.plan.id.uuid)
			if err != nil || row.State != store.Provisioned || w.pc.State().Provisioning != "post" {
				t.Errorf("row %+v, client %s, %v", row, w.pc.State().Provisioning, err)
			}
			opensOnly(ctx, t, w)
		})
	}
}

// opensOnly logs in with the password of the table, and with the one that the PC had before.
func opensOnly(ctx context.Context, t *testing.T, w *World) {
	t.Helper()
	verified, _, err := w.store.Passwords(ctx, w.plan.id.uuid)
	if err != nil || verified.IsZero() {
		t.Fatalf("no password in the table: %v", err)
	}
	at, open := w.firmware.real(front.PortPlain)
	var secure *tls.Config
	if !open && front.PlainClosed(w.plan.version()) {
		at, open = w.firmware.real(front.PortTLS)
		secure = cert.ClientConfig(tls.Certificate{})
	}
	if !open && w.plan.secured { // nothing else opens a client that is managed over mutual TLS
		at, open = w.firmware.real(front.PortTLS)
		secure = manager(ctx, t, w)
	}
	if !open {
		t.Fatal("the port of a provisioned client is closed")
	}
	for _, c := range []struct {
		login device.Login
		right bool
	}{{device.Login{User: "admin", Password: verified}, true}, {device.Login{User: "admin", Password: before(w)}, false}} {
		d := device.NewWSMan(device.Open(device.Options{Address: at.String(), TLS: secure, Logins: []device.Login{c.login}}))
		s, err := d.State(ctx)
		if c.right && (err != nil || s.Provisioning != device.Post) || !c.right && device.KindOf(err) != device.KindLogin {
			t.Errorf("log-in that is right: %v gives %v, %v", c.right, s.Provisioning, err)
		}
		_ = d.Close()
	}
}

// manager is the TLS of a managing program of the practice server.
func manager(ctx context.Context, t *testing.T, w *World) *tls.Config {
	t.Helper()
	c := ca.New(w.store, ca.Options{})
	a, err := c.Authority(ctx, profile.OwnAuthority)
	if err != nil {
		t.Fatal(err)
	}
	id, err := c.Manager(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := c.ClientTLS(ctx, w.plan.id.client, id)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// before is the password that the PC had.
func before(w *World) amt.Secret {
	if w.plan.method == amt.PKI {
		return amt.NewSecret(engine.FactoryPassword)
	}
	return w.plan.id.password
}

// What the walk finds in the certificate file is what the firmware refuses it for: a core that tries all
// the same meets the same cause in the session, as far as an alert can tell it.
func TestFirmwareRefuses(t *testing.T) {
	for i, c := range []struct{ fault, cause string }{
		{"rc-cert-missing", "rc-cert-missing"}, {"rc-cert-no-key", "rc-cert-no-key"}, {"rc-cert-no-oid", "rc-cert-no-oid"}, {"rc-cert-expired", "rc-cert-expired"},
		{"rc-cert-chain-incomplete", "rc-cert-chain-incomplete"}, {"rc-cert-hash-not-in-client", "rc-cert-hash-not-in-client"},
		{"rc-cert-suffix-mismatch", "rc-cert-suffix-mismatch"}, {"rc-rcfg-off-on-server", "rc-rcfg-off-on-server"},
		{"rc-cert-hash-algorithm", "rc-cert-suffix-mismatch"}, // the same alert: bad_certificate
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, int64(400+i), c.fault)
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			p, err := w.Provision(ctx, diag.NewView(nil, w.Now()), func(probe.Progress) {})
			if err != nil || p.State != probe.ProgressDelayed || p.Cause != c.cause {
				t.Errorf("%v: %s %q (%s)", err, p.State, p.Cause, p.Reason)
			}
		})
	}
}

// A healthy client that is set up by certificate comes to its end too.
func TestRemoteConfiguration(t *testing.T) {
	w, err := New(context.Background(), Options{Faults: []string{NonePKI}, Seed: 77, Temp: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	if j := judge(t, w); j.Verdict != "ok-in-progress" || j.Confidence != diag.Proven || len(j.Further) > 0 {
		t.Fatalf("%s (%s), further %v, asks %v", j.Verdict, j.Confidence, j.Further, j.Next)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if p, err := w.Provision(ctx, diag.NewView(nil, w.Now()), func(probe.Progress) {}); err != nil || p.State != probe.ProgressDone {
		t.Fatalf("%v: %+v", err, p)
	}
	opensOnly(ctx, t, w)
}
