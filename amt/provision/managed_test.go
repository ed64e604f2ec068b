package provision

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/ca"
	"amtmedic/amt/cert"
	"amtmedic/amt/device"
	"amtmedic/amt/profile"
	"amtmedic/amt/sim/engine"
	"amtmedic/amt/sim/fleet"
	"amtmedic/amt/store"
)

// site is one simulated client, and a core that has what it needs to configure it.
type site struct {
	t      *testing.T
	client *fleet.Client
	st     *store.Store
	w      *Worker
	fw     *Firmware
	ahead  time.Duration
}

// practice is a provisioning certificate. It is made once: RSA keys take long.
var practice = sync.OnceValue(func() *cert.Made {
	chain, err := cert.Make(cert.Spec{Suffix: "corp.example", Now: time.Now()})
	if err != nil {
		panic(err)
	}
	return chain
})

// newSite starts a client of a version whose hello the core has, with a profile.
func newSite(t *testing.T, method amt.Method, version string, p profile.Profile) *site {
	t.Helper()
	s := &site{t: t}
	clock := func() time.Time { return time.Now().Add(s.ahead) }
	chain := practice()
	v, err := amt.ParseVersion(version)
	s.must(err)
	f, err := fleet.New(fleet.Config{Count: 1, Method: method, Version: v, Stage: engine.In, First: netip.MustParseAddr("127.0.0.1"), Suffix: "corp.example", AnyPort: true,
		Roots: []*x509.Certificate{chain.Root}})
	s.must(err)
	s.must(f.Open())
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := f.Run(ctx, true); err != nil {
			t.Errorf("simulated client: %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-over })
	s.client = f.Clients()[0]
	s.st, err = store.Open(t.Context(), filepath.Join(t.TempDir(), "core.db"), store.Options{Now: clock})
	s.must(err)
	t.Cleanup(func() { _ = s.st.Close() })
	s.fw = &Firmware{CA: ca.New(s.st, ca.Options{Now: clock, NewKey: func() (*rsa.PrivateKey, error) { return chain.Key, nil }}), Dial: s.dial, Settle: 20 * time.Second}
	server, err := chain.ServerPEM()
	s.must(err)
	file, err := cert.Read(server, amt.Secret{})
	s.must(err)
	s.fw.Certificate, err = WithCertificate(file)
	s.must(err)
	s.w = NewWorker(s.st, WorkerOptions{Name: "test", Configurer: s.fw, Sources: []PropertySource{FromMap(s.st)}})
	s.profile(p)
	s.hello(method)
	return s
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// dial goes to the port that the system chose for the simulated one.
func (s *site) dial(ctx context.Context, network, address string) (net.Conn, error) {
	plain, tls, _ := s.client.Ports()
	if strings.HasSuffix(address, ":16993") {
		plain = tls
	}
	if !plain.IsValid() {
		return nil, errors.New("the port is closed")
	}
	return (&net.Dialer{}).DialContext(ctx, network, plain.String())
}

func (s *site) profile(p profile.Profile) {
	s.t.Helper()
	body, err := p.JSON()
	s.must(err)
	_, err = s.st.PutProfiles(s.t.Context(), []store.ProfileRow{{Name: p.Name, Body: body}}, p.Name)
	s.must(err)
}

// assign gives the client a profile of its own that is not the default one.
func (s *site) assign(p profile.Profile) {
	s.t.Helper()
	body, err := p.JSON()
	s.must(err)
	_, err = s.st.PutProfiles(s.t.Context(), []store.ProfileRow{{Name: "other", Body: body}}, "")
	s.must(err)
	_, err = s.st.ImportMap(s.t.Context(), []store.MapRow{{UUID: s.client.UUID, FQDN: s.client.FQDN, Profile: "other", Source: "test"}})
	s.must(err)
}

func (s *site) hello(m amt.Method) {
	s.t.Helper()
	h := store.Hello{From: netip.MustParseAddrPort("127.0.0.1:16994"), Version: 3, UUID: s.client.UUID}
	if m == amt.PSK {
		h.Version, h.PID = 2, s.client.Pair.PID
		_, err := s.st.ImportKeys(s.t.Context(), []store.Pair{{PID: s.client.Pair.PID, PPS: s.client.Pair.PPS, AdminPassword: s.client.Password}})
		s.must(err)
	}
	_, err := s.st.ImportMap(s.t.Context(), []store.MapRow{{UUID: s.client.UUID, FQDN: s.client.FQDN, Source: "test"}})
	s.must(err)
	_, err = s.st.RecordHello(s.t.Context(), h)
	s.must(err)
}

// job claims the entry of the client.
func (s *site) job() store.Job {
	s.t.Helper()
	jobs, err := s.st.Claim(s.t.Context(), "test", 1, time.Hour)
	s.must(err)
	if len(jobs) != 1 {
		s.t.Fatalf("%d entries in the queue", len(jobs))
	}
	return jobs[0]
}

// configure does what a worker does with a job, once.
func (s *site) configure(j store.Job) (Task, error) {
	s.t.Helper()
	t, err := s.w.task(s.t.Context(), j)
	if err != nil {
		return t, err
	}
	r, _, err := s.w.configure(s.t.Context(), t)
	if err == nil {
		err = s.st.Finish(s.t.Context(), j, store.Done{FQDN: t.Properties.FQDN, Version: r.Version, Profile: t.Profile.Name, Password: r.Password})
	}
	return t, err
}

// withTLS is a profile with everything.
func withTLS(mode string) profile.Profile {
	p := profile.Default("office")
	p.TLS.Mode = mode
	if mode == profile.TLSMutual {
		p.TLS.Names = []string{"console.corp.example"}
	}
	p.ACL = []profile.Entry{{User: "helpdesk", Access: "network", Realms: []int{2, 5}, Password: profile.Password{Rule: profile.Random}},
		{User: "audit", Access: "any", Realms: []int{20}, Password: profile.Password{Rule: profile.Fixed, Value: amt.NewSecret("Aud1t-Passw0rd!")}}}
	p.Power, p.MEBx = profile.PowerSleep, profile.Password{Rule: profile.Random, Length: 16}
	p.Redirection.SOL, p.Wired.Ping = profile.On, profile.Off
	return p
}

// Clients of both methods and of all ages end with a certificate of ours, with users who can log in, and
// with passwords that the store knows.
func TestTLSProfiles(t *testing.T) {
	for _, c := range []struct {
		method        amt.Method
		version, mode string
	}{{amt.PSK, "3.2.1", profile.TLSServer}, {amt.PSK, "3.2.1", profile.TLSMutual}, {amt.PKI, "9.0", profile.TLSMutual}, {amt.PKI, "16.1", profile.TLSServer}} {
		t.Run(fmt.Sprintf("%s %s %s", c.method, c.version, c.mode), func(t *testing.T) {
			s := newSite(t, c.method, c.version, withTLS(c.mode))
			task, err := s.configure(s.job())
			s.must(err)
			for user, password := range map[string]amt.Secret{"helpdesk": task.Users[0].Password, "audit": amt.NewSecret("Aud1t-Passw0rd!"), adminUser: task.Password} {
				if err := s.logIn(task, user, password); err != nil {
					t.Errorf("%s: %v", user, err)
				}
			}
			if err := s.logIn(task, "helpdesk", amt.NewSecret("Wr0ng-Passw0rd!")); device.KindOf(err) != device.KindLogin {
				t.Errorf("a wrong password: %v", err)
			}
			kept, err := s.st.ClientSecret(t.Context(), s.client.UUID, "user:helpdesk")
			if err != nil || !kept.Equal(task.Users[0].Password) || kept.IsZero() {
				t.Errorf("the store has another password of helpdesk: %v", err)
			}
			if kept, err = s.st.ClientSecret(t.Context(), s.client.UUID, "mebx"); err != nil || !kept.Equal(task.MEBx) || len(kept.Reveal()) != 16 {
				t.Errorf("the store has another MEBx password: %v", err)
			}
			if config, err := s.st.Config(t.Context()); err != nil || config["tls_mode"] != c.mode {
				t.Errorf("tls_mode %s, %v", config["tls_mode"], err)
			}
		})
	}
}

// logIn logs in as a manager does: over TLS that takes only our certificate for this client.
func (s *site) logIn(task Task, user string, password amt.Secret) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	a, err := s.fw.CA.Authority(ctx, ca.Own)
	s.must(err)
	id, err := s.fw.CA.Manager(ctx, a)
	s.must(err)
	cfg, err := s.fw.CA.ClientTLS(ctx, task.Properties.FQDN, id)
	s.must(err)
	d := device.NewWSMan(device.Open(device.Options{Address: at(task, portTLS), TLS: cfg, Dial: s.dial, Logins: []device.Login{{User: user, Password: password}}}))
	defer func() { _ = d.Close() }()
	_, err = d.State(ctx)
	return err
}

// stops is a Progress that ends the session at the n-th thing that it is asked to keep, before it is kept
// or after.
type stops struct {
	*progress
	n     *int
	after bool
}

var errStopped = errors.New("stopped here")

func (p stops) keep(do func() error) error {
	*p.n--
	if *p.n == 0 && !p.after {
		return errStopped
	}
	if err := do(); err != nil {
		return err
	}
	if *p.n == 0 {
		return errStopped
	}
	return nil
}

func (p stops) Before(ctx context.Context, step string) error {
	return p.keep(func() error { return p.progress.Before(ctx, step) })
}

func (p stops) Done(ctx context.Context, step string) error {
	return p.keep(func() error { return p.progress.Done(ctx, step) })
}

// A session that is cut off at any step is gone on with by another process: it ends in the same state,
// with every password known, and with one certificate.
func TestTLSIsResumedAtEveryStep(t *testing.T) {
	s := newSite(t, amt.PKI, "9.0", withTLS(profile.TLSServer))
	j := s.job()
	cuts := 0
	for n, done := 1, false; !done; n++ {
		if n > 100 {
			t.Fatal("it does not end")
		}
		for _, after := range []bool{false, true} {
			task, err := s.w.task(t.Context(), j) // everything is read again, as a new process does
			s.must(err)
			steps, err := s.st.Steps(t.Context(), j.UUID)
			s.must(err)
			left := n
			_, err = s.fw.Configure(t.Context(), task, stops{newProgress(s.st, task, steps), &left, after})
			if err == nil {
				done = true
				if err := s.logIn(task, "helpdesk", task.Users[0].Password); err != nil {
					t.Error(err)
				}
				break
			}
			if !errors.Is(err, errStopped) {
				t.Fatalf("cut at %d, after %v: %v", n, after, err)
			}
			cuts++
		}
	}
	certs, err := s.st.Certificates(t.Context(), store.CertificateQuery{UUID: j.UUID})
	if err != nil || len(certs) != 1 {
		t.Errorf("%d certificates after %d cuts, %v", len(certs), cuts, err)
	}
	if cuts < 15 {
		t.Errorf("only %d cuts: the test did not test", cuts)
	}
}

// budget is a line to a client that is cut for good once so many writes went over it.
type budget struct {
	net.Conn
	left *atomic.Int64
}

var errCut = errors.New("the line is cut")

func (c budget) Write(b []byte) (int, error) {
	if c.left.Add(-1) < 0 {
		_ = c.Conn.Close()
		return 0, errCut
	}
	return c.Conn.Write(b)
}

// A line that is cut at any message leaves a client that the next session brings to its end, with one
// certificate that counts, whether its firmware makes keys or gets them.
func TestTLSLineIsCutAnywhere(t *testing.T) {
	step := 23
	if os.Getenv("AMTMEDIC_LONG") == "1" {
		step = 3 // with 1 it takes a minute
	}
	for _, c := range []struct {
		method        amt.Method
		version, mode string
	}{{amt.PSK, "3.2.1", profile.TLSMutual}, {amt.PKI, "9.0", profile.TLSServer}} {
		t.Run(c.version, func(t *testing.T) {
			cuts := 0
			for n := int64(1); ; n += int64(step) {
				s := newSite(t, c.method, c.version, withTLS(c.mode))
				j := s.job()
				left := &atomic.Int64{}
				left.Store(n)
				s.fw.Settle = 2 * time.Second
				s.fw.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					if left.Load() <= 0 {
						return nil, errCut
					}
					conn, err := s.dial(ctx, network, address)
					if err != nil {
						return nil, err
					}
					return budget{conn, left}, nil
				}
				_, err := s.configure(j)
				if err == nil {
					break
				}
				cuts++
				s.fw.Dial, s.fw.Settle = s.dial, 20*time.Second
				task, err := s.configure(j)
				if err != nil {
					t.Fatalf("cut at write %d: the next session: %v", n, err)
				}
				for user, password := range map[string]amt.Secret{"helpdesk": task.Users[0].Password, adminUser: task.Password} {
					if err := s.logIn(task, user, password); err != nil {
						t.Errorf("cut at write %d: %s: %v", n, user, err)
					}
				}
				good, err := s.st.Certificates(t.Context(), store.CertificateQuery{UUID: j.UUID, Good: true})
				if err != nil || len(good) != 1 {
					t.Errorf("cut at write %d: %d certificates count, %v", n, len(good), err)
				}
			}
			t.Logf("%d cuts", cuts)
			if cuts < 50/step {
				t.Errorf("only %d cuts: the test did not test", cuts)
			}
		})
	}
}

// A certificate is renewed over itself; the old one is revoked only then, and stands in the list.
func TestRenew(t *testing.T) {
	for _, c := range []struct {
		method        amt.Method
		version, mode string
	}{{amt.PSK, "3.2.1", profile.TLSServer}, {amt.PKI, "9.0", profile.TLSMutual}} {
		t.Run(c.version, func(t *testing.T) {
			p := withTLS(c.mode)
			p.TLS.Days = 40
			s := newSite(t, c.method, c.version, p)
			r := &Renewer{Store: s.st, Firmware: s.fw}
			if _, err := r.Renew(t.Context(), s.client.UUID); !errors.Is(err, ErrNoTLS) {
				t.Errorf("before it has one: %v", err)
			}
			task, err := s.configure(s.job())
			s.must(err)
			var serials []string
			for round := range 6 { // more often than the firmware has room for certificates
				out, err := r.Renew(t.Context(), s.client.UUID)
				s.must(err)
				if out.Changed != (round > 0) || out.Revoked != min(round, 1) {
					t.Errorf("round %d: changed %v, revoked %d", round, out.Changed, out.Revoked)
				}
				if serial := ca.Serial(out.Certificate); round > 0 && slices.Contains(serials, serial) {
					t.Errorf("round %d: the certificate is an old one", round)
				} else {
					serials = append(serials, serial)
				}
				if due, err := r.Due(t.Context(), time.Now().Add(s.ahead+39*24*time.Hour)); err != nil || len(due) != 0 {
					t.Errorf("round %d: due %v, %v", round, due, err)
				}
				s.ahead += 10 * 24 * time.Hour
				if due, err := r.Due(t.Context(), time.Now().Add(s.ahead+35*24*time.Hour)); err != nil || !slices.Equal(due, []amt.UUID{s.client.UUID}) {
					t.Errorf("round %d: due %v, %v", round, due, err)
				}
			}
			if err := s.logIn(task, adminUser, task.Password); err != nil {
				t.Error(err)
			}
			a, err := s.fw.CA.Authority(t.Context(), ca.Own)
			s.must(err)
			der, err := s.fw.CA.CRL(t.Context(), a)
			s.must(err)
			list, err := x509.ParseRevocationList(der)
			if err != nil || len(list.RevokedCertificateEntries) != 2 { // the older ones are over by themselves
				t.Errorf("the revocation list has %d entries, %v", len(list.RevokedCertificateEntries), err)
			}
		})
	}
}

// What cannot be applied is refused before anything is set, with a cause of the catalogue.
func TestProfilesThatAreRefused(t *testing.T) {
	external := profile.Default("office")
	external.TLS.Mode, external.TLS.Authority = profile.TLSServer, profile.ExternalAuthority
	psk := profile.Default("office")
	psk.Method = profile.PSKMethod
	for name, c := range map[string]struct {
		p     profile.Profile
		after func(*site)
		cause string
	}{
		"no external authority": {external, nil, "rc-ca-unavailable"},
		"another method":        {psk, nil, "rc-no-profile"},
		"contradiction, TLS":    {profile.Default("office"), func(s *site) { s.assign(withTLS(profile.TLSServer)) }, "rc-https-off-with-tls"},
		"contradiction, no TLS": {withTLS(profile.TLSServer), func(s *site) { s.assign(profile.Default("")) }, "rc-https-on-no-tls"},
		"no authority here":     {withTLS(profile.TLSServer), func(s *site) { s.fw.CA = nil }, "rc-ca-unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, amt.PKI, "9.0", c.p)
			if c.after != nil {
				c.after(s)
			}
			before := s.client.Line().State
			_, err := s.configure(s.job())
			var r *Refusal
			if !errors.As(err, &r) || r.Cause != c.cause {
				t.Errorf("%v, want %s", err, c.cause)
			}
			if s.client.Line().State != before {
				t.Errorf("the client is %s", s.client.Line().State)
			}
		})
	}
}

