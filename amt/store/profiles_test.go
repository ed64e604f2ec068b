package store

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
)

const secretBody = `{"network_password":{"rule":"fixed","value":{"secret":"aB3!aB3!"}},"acl":[{"user":"x","password":{"rule":"fixed","value":{"secret":"zZ9!zZ9!"}}}],"tls":"off"}`

func TestProfiles(t *testing.T) {
	s := fresh(t)
	ctx := t.Context()
	sum, err := s.PutProfiles(ctx, []ProfileRow{{Name: "fixed", Body: secretBody}}, "")
	if err != nil || !slices.Equal(sum.Made, []string{"fixed"}) || sum.TLSMode != "off" {
		t.Fatalf("%+v, %v", sum, err)
	}
	raw, ok, err := s.ProfileBody(ctx, "fixed")
	if err != nil || !ok || strings.Contains(raw, "aB3!") || strings.Contains(raw, "zZ9!") || strings.Count(raw, "sealed") != 2 {
		t.Errorf("the row holds %s, %v, %v", raw, ok, err)
	}
	body, ok, err := s.OpenProfile(ctx, "fixed")
	if err != nil || !ok || !sameJSON(body, secretBody) {
		t.Errorf("opened it is %s, %v, %v", body, ok, err)
	}
	if sum, err = s.PutProfiles(ctx, []ProfileRow{{Name: "fixed", Body: secretBody}}, ""); err != nil || !slices.Equal(sum.Same, []string{"fixed"}) {
		t.Errorf("again: %+v, %v", sum, err)
	}
	// A sealed value is worth nothing in another field or another profile.
	moved := strings.Replace(raw, `"network_password"`, `"mebx_password"`, 1)
	if _, err := s.PutProfiles(ctx, []ProfileRow{{Name: "fixed", Body: moved}}, ""); err == nil {
		t.Error("a sealed value was moved to another field")
	}
	if _, err := s.PutProfiles(ctx, []ProfileRow{{Name: "other", Body: raw}}, ""); err == nil {
		t.Error("a sealed value was moved to another profile")
	}
	if _, ok, err := s.ProfileBody(ctx, "other"); ok || err != nil {
		t.Errorf("a refused profile is there: %v", err)
	}
	if found, err := s.RemoveProfile(ctx, "fixed"); !found || err != nil {
		t.Errorf("remove: %v, %v", found, err)
	}
	if found, err := s.RemoveProfile(ctx, "fixed"); found || err != nil {
		t.Errorf("remove again: %v, %v", found, err)
	}
	if _, err := s.RemoveProfile(ctx, "default"); !errors.Is(err, ErrInUse) {
		t.Errorf("remove the default: %v", err)
	}
}

