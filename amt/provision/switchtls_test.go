package provision

import (
	"context"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/ca"
	"amtmedic/amt/device"
	"amtmedic/amt/profile"
	"amtmedic/amt/store"
	"amtmedic/amt/wsman"
)

// judged asks OpenSSL whether TLS is on at a port, with a certificate of our authority.
func (s *site) judged(address string, own bool) (on bool, said string) {
	s.t.Helper()
	bin, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			s.t.Fatal("openssl is missing")
		}
		s.t.Skip("openssl is missing: nobody else judges the client")
	}
	args := []string{"s_client", "-connect", address, "-tls1_2", "-cipher", "ALL:@SECLEVEL=0"}
	if own {
		a, err := s.fw.CA.Authority(s.t.Context(), ca.Own)
		s.must(err)
		file := filepath.Join(s.t.TempDir(), "own.pem")
		s.must(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Root().Raw}), 0o600))
		args = append(args, "-CAfile", file, "-verify_return_error")
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 60*time.Second)
	defer cancel()
	out, _ := exec.CommandContext(ctx, bin, args...).CombinedOutput()
	return strings.Contains(string(out), "Verify return code: 0 (ok)") || !own && strings.Contains(string(out), "BEGIN CERTIFICATE"), string(out)
}

// A client that is provisioned follows its profile when that gives up TLS, or begins with it; so does one
// that is set up anew and still has what an earlier session set.
func TestTLSFollowsTheProfile(t *testing.T) {
	s := newSite(t, amt.PKI, "9.0", withTLS(profile.TLSServer))
	_, err := s.configure(s.job())
	s.must(err)
	_, secure, _ := s.client.Ports()
	if on, said := s.judged(secure.String(), true); !on {
		t.Fatalf("TLS is not on after setup:\n%s", said)
	}
	s.profile(withTLS(profile.TLSOff))
	got, err := s.upkeepOf(store.MaintainProfile)
	s.must(err)
	if !strings.Contains(got.Text, "TLS is off, 1 certificates revoked") {
		t.Errorf("off: %q", got.Text)
	}
	if on, said := s.judged(secure.String(), false); on {
		t.Errorf("a certificate is still shown:\n%s", said)
	}
	if plain, _, _ := s.client.Ports(); !plain.IsValid() {
		t.Error("the port without TLS is closed")
	}
	if got, err = s.upkeepOf(store.MaintainClock); err != nil {
		t.Errorf("the next maintenance: %v", err)
	}
	s.profile(withTLS(profile.TLSServer))
	got, err = s.upkeepOf(store.MaintainProfile)
	s.must(err)
	if !strings.Contains(got.Text, "TLS is on") {
		t.Errorf("on: %q", got.Text)
	}
	_, secure, _ = s.client.Ports()
	if on, said := s.judged(secure.String(), true); !on {
		t.Errorf("TLS is not on again:\n%s", said)
	}
	// The certificate of before was revoked: it is not taken up again.
	certs, err := s.st.Certificates(t.Context(), store.CertificateQuery{UUID: s.client.UUID, Purpose: store.PurposeClient, Good: true})
	s.must(err)
	if len(certs) != 1 {
		t.Errorf("good certificates: %d, not 1", len(certs))
	}
	if _, err = s.upkeepOf(store.MaintainClock); err != nil {
		t.Errorf("maintenance after it is on again: %v", err)
	}
}

// What a session that was cut off had set of TLS is taken back when the profile has none any more.
func TestTLSOfACutSessionIsTakenBack(t *testing.T) {
	s := newSite(t, amt.PKI, "9.0", withTLS(profile.TLSServer))
	j := s.job()
	task, err := s.w.task(t.Context(), j)
	s.must(err)
	p := &cutAfter{progress: newProgress(s.st, task, nil), step: device.StepTLS}
	if _, err := s.fw.Configure(t.Context(), task, p); !errors.Is(err, errStopped) {
		t.Fatal(err)
	}
	s.profile(withTLS(profile.TLSOff))
	_, err = s.configure(j)
	s.must(err)
	if _, secure, _ := s.client.Ports(); secure.IsValid() {
		if on, said := s.judged(secure.String(), false); on {
			t.Errorf("TLS is on:\n%s", said)
		}
	}
	s.opensPlain()
}

// cutAfter ends a session behind a step.
type cutAfter struct {
	*progress
	step string
}

func (p *cutAfter) Done(ctx context.Context, step string) error {
	if err := p.progress.Done(ctx, step); err != nil || step != p.step {
		return err
	}
	return errStopped
}

func (s *site) opensPlain() {
	s.t.Helper()
	plain, _, _ := s.client.Ports()
	c, err := net.DialTimeout("tcp", plain.String(), 10*time.Second)
	s.must(err)
	_ = c.Close()
}