func TestCheckTLSMode(t *testing.T) {
	s := newSite(t, amt.PKI, "9.0", withTLS(profile.TLSServer))
	if mode, err := CheckTLSMode(t.Context(), s.st); mode != "server" || err != nil {
		t.Errorf("%s, %v", mode, err)
	}
	db, err := sql.Open("sqlite", s.st.Path())
	s.must(err)
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(t.Context(), "PRAGMA busy_timeout=5000; UPDATE csti_configuration SET value='off' WHERE name='tls_mode'")
	s.must(err)
	var r *Refusal
	if _, err := CheckTLSMode(t.Context(), s.st); !errors.As(err, &r) || r.Cause != "rc-https-off-with-tls" {
		t.Errorf("changed by hand: %v", err)
	}
}

func TestPowerPolicy(t *testing.T) {
	all := []device.PowerPolicy{{ID: "0", Text: "Desktop: ON in S0"}, {ID: "1", Text: "Desktop: ON in S0, S3"}, {ID: "2", Text: "Desktop: ON in S0, ME Wake in S3, S4-5"}}
	for want, id := range map[string]string{profile.PowerOn: "0", profile.PowerSleep: "2", "desktop: on in s0, s3": "1", "1": "1", "Mobile": ""} {
		if got := powerPolicy(want)(all); got != id {
			t.Errorf("%s: %q, want %q", want, got, id)
		}
	}
	if powerPolicy(profile.Keep) != nil {
		t.Error("keep chooses")
	}
}
