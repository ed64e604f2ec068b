package device_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/cert"
	"amtmedic/amt/device"
)

func ptr[T any](v T) *T { return &v }

// rights are settings of what a provisioned client lets whom do.
func rights(s *device.Settings) {
	s.PowerFor = func(all []device.PowerPolicy) string {
		i := slices.IndexFunc(all, func(p device.PowerPolicy) bool { return strings.Contains(p.Text, "S3") })
		if i < 0 {
			return ""
		}
		return all[i].ID
	}
	s.Redirection = &device.Redirection{SOL: ptr(true), IDER: ptr(false), Listener: ptr(false)}
	s.Consent = ptr(device.ConsentKVM)
	s.Network = &device.Network{DHCP: ptr(true), Ping: ptr(false), RMCP: ptr(false), Link: []int{1, 16}}
}

// What a profile can ask for is in the client afterwards; what its version does not have is a note.
func TestRights(t *testing.T) {
	for _, c := range []struct {
		method  amt.Method
		version string
		notes   []string
	}{
		{amt.PSK, "3.2.1", []string{"consent", "network setting"}}, {amt.PSK, "6.0", []string{"consent"}}, {amt.PKI, "9.0", nil}, {amt.PKI, "16.1", nil},
	} {
		t.Run(string(c.method)+" "+c.version, func(t *testing.T) {
			b := simulate(t, c.method, c.version)
			m := b.first()
			s := b.settings(m, false)
			rights(&s)
			r, err := device.Configure(context30(t), device.NewWSMan(b.setup(m)), s, &notes{})
			if err != nil {
				t.Fatalf("%v\n%s", err, strings.Join(b.asked, "\n"))
			}
			if len(r.Notes) != len(c.notes) {
				t.Errorf("notes %q, want %q", r.Notes, c.notes)
			}
			for _, want := range c.notes {
				if !slices.ContainsFunc(r.Notes, func(n string) bool { return strings.Contains(n, want) }) {
					t.Errorf("notes %q lack %q", r.Notes, want)
				}
			}
			if !slices.Contains(b.asked, "AMT_SystemPowerScheme.SetPowerScheme 200") {
				t.Errorf("no power policy was set: %q", b.asked)
			}
			reopen := s.Reopen
			if r.Identity.Version.AtLeast(16, 1) {
				reopen = s.ReopenTLS
			}
			d := reopen(s.Admin)
			red, err := d.Redirection(context30(t))
			if want := (device.Redirection{SOL: ptr(true), IDER: ptr(false), Listener: ptr(false)}); err != nil || !reflect.DeepEqual(red, want) {
				t.Errorf("redirection %+v, %v", red, err)
			}
			n, err := d.Network(context30(t))
			if err != nil || !*n.DHCP || *n.Ping || !slices.Equal(n.Link, []int{1, 16}) || n.RMCP != nil && *n.RMCP {
				t.Errorf("network %+v, %v", n, err)
			}
			consent, err := d.Consent(context30(t))
			if (device.KindOf(err) == device.KindMissing) != slices.Contains(c.notes, "consent") || err == nil && consent != device.ConsentKVM {
				t.Errorf("consent %d, %v", consent, err)
			}
		})
	}
}

// A static address is taken, also the second time.
func TestStaticAddress(t *testing.T) {
	b := simulate(t, amt.PKI, "9.0")
	m := b.first()
	s := b.settings(m, false)
	s.Network = &device.Network{DHCP: ptr(false), Address: "10.1.0.9", Mask: "255.255.255.0", Gateway: "10.1.0.1", DNS: []string{"10.1.0.53"}}
	if _, err := device.Configure(context30(t), device.NewWSMan(b.setup(m)), s, &notes{}); err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(b.asked, "\n"))
	}
	d := s.Reopen(s.Admin)
	for range 2 {
		n, err := d.Network(context30(t))
		if err != nil || *n.DHCP || n.Address != "10.1.0.9" || n.Mask != "255.255.255.0" || n.Gateway != "10.1.0.1" || !slices.Equal(n.DNS, []string{"10.1.0.53"}) {
			t.Errorf("%+v, %v", n, err)
		}
		if err := d.SetNetwork(context30(t), *s.Network); err != nil {
			t.Error(err)
		}
	}
	if err := d.SetNetwork(context30(t), device.Network{DHCP: ptr(true)}); err != nil {
		t.Error(err)
	}
	if n, err := d.Network(context30(t)); err != nil || !*n.DHCP || n.Gateway != "" {
		t.Errorf("back to DHCP: %+v, %v", n, err)
	}
}