// A switch that is cut off at any write is gone on with: the client ends as the profile says, and reachable.
func TestSwitchOfTLSIsResumed(t *testing.T) {
	for _, to := range []string{profile.TLSOff, profile.TLSServer} {
		t.Run(to, func(t *testing.T) {
			from := map[string]string{profile.TLSOff: profile.TLSServer, profile.TLSServer: profile.TLSOff}[to]
			s := newSite(t, amt.PKI, "9.0", profileOf(from))
			_, err := s.configure(s.job())
			s.must(err)
			s.profile(profileOf(to))
			s.must(s.st.Maintain(t.Context(), s.client.UUID, store.MaintainProfile, "a test asks for it"))
			j := s.job()
			m := &Maintainer{Store: s.st, Firmware: s.fw, Random: s.w.o.Random}
			cuts := 0
			for n := int64(1); ; n += 3 {
				ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
				fw, left := *s.fw, &atomic.Int64{}
				left.Store(n)
				fw.Settle = 300 * time.Millisecond
				fw.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					if left.Load() <= 0 {
						return nil, errCut
					}
					conn, err := s.dial(ctx, network, address)
					if err != nil {
						return nil, err
					}
					return budget{conn, left}, nil
				}
				m.Firmware = &fw
				got, err := m.Maintain(ctx, j)
				cancel()
				if err == nil {
					s.must(s.st.FinishMaintenance(t.Context(), j, got))
					break
				}
				if cuts++; n > 200 {
					t.Fatalf("it does not end: %v", err)
				}
			}
			certs, err := s.st.Certificates(t.Context(), store.CertificateQuery{UUID: s.client.UUID, Purpose: store.PurposeClient, Good: true})
			s.must(err)
			if _, secure, _ := s.client.Ports(); secure.IsValid() != (to != profile.TLSOff) || (len(certs) > 0) != (to != profile.TLSOff) || cuts < 4 {
				t.Errorf("after %d cuts: port with TLS %v, %d good certificates", cuts, secure, len(certs))
			}
			if _, err := s.upkeepOf(store.MaintainClock); err != nil {
				t.Errorf("the next maintenance: %v", err)
			}
		})
	}
}

// A switch that was given up half-way, its outcome unknown, does not put the client out of reach: the next
// job finds it where it is by now.
func TestSwitchOfTLSThatWasGivenUp(t *testing.T) {
	s := newSite(t, amt.PKI, "9.0", profileOf(profile.TLSServer))
	_, err := s.configure(s.job())
	s.must(err)
	s.profile(profileOf(profile.TLSOff))
	s.must(s.st.Maintain(t.Context(), s.client.UUID, store.MaintainProfile, "a test asks for it"))
	j, fw := s.job(), *s.fw
	fw.Settle = 300 * time.Millisecond
	fw.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasSuffix(address, ":16992") {
			return nil, errCut // the client is seen no more once it lost TLS
		}
		return s.dial(ctx, network, address)
	}
	if _, err = (&Maintainer{Store: s.st, Firmware: &fw, Random: s.w.o.Random}).Maintain(t.Context(), j); err == nil {
		t.Fatal("nothing cut it")
	}
	s.opensPlain()
	s.must(s.st.GiveUpMaintenance(t.Context(), j, "rc-host-unreachable", "it was cut"))
	if _, err := s.upkeepOf(store.MaintainClock); err != nil {
		t.Errorf("the clock: %v", err)
	}
	if got, err := s.upkeepOf(store.MaintainProfile); err != nil || !strings.Contains(got.Text, "TLS is off, 1 certificates revoked") {
		t.Errorf("the profile: %q, %v", got.Text, err)
	}
	if steps, err := s.st.Steps(t.Context(), s.client.UUID); err != nil || slices.Contains(steps, store.StepSwitch) {
		t.Errorf("steps that stay: %v, %v", steps, err)
	}
}

// refusing is firmware that has nothing but TLS, and says so.
type refusing struct{ device.Device }

func (refusing) SetTLS(context.Context, device.TLS) error {
	return &device.Error{Op: "TLS", Kind: device.KindFault, Err: &wsman.Fault{Subcode: "AccessDenied"}}
}

// From 16.1 on a client that does not let TLS go follows its profile as far as it can; an older one fails.
func TestFirmwareThatHasNothingButTLS(t *testing.T) {
	for version, text := range map[string]string{"16.1.25": "TLS stays on, since this firmware has nothing else, 1 certificates revoked", "9.0": ""} {
		t.Run(version, func(t *testing.T) {
			s := newSite(t, amt.PKI, version, profileOf(profile.TLSServer))
			_, err := s.configure(s.job())
			s.must(err)
			s.profile(profileOf(profile.TLSOff))
			s.must(s.st.Maintain(t.Context(), s.client.UUID, store.MaintainProfile, "a test asks for it"))
			m := &Maintainer{Store: s.st, Firmware: s.fw, Random: s.w.o.Random}
			c, err := m.open(t.Context(), s.job())
			s.must(err)
			c.d = refusing{c.d}
			if got, err := m.switchTLS(t.Context(), c); got != text || (err == nil) != (text != "") {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func profileOf(mode string) profile.Profile {
	p := profile.Default("office")
	p.TLS.Mode = mode
	return p
}

// Firmware that makes no key itself never gets one over a connection without TLS.
func TestNoKeyTravelsInTheClear(t *testing.T) {
	s := newSite(t, amt.PSK, "3.2.1", profileOf(profile.TLSOff))
	_, err := s.configure(s.job())
	s.must(err)
	s.profile(profileOf(profile.TLSServer))
	var ref *Refusal
	if _, err := s.upkeepOf(store.MaintainProfile); !errors.As(err, &ref) || !slices.Contains([]string{"rc-https-off-with-tls"}, ref.Cause) {
		t.Errorf("%v", err)
	}
}
