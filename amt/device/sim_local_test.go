package device_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/device"
	"amtmedic/amt/keys"
	"amtmedic/amt/sim/engine"
	"amtmedic/amt/tlspsk"
)

// local is the engine of simulated firmware behind a server without TLS, as in a session that an
// accepted provisioning certificate opened.
type local struct {
	*engine.Engine
	now   time.Time
	user  string // who is vouched for; empty: nobody, and nobody is asked for
	mu    sync.Mutex
	asked []string
}

func newLocal(t *testing.T, version string, change func(*engine.Config)) (*local, device.Device) {
	t.Helper()
	v, err := amt.ParseVersion(version)
	if err != nil {
		t.Fatal(err)
	}
	l := &local{now: time.Now()}
	c := engine.Config{UUID: amt.UUID{0x4c, 1}, Version: v, Stage: engine.Pre, Domain: suffix, Now: func() time.Time { return l.now }}
	if change != nil {
		change(&c)
	}
	l.Engine = engine.New(c)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a := l.Answer(engine.Session{Setup: true, Certificate: l.user == "", Secure: true, User: l.user}, r.Method, r.URL.Path, map[string]string{"content-type": r.Header.Get("Content-Type")}, body)
		l.mu.Lock()
		l.asked = append(l.asked, a.Step)
		l.mu.Unlock()
		for k, v := range a.Header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(a.Status)
		_, _ = w.Write(a.Body)
	}))
	t.Cleanup(s.Close)
	sess := device.Open(device.Options{Address: s.Listener.Addr().String(), Wait: func(_ context.Context, d time.Duration) error {
		l.now = l.now.Add(d)
		return nil
	}})
	t.Cleanup(func() { _ = sess.Close() })
	return l, device.NewWSMan(sess)
}

// steps gives what was asked since the last call.
func (l *local) steps() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.asked
	l.asked = nil
	return out
}

func hexOf(b [16]byte) string { return hex.EncodeToString(b[:]) }

func inSetup(c *engine.Config) { c.Stage = engine.In }

// count counts the steps that end so.
func count(steps []string, suffix string) (n int) {
	for _, s := range steps {
		if strings.HasSuffix(s, suffix) {
			n++
		}
	}
	return n
}

func tlsSettings() device.TLS {
	a := newAuthority()
	return device.TLS{On: true, Local: true, Root: a.root, Name: "pc." + suffix, Sign: func(_ context.Context, key crypto.PublicKey) ([]byte, error) {
		return a.sign(key, "pc."+suffix, nil)
	}}
}

// Key, certificate and settings are made once; what an earlier session left half done is gone on with.
func TestSetTLSIsRepeatable(t *testing.T) {
	l, d := newLocal(t, "9.0.0", inSetup)
	ctx := context30(t)
	for i := range 2 {
		l.steps()
		if err := d.SetTLS(ctx, tlsSettings()); err != nil {
			t.Fatal(err)
		}
		steps := l.steps()
		want := 1 - i
		if count(steps, ".GenerateKeyPair") != want || count(steps, ".AddCertificate") != want || count(steps, ".Create") != want || count(steps, ".Put") != 2*want {
			t.Errorf("time %d asked %v", i, steps)
		}
	}
	state, err := d.TLS(ctx)
	if err != nil || !state.Remote || !state.Local || state.Certificate == nil || state.Certificate.Subject.CommonName != "pc."+suffix {
		t.Errorf("%+v, %v", state, err)
	}
	// Another name needs another certificate, which takes the place of the first.
	other := tlsSettings()
	other.Name = "other." + suffix
	other.Sign = func(_ context.Context, key crypto.PublicKey) ([]byte, error) {
		return newAuthority().sign(key, other.Name, nil)
	}
	l.steps()
	if err := d.SetTLS(ctx, other); err != nil {
		t.Fatal(err)
	}
	if state, err = d.TLS(ctx); err != nil || state.Certificate.Subject.CommonName != other.Name {
		t.Errorf("%+v, %v, asked %v", state.Certificate.Subject, err, l.steps())
	}
	if err := d.SetTLS(ctx, device.TLS{}); err != nil {
		t.Fatal(err)
	}
	if state, err = d.TLS(ctx); err != nil || state.Remote || state.Local {
		t.Errorf("off: %+v, %v", state, err)
	}
}