// Mutual TLS: only who has a certificate of a trusted root and a name of the list gets in. Then the
// client's certificate is renewed: for the same key, and nothing of the old one stays.
func TestMutualAndRenewed(t *testing.T) {
	for _, version := range []string{"3.2.1", "9.0", "16.1"} {
		method := amt.PKI
		if version == "3.2.1" {
			method = amt.PSK
		}
		t.Run(version, func(t *testing.T) {
			b := simulate(t, method, version)
			m := b.first()
			a := newAuthority()
			s := b.settings(m, true)
			s.TLS.Mutual, s.TLS.TrustRoot, s.TLS.Roots, s.TLS.Names = true, true, []*x509.Certificate{a.root}, []string{"manager.example"}
			own := func(name string) *tls.Config {
				k := a.prov.PrivateKey.(crypto.Signer)
				der, err := a.sign(k.Public(), name, nil)
				if err != nil {
					t.Fatal(err)
				}
				return cert.ClientConfig(tls.Certificate{Certificate: [][]byte{der, a.root.Raw}, PrivateKey: k})
			}
			s.Reopen = func(logins ...device.Login) device.Device {
				return device.NewWSMan(b.open(true, device.Options{Logins: logins, TLS: own("m1.manager.example")}))
			}
			s.ReopenTLS = nil
			if _, err := device.Configure(context30(t), device.NewWSMan(b.setup(m)), s, &notes{}); err != nil {
				t.Fatalf("%v\n%s", err, strings.Join(b.asked, "\n"))
			}
			for name, c := range map[string]*tls.Config{"no certificate": legacy(), "another name": own("m1.elsewhere.example")} {
				d := device.NewWSMan(b.open(true, device.Options{Logins: []device.Login{s.Admin}, TLS: c}))
				ctx, cancel := context.WithTimeout(context30(t), 10*time.Second)
				if _, err := d.State(ctx); err == nil {
					t.Errorf("%s: the client let it in", name)
				}
				cancel()
			}
			d := s.Reopen(s.Admin)
			before, err := d.TLS(context30(t))
			if err != nil || !before.Mutual || !slices.Equal(before.Names, s.TLS.Names) {
				t.Fatalf("%+v, %v", before, err)
			}
			again := *s.TLS
			again.KeepFor, again.Roots, again.TrustRoot = 10000*time.Hour, nil, false
			if err := d.SetTLS(context30(t), again); err != nil {
				t.Fatal(err)
			}
			if err := d.Commit(context30(t)); err != nil {
				t.Fatal(err)
			}
			d = s.Reopen(s.Admin)
			after, err := d.TLS(context30(t))
			if err != nil || after.Certificate.SerialNumber.Cmp(before.Certificate.SerialNumber) == 0 || !reflect.DeepEqual(after.Certificate.PublicKey, before.Certificate.PublicKey) {
				t.Fatalf("%v, %v", after.Certificate, err)
			}
			if err := d.TidyTLS(context30(t), a.root); err != nil {
				t.Fatal(err)
			}
			if left, err := d.TLS(context30(t)); err != nil || left.Certificate == nil || left.Certificate.SerialNumber.Cmp(after.Certificate.SerialNumber) != 0 {
				t.Errorf("after tidying: %+v, %v", left, err)
			}
		})
	}
}

// Users that the settings do not name go, where that is asked for; administrator and the named ones stay.
func TestOnlyUsers(t *testing.T) {
	b := simulate(t, amt.PSK, "6.0")
	m := b.first()
	s := b.settings(m, false)
	d := device.NewWSMan(b.setup(m))
	d.LogIn(s.Known...)
	for _, name := range []string{"old", "older"} {
		if err := d.SetUser(context30(t), device.User{Name: name, Password: amt.NewSecret("0ld-Passw0rd!"), Access: device.AnyAccess, Realms: []int{2}}); err != nil {
			t.Fatal(err)
		}
	}
	s.OnlyUsers = true
	if _, err := device.Configure(context30(t), d, s, &notes{}); err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(b.asked, "\n"))
	}
	users, err := s.Reopen(s.Admin).Users(context30(t))
	if err != nil || len(users) != 1 || users[0].Name != s.Users[0].Name {
		t.Errorf("%+v, %v", users, err)
	}
}
