package device_test

import (
	"context"
	"crypto"
	"crypto/sha256"
	"slices"
	"testing"

	"amtmedic/amt"
	"amtmedic/amt/device"
	"amtmedic/amt/hello"
	"amtmedic/amt/sim/engine"
)

// Simulated firmware judges chain, signature and password of a host-based setup by itself. Its user for
// programs of the operating system is made here.
func TestHostBasedSetupOfSimulatedClient(t *testing.T) {
	who := device.Login{User: "admin", Password: amt.NewSecret("N3w-Passw0rd!")}
	a := newAuthority()
	chain := device.Chain{Certificates: a.prov.Certificate, Key: a.prov.PrivateKey.(crypto.Signer)}
	trusting := func(c *engine.Config) {
		sum := sha256.Sum256(a.root.Raw)
		c.Stage, c.Hashes = engine.In, []hello.Hash{{Algorithm: hello.SHA256, Digest: sum[:]}}
	}
	client := func(ctx context.Context, h device.HostBased) error { return h.SetupClient(ctx, who) }
	admin := func(c device.Chain) func(context.Context, device.HostBased) error {
		return func(ctx context.Context, h device.HostBased) error { return h.SetupAdmin(ctx, who, c) }
	}
	cases := map[string]struct {
		change func(*engine.Config)
		setup  func(context.Context, device.HostBased) error
		mode   device.ControlMode
		kind   device.Kind
	}{
		"client control": {inSetup, client, device.ClientControl, ""},
		"admin control":  {trusting, admin(chain), device.AdminControl, ""},
		"unknown root":   {inSetup, admin(chain), device.NotSetUp, device.KindReturn},
		"another key":    {trusting, admin(device.Chain{Certificates: a.prov.Certificate, Key: a.key}), device.NotSetUp, device.KindReturn},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			l, d := newLocal(t, "11.8.50", c.change)
			ctx := context30(t)
			if err := d.SetUser(ctx, device.User{Name: engine.OSAdmin, Password: who.Password, Access: device.AnyAccess, Realms: []int{3}}); err != nil {
				t.Fatal(err)
			}
			l.user = engine.OSAdmin
			h := d.(device.HostBased)
			if err := c.setup(ctx, h); device.KindOf(err) != c.kind {
				t.Fatalf("got %v, asked %v", err, l.steps())
			}
			s, err := h.HostState(ctx)
			if err != nil || s.Mode != c.mode {
				t.Errorf("%+v, %v", s, err)
			}
			if c.kind != "" {
				return
			}
			l.steps()
			if err := c.setup(ctx, h); err != nil { // again, without harm
				t.Errorf("again: %v", err)
			}
			if got := l.steps(); !slices.Equal(got, []string{"IPS_HostBasedSetupService.Get"}) {
				t.Errorf("again asked %v", got)
			}
			if ha1, _ := l.Digest("admin"); ha1 != hexOf(device.HA1(l.Realm(), who)) {
				t.Errorf("password: %s", ha1)
			}
		})
	}
}