// A certificate that counts no more gives way to another one, of another key only when its own is known to others.
func TestRevokedCertificateGivesWay(t *testing.T) {
	for name, leaked := range map[string]bool{"revoked": false, "leaked": true} {
		t.Run(name, func(t *testing.T) {
			l, d := newLocal(t, "9.0.0", inSetup)
			settings := tlsSettings()
			if err := d.SetTLS(context30(t), settings); err != nil {
				t.Fatal(err)
			}
			before, err := d.TLS(context30(t))
			if err != nil {
				t.Fatal(err)
			}
			settings.Standing = func(c *x509.Certificate) (bool, bool) { return !c.Equal(before.Certificate), leaked }
			l.steps()
			if err := d.SetTLS(context30(t), settings); err != nil {
				t.Fatal(err)
			}
			keys := map[bool]int{true: 1}[leaked]
			if steps := l.steps(); count(steps, ".GenerateKeyPair") != keys || count(steps, ".AddCertificate") != 1 {
				t.Errorf("asked %v", steps)
			}
			after, err := d.TLS(context30(t))
			same := err == nil && bytes.Equal(after.Certificate.RawSubjectPublicKeyInfo, before.Certificate.RawSubjectPublicKeyInfo)
			if err != nil || after.Certificate.Equal(before.Certificate) || same == leaked {
				t.Errorf("the same key: %v, %v", same, err)
			}
		})
	}
}

// A root that the client is to trust is stored once; with it others may have to show certificates.
func TestTrustedRoot(t *testing.T) {
	l, d := newLocal(t, "9.0.0", inSetup)
	settings := tlsSettings()
	settings.TrustRoot, settings.Mutual = true, true
	for range 2 {
		if err := d.SetTLS(context30(t), settings); err != nil {
			t.Fatal(err)
		}
	}
	if steps := l.steps(); count(steps, ".AddTrustedRootCertificate") != 1 {
		t.Errorf("asked %v", steps)
	}
	if state, err := d.TLS(context30(t)); err != nil || !state.Mutual {
		t.Errorf("%+v, %v", state, err)
	}
	settings.Root = nil
	if err := d.SetTLS(context30(t), settings); device.KindOf(err) != device.KindLocal {
		t.Errorf("without a root: %v", err)
	}
}

func TestSetTLSGoesOn(t *testing.T) {
	for _, fault := range []string{"AMT_PublicKeyManagementService.AddCertificate", "AMT_TLSCredentialContext.Create", "AMT_TLSSettingData.Put"} {
		t.Run(fault, func(t *testing.T) {
			l, d := newLocal(t, "9.0.0", inSetup)
			l.Fault(engine.Fault{Step: fault, Kind: engine.FaultHTTP, Code: 500, Times: 1})
			if err := d.SetTLS(context30(t), tlsSettings()); device.KindOf(err) != device.KindHTTP {
				t.Fatalf("got %v", err)
			}
			if err := d.SetTLS(context30(t), tlsSettings()); err != nil {
				t.Fatal(err)
			}
			if steps := l.steps(); count(steps, ".GenerateKeyPair") != 1 || count(steps, ".AddCertificate") > 2 {
				t.Errorf("asked %v", steps)
			}
			if state, err := d.TLS(context30(t)); err != nil || !state.Remote || state.Certificate == nil {
				t.Errorf("%+v, %v", state, err)
			}
		})
	}
}

