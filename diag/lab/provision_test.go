package lab

import (
	"context"
	"testing"
	"time"

	"amtmedic/amt/device"
	"amtmedic/amt/sim/front"
	"amtmedic/amt/store"
	"amtmedic/diag"
	"amtmedic/diag/probe"
)

// Behind a repair the core provisions the client: its row says so, and the password in it opens the
// firmware, which the factory's one does not.
func TestProvisioned(t *testing.T) {
	for i, id := range []string{"rc-amtconfig-stopped", "rc-pid-mistyped", "rc-already-provisioned", "rc-fqdn-unresolved"} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, int64(300+i), id)
			j := judge(t, w)
			for tried := map[string]bool{}; !j.Healthy(); j = judge(t, w) {
				if !repairOnce(t, w, &j, tried) {
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
	if !open {
		t.Fatal("the port of a provisioned client is closed")
	}
	for _, c := range []struct {
		login device.Login
		right bool
	}{{device.Login{User: "admin", Password: verified}, true}, {device.Login{User: "admin", Password: w.plan.id.password}, false}} {
		d := device.NewWSMan(device.Open(device.Options{Address: at.String(), Logins: []device.Login{c.login}}))
		s, err := d.State(ctx)
		if c.right && (err != nil || s.Provisioning != device.Post) || !c.right && device.KindOf(err) != device.KindLogin {
			t.Errorf("log-in that is right: %v gives %v, %v", c.right, s.Provisioning, err)
		}
		_ = d.Close()
	}
}
