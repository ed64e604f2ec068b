package device_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"

	"amtmedic/amt"
	"amtmedic/amt/cert"
	"amtmedic/amt/device"
	"amtmedic/amt/wsman"
)

// old are the settings that clients with AMT 2.x can have.
func (b *bench) old(s device.Settings) device.Settings {
	s.Users, s.TLS = nil, nil
	s.Reopen = func(logins ...device.Login) device.Device {
		return device.New(device.EOI, b.open(false, device.Options{Logins: logins}))
	}
	s.ReopenTLS = nil
	return s
}

// Simulated clients with AMT 2.x, from hello to verified. The simulation was written apart from the same
// public facts; what both guessed alike may still be wrong.
func TestConfiguresOldClients(t *testing.T) {
	for name, c := range map[string]struct {
		method  amt.Method
		version string
	}{"psk 2.1": {amt.PSK, "2.1.0"}, "psk 2.6": {amt.PSK, "2.6.3"}, "pki 2.6": {amt.PKI, "2.6.3"}} {
		t.Run(name, func(t *testing.T) {
			b := simulate(t, c.method, c.version)
			m := b.first()
			session := b.setup(m)
			session.LogIn(device.Login{User: "admin", Password: b.client.Password})
			d, err := device.Detect(context30(t), session)
			if err != nil {
				t.Fatal(err)
			}
			if d.API() != device.EOI {
				t.Fatalf("it is taken for one with %s", d.API())
			}
			p := &notes{}
			r, err := device.Configure(context30(t), d, b.old(b.settings(m, false)), p)
			if err != nil {
				t.Fatalf("%v\n%s", err, strings.Join(b.asked, "\n"))
			}
			if r.Identity.Version.String() != c.version || r.Commit != device.Committed || r.Login.Password.Reveal() != "N3w-Passw0rd!" {
				t.Errorf("%+v", r)
			}
			if !r.Identity.UUID.IsZero() && r.Identity.UUID != b.client.UUID {
				t.Errorf("UUID %s, not %s", r.Identity.UUID, b.client.UUID)
			}
			t.Log(r.Notes)
		})
	}
}

// A commit whose answer is lost is not sent again before the client was asked.
func TestOldClientLosesAnswers(t *testing.T) {
	for _, fault := range []string{"SecurityAdministration.CommitChanges=drop-done@1", "SecurityAdministration.CommitChanges=drop-before@1"} {
		t.Run(fault, func(t *testing.T) {
			b := simulate(t, amt.PSK, "2.6.3", fault)
			m := b.first()
			r, err := device.Configure(context30(t), device.NewEOI(b.setup(m)), b.old(b.settings(m, false)), &notes{})
			if err != nil || r.Commit != device.Committed {
				t.Errorf("%+v, %v\n%s", r, err, strings.Join(b.asked, "\n"))
			}
		})
	}
}

// What refuses, and what is not known, has an error of its own kind.
func TestOldClientErrors(t *testing.T) {
	b := simulate(t, amt.PSK, "2.6.3", "SecurityAdministration.SetMEBxPassword=refuse:2054", "NetworkAdministration.SetHostName=soap")
	d := device.NewEOI(b.setup(b.first()))
	d.LogIn(device.Login{User: "admin", Password: b.client.Password})
	ctx := context30(t)
	var ret *wsman.ReturnError
	if err := d.SetMEBxPassword(ctx, amt.NewSecret("weak")); device.KindOf(err) != device.KindReturn || !errors.As(err, &ret) || ret.Code != 2054 {
		t.Errorf("%v", err)
	}
	if err := d.SetNames(ctx, device.Names{Host: "pc"}); device.KindOf(err) != device.KindFault {
		t.Errorf("%v", err)
	}
	for name, err := range unstated(ctx, d) {
		if device.KindOf(err) != device.KindMissing {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s, err := d.State(ctx); err != nil || s.Provisioning != device.In {
		t.Errorf("%+v, %v", s, err)
	}
}

// How far setup has come is told by the way in: a certificate that is shown makes it a setup.
func TestOldClientState(t *testing.T) {
	b := simulate(t, amt.PKI, "2.6.3")
	m := b.first()
	d := device.NewEOI(b.setup(m))
	s := b.old(b.settings(m, false))
	if st, err := d.State(context30(t)); err != nil || st.Provisioning != device.In {
		t.Errorf("%+v, %v", st, err)
	}
	if _, err := device.Configure(context30(t), d, s, &notes{}); err != nil {
		t.Fatal(err)
	}
	if st, err := s.Reopen(s.Admin).State(context30(t)); err != nil || st.Provisioning != device.Post {
		t.Errorf("%+v, %v", st, err)
	}
	none := device.NewEOI(device.Open(device.Options{Address: "client:16993", TLS: cert.ClientConfig(tls.Certificate{}),
		Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("not asked") }}))
	if _, err := none.State(context30(t)); device.KindOf(err) != device.KindUnreachable {
		t.Errorf("%v", err)
	}
}

// Un-provisioned old clients say hello again.
func TestOldClientUnprovisioned(t *testing.T) {
	b := simulate(t, amt.PSK, "2.6.3")
	m := b.first()
	s := b.old(b.settings(m, false))
	if _, err := device.Configure(context30(t), device.NewEOI(b.setup(m)), s, &notes{}); err != nil {
		t.Fatal(err)
	}
	for len(b.hellos) > 0 {
		<-b.hellos
	}
	d := s.Reopen(s.Admin)
	if err := d.Unprovision(context30(t), false); err != nil {
		t.Fatal(err)
	}
	if m := b.first(); m.PID != b.client.Pair.PID {
		t.Errorf("hello with PID %s", m.PID)
	}
}

// A client of 3.x whose WS-Man does not answer is not taken for an old one, although it has both.
func TestDetect(t *testing.T) {
	for name, c := range map[string]struct {
		version string
		faults  []string
		api     device.API
		kind    device.Kind
	}{
		"2.6":                  {"2.6.3", nil, device.EOI, ""},
		"3.2":                  {"3.2.1", nil, device.WSMan, ""},
		"3.2 without WS-Man":   {"3.2.1", []string{"AMT_GeneralSettings.Get=http:404"}, "", device.KindHTTP},
		"3.2 refuses the read": {"3.2.1", []string{"AMT_GeneralSettings.Get=soap"}, "", device.KindFault},
		"2.6 without both":     {"2.6.3", []string{"SecurityAdministration.GetCoreVersion=http:404"}, "", device.KindHTTP},
	} {
		t.Run(name, func(t *testing.T) {
			b := simulate(t, amt.PSK, c.version, c.faults...)
			s := b.setup(b.first())
			s.LogIn(device.Login{User: "admin", Password: b.client.Password})
			d, err := device.Detect(context30(t), s)
			if device.KindOf(err) != c.kind {
				t.Fatalf("%v", err)
			}
			if err == nil && (d.API() != c.api || device.New(c.api, s).API() != c.api) {
				t.Errorf("%s", d.API())
			}
		})
	}
}

func unstated(ctx context.Context, d device.Device) map[string]error {
	_, users := d.Users(ctx)
	_, tls := d.TLS(ctx)
	_, power := d.PowerPolicies(ctx)
	return map[string]error{"users": users, "user": d.SetUser(ctx, device.User{}), "remove": d.RemoveUser(ctx, "x"), "tls": tls, "set tls": d.SetTLS(ctx, device.TLS{On: true}),
		"power": power, "set power": d.SetPowerPolicy(ctx, "x"), "pair": d.SetPair(ctx, "", amt.Secret{}), "window": d.ExtendWindow(ctx, 1)}
}
