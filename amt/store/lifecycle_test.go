package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
)

const nextText = "4c4c4544-0058-3910-8059-b7c04f4b5a31"

// inService makes a provisioned client with a map row and a certificate.
func inService(t *testing.T, s *Store, u amt.UUID, fqdn string) {
	t.Helper()
	h := hello(t, 3, "")
	h.UUID = u
	record(t, s, h)
	if _, err := s.PutProfiles(t.Context(), []ProfileRow{{Name: "office", Body: `{"tls":"off"}`}}, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ImportMap(t.Context(), []MapRow{{UUID: u, FQDN: fqdn, Profile: "office", Source: "test"}}); err != nil {
		t.Fatal(err)
	}
	for _, j := range claim(t, s, "w", 1) {
		if err := s.Finish(t.Context(), j, Done{FQDN: fqdn, Version: "9.0.1", Profile: "office", Text: "done"}); err != nil {
			t.Fatal(err)
		}
	}
	id, err := s.AddAuthority(t.Context(), Authority{Kind: "own", Certs: "PEM", Key: amt.NewSecret("k"), Active: true})
	if err != nil {
		t.Fatal(err)
	}
	c := Certificate{Serial: "0a" + u.String()[:8], Authority: id, Purpose: PurposeClient, UUID: u, Name: fqdn, DER: []byte{1}, NotAfter: time.Now().Add(time.Hour)}
	if err := s.AddCertificate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func events(t *testing.T, s *Store, u amt.UUID) string {
	t.Helper()
	rows, err := s.History(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range rows {
		out = append(out, strings.TrimSpace(r.Event+" "+r.FQDN))
	}
	return strings.Join(out, ", ")
}

func TestReplace(t *testing.T) {
	now := time.UnixMicro(1e15)
	s, old, next := freshAt(t, Options{Now: func() time.Time { now = now.Add(time.Second); return now }}), uuid(t, uuidText), uuid(t, nextText)
	inService(t, s, old, "pc7.corp.example")
	h := hello(t, 3, "")
	h.UUID = next
	record(t, s, h)
	for _, j := range claim(t, s, "w", 1) {
		if err := s.Delay(t.Context(), j, "rc-fqdn-unresolved: no name", "no name", time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		a, b amt.UUID
		want error
	}{"swapped": {old, old.Swapped(), ErrSame}, "unknown": {uuid(t, "00000000-0000-0000-0000-00000000000a"), next, ErrNoClient}, "nameless": {next, uuid(t, "00000000-0000-0000-0000-00000000000b"), ErrNameless}} {
		if _, err := s.Replace(t.Context(), c.a, c.b, ""); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	promoted, err := s.Replace(t.Context(), old, next, "ticket 4711")
	if err != nil || !promoted || entries(t, s, next) != "q" {
		t.Fatalf("%v %v, entries %q", promoted, err, entries(t, s, next))
	}
	if m, ok, err := s.MapRow(t.Context(), next); !ok || err != nil || m.FQDN != "pc7.corp.example" || m.Profile != "office" || m.Source != "replace" {
		t.Errorf("row of the new one: %+v %v %v", m, ok, err)
	}
	if _, ok, _ := s.MapRow(t.Context(), old); ok {
		t.Error("the old one has its name still")
	}
	l, err := s.Life(t.Context(), old)
	if err != nil || l.Retired.IsZero() || l.ReplacedBy != next || l.Certificates != 0 || l.Entry != "" {
		t.Errorf("old one: %+v, %v", l, err)
	}
	if c, err := s.Certificates(t.Context(), CertificateQuery{UUID: old}); err != nil || len(c) != 1 || c[0].Reason != reasonCessation || c[0].Revoked.IsZero() {
		t.Errorf("certificates %+v, %v", c, err)
	}
	if got := events(t, s, old); got != "hello, provisioned, replaced pc7.corp.example" {
		t.Errorf("old one's life: %s", got)
	}
	if got := events(t, s, next); got != "hello, replaces pc7.corp.example" {
		t.Errorf("new one's life: %s", got)
	}
	if _, err := s.Replace(t.Context(), old, next, ""); !errors.Is(err, ErrRetired) {
		t.Errorf("again: %v", err)
	}
}

func TestRetireAndReuse(t *testing.T) {
	now := time.UnixMicro(1e15)
	s, u := freshAt(t, Options{Now: func() time.Time { now = now.Add(time.Second); return now }}), uuid(t, uuidText)
	if err := s.Retire(t.Context(), u, false, ""); !errors.Is(err, ErrNoClient) {
		t.Errorf("unknown: %v", err)
	}
	inService(t, s, u, "pc7.corp.example")
	record(t, s, hello(t, 3, ""))
	jobs := claim(t, s, "w", 1)
	if err := s.Retire(t.Context(), u, true, ""); !errors.Is(err, ErrBusy) {
		t.Errorf("while a worker has it: %v", err)
	}
	if err := s.Finish(t.Context(), jobs[0], Done{FQDN: "pc7.corp.example", Text: "done"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Retire(t.Context(), u, true, "sold"); err != nil {
		t.Fatal(err)
	}
	if jobs = claim(t, s, "w", 1); len(jobs) != 1 || jobs[0].Maintenance() != UnprovisionFull {
		t.Fatalf("jobs %+v", jobs)
	}
	if err := s.FinishMaintenance(t.Context(), jobs[0], Maintained{Text: "done"}); err != nil {
		t.Fatal(err)
	}
	l, err := s.Life(t.Context(), u)
	if err != nil || l.Retired.IsZero() || l.Provisioned || l.Mapped || l.Certificates != 0 || l.FQDN != "pc7.corp.example" {
		t.Errorf("retired: %+v, %v", l, err)
	}
	other := uuid(t, nextText)
	if _, err := s.ImportMap(t.Context(), []MapRow{{UUID: other, FQDN: "pc7.corp.example", Source: "test"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Reuse(t.Context(), u, "pc7.corp.example", "", ""); !errors.Is(err, ErrNameTaken) {
		t.Errorf("a name of another: %v", err)
	}
	if _, err := s.Reuse(t.Context(), u, "lab1.corp.example", "nonesuch", ""); err == nil {
		t.Error("a profile that is not there was taken")
	}
	if _, err := s.Reuse(t.Context(), u, "lab1.corp.example", "office", "lab"); err != nil {
		t.Fatal(err)
	}
	if l, err = s.Life(t.Context(), u); err != nil || !l.Retired.IsZero() || l.FQDN != "lab1.corp.example" || l.Profile != "office" {
		t.Errorf("reused: %+v, %v", l, err)
	}
	if got := events(t, s, u); !strings.HasSuffix(got, "retired pc7.corp.example, maintenance, maintenance, reused lab1.corp.example") {
		t.Errorf("life: %s", got)
	}
}

// A hello of a retired client is kept and told, once; nothing is queued, and it stays retired.
func TestHelloOfRetiredClient(t *testing.T) {
	now := time.UnixMicro(1e15)
	s, u := freshAt(t, Options{Now: func() time.Time { now = now.Add(time.Second); return now }}), uuid(t, uuidText)
	inService(t, s, u, "pc7.corp.example")
	if err := s.Retire(t.Context(), u, false, ""); err != nil {
		t.Fatal(err)
	}
	for i, h := range []Hello{hello(t, 3, ""), hello(t, 2, goodPID), hello(t, 3, "")} {
		want := Outcome{Action: Kept, Reason: ReasonRetired, Hellos: int64(i + 2), Logged: i == 0}
		if got := record(t, s, h); got != want {
			t.Errorf("hello %d: %+v, want %+v", i, got, want)
		}
	}
	if l, err := s.Life(t.Context(), u); err != nil || l.Retired.IsZero() || l.Entry != "" || !l.Provisioned {
		t.Errorf("life %+v, %v", l, err)
	}
	rows, err := s.Log(t.Context(), u, 100)
	if err != nil {
		t.Fatal(err)
	}
	var told []LogRow
	for _, r := range rows {
		if r.Code == "hello-retired" {
			told = append(told, r)
		}
	}
	if len(told) != 1 || told[0].Severity != SeverityWarning || !strings.Contains(told[0].Text, "retired") || !strings.Contains(told[0].Text, "amtmedic fleet reuse "+u.String()+" FQDN") {
		t.Errorf("log %+v", told)
	}
	if _, err := s.Reuse(t.Context(), u, "pc8.corp.example", "", ""); err != nil {
		t.Fatal(err)
	}
	if got := record(t, s, hello(t, 3, "")); got.Action != Queued {
		t.Errorf("in service again: %+v", got)
	}
}

func TestApplyNames(t *testing.T) {
	s, a, b := fresh(t), uuid(t, uuidText), uuid(t, nextText)
	first := []NameChange{{UUID: a, FQDN: "a.corp.example", New: true}, {UUID: b, FQDN: "b.corp.example", Profile: "default", New: true}}
	if _, err := s.ApplyNames(t.Context(), first, "sync"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ApplyNames(t.Context(), first, "sync"); !errors.Is(err, ErrChanged) {
		t.Errorf("a plan for rows that are there by now: %v", err)
	}
	// the second row cannot be written: the first one must not be either
	half := []NameChange{{UUID: a, FQDN: "x.corp.example", WasFQDN: "a.corp.example"}, {UUID: b, FQDN: "b.corp.example", Profile: "nonesuch", WasFQDN: "b.corp.example", WasProfile: "default"}}
	if _, err := s.ApplyNames(t.Context(), half, "sync"); err == nil {
		t.Error("a profile that is not there was taken")
	}
	if m, _, _ := s.MapRow(t.Context(), a); m.FQDN != "a.corp.example" {
		t.Errorf("half applied: %+v", m)
	}
	change := []NameChange{{UUID: a, FQDN: "b.corp.example", WasFQDN: "a.corp.example"}, {UUID: b, FQDN: "a.corp.example", WasFQDN: "b.corp.example", WasProfile: "default"}}
	if _, err := s.ApplyNames(t.Context(), change, "sync"); err != nil {
		t.Fatal(err)
	}
	ma, _, _ := s.MapRow(t.Context(), a)
	mb, _, _ := s.MapRow(t.Context(), b)
	if ma.FQDN != "b.corp.example" || mb.FQDN != "a.corp.example" || mb.Profile != "" || ma.Source != "sync" {
		t.Errorf("names that changed hands: %+v %+v", ma, mb)
	}
}

func TestFleet(t *testing.T) {
	s := listed(t)
	u := uuid(t, "ffffffff-0504-0706-0809-0a0b0c0d0e0f")
	if _, err := s.ImportMap(t.Context(), []MapRow{{UUID: u, FQDN: "never.corp.example", Profile: "default", Source: "test"}}); err != nil {
		t.Fatal(err)
	}
	clients, err := s.Clients(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var rows []FleetRow
	for r, err := range s.Fleet(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	if len(rows) != len(clients)+1 {
		t.Fatalf("%d rows for %d clients", len(rows), len(clients))
	}
	for i, c := range clients {
		r := rows[i]
		if r.UUID != c.UUID || r.FQDN != c.FQDN || r.State != c.State || r.Reason != c.Reason || r.IP != c.IP || !r.FirstHello.Equal(c.FirstHello) ||
			r.Method != c.Method || r.AMTVersion != c.AMTVersion || !r.Hello || r.Session != (c.AMTVersion != "") || r.Done != (c.State == Provisioned) || r.TLS != "off" {
			t.Errorf("row %+v\nclient %+v", r, c)
		}
	}
	if last := rows[len(rows)-1]; last.UUID != u || last.Hello || !last.Mapped || last.MapFQDN != "never.corp.example" || last.State != "" {
		t.Errorf("a client that never said hello: %+v", last)
	}
	if got := fmt.Sprint(rows[0].KeyKnown); got != "false" {
		t.Errorf("key known: %s", got)
	}
}