// tls_mode follows the default profile, and what is in use may not say otherwise.
func TestTLSModeFollows(t *testing.T) {
	s := fresh(t)
	ctx := t.Context()
	put := func(makeDefault string, rows ...string) (string, error) {
		var all []ProfileRow
		for i := 0; i < len(rows); i += 2 {
			all = append(all, ProfileRow{Name: rows[i], Body: rows[i+1]})
		}
		sum, err := s.PutProfiles(ctx, all, makeDefault)
		return sum.TLSMode, err
	}
	config := func() string {
		c, err := s.Config(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return c["tls_mode"] + " " + c["default_profile"]
	}
	if m, err := put("", "secure", `{"tls":{"mode":"mutual"}}`); m != "off" || err != nil {
		t.Fatal(m, err)
	}
	if _, err := s.ImportMap(ctx, []MapRow{{UUID: uuid(t, uuidText), FQDN: "a.example", Profile: "secure"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := put("", "third", `{}`); !errors.Is(err, ErrContradiction) {
		t.Errorf("a mapped profile with TLS beside a default one without: %v", err)
	}
	if m, err := put("secure"); m != "mutual" || err != nil || config() != "mutual secure" {
		t.Errorf("%s, %v, %s", m, err, config())
	}
	if _, err := put("default"); !errors.Is(err, ErrContradiction) || config() != "mutual secure" {
		t.Errorf("back to off while secure is in use: %v, %s", err, config())
	}
	if m, err := put("default", "secure", `{"tls":"off"}`); m != "off" || err != nil || config() != "off default" {
		t.Errorf("both at once: %s, %v, %s", m, err, config())
	}
	if _, err := put("none"); err == nil {
		t.Error("a profile that is not there became the default")
	}
	if found, err := s.RemoveProfile(ctx, "secure"); !found || !errors.Is(err, ErrInUse) {
		t.Errorf("remove a mapped one: %v, %v", found, err)
	}
}

func TestAuthorities(t *testing.T) {
	s := fresh(t)
	ctx := t.Context()
	id, err := s.AddAuthority(ctx, Authority{Kind: "own", Certs: "PEM", Key: amt.NewSecret("key one"), Active: true})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.AddAuthority(ctx, Authority{Kind: "own", Certs: "PEM2", Key: amt.NewSecret("key two"), Active: true}); err != nil || again != id {
		t.Errorf("a second server made %d beside %d, %v", again, id, err)
	}
	pending, err := s.AddAuthority(ctx, Authority{Kind: "external", Key: amt.NewSecret("key three")})
	if err != nil || pending == id {
		t.Fatal(pending, err)
	}
	if err := s.ActivateAuthority(ctx, pending, "SIGNED"); err != nil {
		t.Fatal(err)
	}
	if err := s.ActivateAuthority(ctx, 99, "SIGNED"); err == nil {
		t.Error("an authority that is not there was made active")
	}
	all, err := s.Authorities(ctx)
	if err != nil || len(all) != 2 || !all[0].Active || !all[1].Active || all[1].Certs != "SIGNED" || !all[0].Key.IsZero() {
		t.Errorf("%+v, %v", all, err)
	}
	if a, ok, err := s.Authority(ctx, id); err != nil || !ok || a.Key.Reveal() != "key one" || a.Certs != "PEM" {
		t.Errorf("%+v, %v, %v", a, ok, err)
	}
	for want := int64(1); want < 3; want++ {
		if n, err := s.NextCRL(ctx, id); n != want || err != nil {
			t.Errorf("revocation list %d, %v", n, err)
		}
	}
}

func TestCertificates(t *testing.T) {
	s := fresh(t)
	ctx, u := t.Context(), uuid(t, uuidText)
	id, err := s.AddAuthority(ctx, Authority{Kind: "own", Certs: "PEM", Key: amt.NewSecret("key"), Active: true})
	if err != nil {
		t.Fatal(err)
	}
	from := time.Now().UTC().Truncate(time.Second)
	for _, c := range []Certificate{{Serial: "0a", Purpose: PurposeClient, UUID: u, Name: "a.example", NotAfter: from.Add(time.Hour)},
		{Serial: "0b", Purpose: PurposeClient, UUID: u, Name: "a.example", NotAfter: from.Add(9 * time.Hour)},
		{Serial: "0c", Purpose: PurposeManager, Name: "m", Key: amt.NewSecret("manager key"), NotAfter: from.Add(9 * time.Hour)}} {
		c.Authority, c.DER, c.NotBefore = id, []byte{0x30}, from
		if err := s.AddCertificate(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	list := func(q CertificateQuery) string {
		all, err := s.Certificates(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, c := range all {
			out = append(out, c.Serial)
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	for want, q := range map[string]CertificateQuery{"0a 0b 0c": {}, "0a 0b": {UUID: u}, "0c": {Purpose: PurposeManager}, "0a": {Before: from.Add(2 * time.Hour)}} {
		if got := list(q); got != want {
			t.Errorf("%+v: %s, want %s", q, got, want)
		}
	}
	if k, err := s.CertificateKey(ctx, "0c"); err != nil || k.Reveal() != "manager key" {
		t.Errorf("%v", err)
	}
	if n, err := s.RevokeCertificates(ctx, u, 4, "0b"); n != 1 || err != nil {
		t.Errorf("revoked %d, %v", n, err)
	}
	if ok, err := s.RevokeCertificate(ctx, "0c", 5); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	if ok, err := s.RevokeCertificate(ctx, "0c", 5); ok || err != nil {
		t.Errorf("twice: %v, %v", ok, err)
	}
	if got := list(CertificateQuery{Revoked: true}) + ", " + list(CertificateQuery{Good: true, Authority: id}); got != "0a 0c, 0b" {
		t.Error(got)
	}
}

func TestClientSecrets(t *testing.T) {
	s := fresh(t)
	ctx := t.Context()
	record(t, s, hello(t, 3, ""))
	j := claim(t, s, "w", 1)[0]
	if err := s.SetClientSecrets(ctx, j, map[string]amt.Secret{"user:b": amt.NewSecret("two"), "user:a": amt.NewSecret("one")}); err != nil {
		t.Fatal(err)
	}
	names, err := s.ClientSecrets(ctx, j.UUID)
	if err != nil || !slices.Equal(names, []string{"user:a", "user:b"}) {
		t.Errorf("%v, %v", names, err)
	}
	if v, err := s.ClientSecret(ctx, j.UUID, "user:b"); err != nil || v.Reveal() != "two" {
		t.Errorf("%v", err)
	}
	if v, err := s.ClientSecret(ctx, j.UUID, "user:c"); err != nil || !v.IsZero() {
		t.Errorf("one that was never set: %v", err)
	}
	j.Worker = "other"
	if err := s.SetClientSecrets(ctx, j, map[string]amt.Secret{"x": amt.NewSecret("y")}); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("without the lease: %v", err)
	}
}

// sqlite3, which we did not write, reads the row and finds no secret.
func TestProfileRowForOthers(t *testing.T) {
	if server != nil {
		t.Skip("SQLite only")
	}
	bin, err := exec.LookPath("sqlite3")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("sqlite3 is missing")
		}
		t.Skip("sqlite3 is missing: nobody else read the row")
	}
	s := fresh(t)
	if _, err := s.PutProfiles(t.Context(), []ProfileRow{{Name: "fixed", Body: secretBody}}, ""); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(bin, s.Path(), "SELECT json_extract(body, '$.network_password.rule'), body FROM csti_profiles WHERE name='fixed'").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "fixed|") || strings.Contains(string(out), "aB3!") {
		t.Errorf("%s, %v", out, err)
	}
}