// A firmware that is still gathering random numbers is asked again, and given up in time.
func TestKeyIsWaitedFor(t *testing.T) {
	for name, c := range map[string]struct {
		delay time.Duration
		ok    bool
	}{"a minute": {time.Minute, true}, "an hour": {time.Hour, false}} {
		t.Run(name, func(t *testing.T) {
			l, d := newLocal(t, "9.0.0", func(e *engine.Config) { e.Stage, e.KeyDelay = engine.In, c.delay })
			err := d.SetTLS(context30(t), tlsSettings())
			if (err == nil) != c.ok {
				t.Errorf("got %v", err)
			}
			if n := count(l.steps(), ".GenerateKeyPair"); n < 2 || n > 25 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

func TestUsersOfSimulatedClient(t *testing.T) {
	l, d := newLocal(t, "9.0.0", inSetup)
	ctx := context30(t)
	u := device.User{Name: "tech", Password: amt.NewSecret("T3ch-Passw0rd"), Access: device.AnyAccess, Realms: []int{2, 5}}
	for range 2 {
		if err := d.SetUser(ctx, u); err != nil {
			t.Fatal(err)
		}
	}
	if steps := l.steps(); count(steps, ".AddUserAclEntryEx") != 1 || count(steps, ".UpdateUserAclEntryEx") != 1 {
		t.Errorf("asked %v", steps)
	}
	users, err := d.Users(ctx)
	if err != nil || len(users) != 1 || users[0].Name != "tech" || users[0].Access != device.AnyAccess || !slices.Equal(users[0].Realms, u.Realms) {
		t.Errorf("%+v, %v", users, err)
	}
	if ha1, _ := l.Digest("tech"); ha1 != hexOf(device.HA1(l.Realm(), device.Login{User: "tech", Password: u.Password})) {
		t.Errorf("password: %s", ha1)
	}
	for range 2 {
		if err := d.RemoveUser(ctx, "tech"); err != nil {
			t.Fatal(err)
		}
	}
	if users, err := d.Users(ctx); err != nil || len(users) != 0 {
		t.Errorf("%+v, %v", users, err)
	}
}

func TestPowerPolicies(t *testing.T) {
	_, d := newLocal(t, "9.0.0", inSetup)
	policies, err := d.PowerPolicies(context30(t))
	if err != nil || len(policies) == 0 {
		t.Fatalf("%v, %v", policies, err)
	}
	if err := d.SetPowerPolicy(context30(t), policies[len(policies)-1].ID); err != nil {
		t.Error(err)
	}
	if err := d.SetPowerPolicy(context30(t), "SCHEME 99"); err == nil {
		t.Error("a policy that does not exist was set")
	}
}

// After an un-provisioning the client is in setup, or before it, again; in part it keeps names, pair
// and administrator.
func TestUnprovision(t *testing.T) {
	for name, full := range map[string]bool{"full": true, "partial": false} {
		t.Run(name, func(t *testing.T) {
			b := simulate(t, amt.PSK, "3.2.1")
			m := b.first()
			s := b.settings(m, false)
			if _, err := device.Configure(context30(t), device.NewWSMan(b.setup(m)), s, &notes{}); err != nil {
				t.Fatal(err)
			}
			for len(b.hellos) > 0 {
				<-b.hellos
			}
			d := s.Reopen(s.Admin)
			if err := d.Unprovision(context30(t), full); err != nil {
				t.Fatal(err)
			}
			if b.client.Line().State == engine.Post {
				t.Error("it is still provisioned")
			}
			if full {
				return
			}
			again := b.first()
			if again.PID != m.PID || again.UUID != m.UUID {
				t.Errorf("hello of %s, PID %s", again.UUID, again.PID)
			}
		})
	}
}

func TestNewPairIsUsed(t *testing.T) {
	b := simulate(t, amt.PSK, "3.2.1")
	m := b.first()
	s := b.settings(m, false)
	fresh, err := keys.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s.Pair = &device.Pair{PID: fresh.PID, PPS: fresh.PPS}
	p := &notes{}
	if _, err := device.Configure(context30(t), device.NewWSMan(b.setup(m)), s, p); err != nil {
		t.Fatalf("%v, %v", err, p.done)
	}
	if !slices.Contains(p.before, device.StepPair) {
		t.Errorf("stored before: %v", p.before)
	}
	// Set up anew, the client says hello with the new pair, and takes it.
	for len(b.hellos) > 0 {
		<-b.hellos
	}
	if err := s.Reopen(s.Admin).Unprovision(context30(t), false); err != nil {
		t.Fatal(err)
	}
	again := b.first()
	if again.PID != fresh.PID {
		t.Fatalf("hello with PID %s, not %s", again.PID, fresh.PID)
	}
	id, key := tlspsk.PlainPair(string(fresh.PID), fresh.PPS.Reveal())
	sess := b.open(true, device.Options{PSK: &tlspsk.Config{Identity: id, Key: func(string) ([]byte, bool) { return key, true }}, Logins: []device.Login{s.Admin, {User: "admin", Password: b.client.Password}}})
	if st, err := device.NewWSMan(sess).State(context30(t)); err != nil || st.Provisioning == device.Post {
		t.Errorf("%+v, %v", st, err)
	}
}
