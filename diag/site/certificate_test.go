package site

import (
	"context"
	"slices"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/cert"
	"amtmedic/diag"
	"amtmedic/diag/probe"
)

// heard keeps what a probe says.
type heard struct{ facts []diag.Fact }

func (h *heard) Fact(f diag.Fact)        { h.facts = append(h.facts, f) }
func (h *heard) Saw(string)              {}
func (h *heard) Until(time.Time, string) {}

// The certificate that is named gives its facts at once, and is compared with what the client trusts when
// its hello is known, also by the SHA-1 digest of old firmware.
func TestCertificateProbes(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	m, err := cert.Make(cert.Spec{Suffix: "corp.example", Now: at, Bits: 1024})
	if err != nil {
		t.Fatal(err)
	}
	pem, err := m.ServerPEM()
	if err != nil {
		t.Fatal(err)
	}
	f, err := cert.Read(pem, amt.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	w := New(Options{Certificate: func() (*cert.File, error) { return f, nil }, CertificateName: "server.pem"})
	find := func(id string, facts ...diag.Fact) (probe.Probe, bool) {
		all := w.Probes(diag.NewView(facts, at))
		i := slices.IndexFunc(all, func(p probe.Probe) bool { return p.ID == id })
		if i < 0 {
			return probe.Probe{}, false
		}
		return all[i], true
	}
	p, ok := find("certificate")
	if !ok {
		t.Fatal("no probe of the certificate")
	}
	got := &heard{}
	if err := p.Run(context.Background(), got); err != nil || len(got.facts) == 0 {
		t.Fatalf("%d facts, %v", len(got.facts), err)
	}
	for _, fact := range got.facts {
		if !slices.Contains(p.Gives, fact.Key) {
			t.Errorf("%s is not announced", fact.Key)
		}
	}
	if _, ok := find("certificate-root"); ok {
		t.Error("compared with nothing")
	}
	sha1 := cert.Digests(m.Root)[0].Digest.String()
	for name, c := range map[string]struct {
		digest string
		in     bool
	}{"trusted": {sha1, true}, "not trusted": {"742c3192e607e424eb4549542be1bbc53e6174e2", false}} {
		hello := diag.Fact{Key: "wire.server.hello", Value: map[string]any{"src": "10.20.0.7:16994", "dst": "10.1.0.10:9971", "version": 3.0,
			"hashes": []any{map[string]any{"algorithm": "sha1", "digest": c.digest}}}}
		p, ok := find("certificate-root", hello)
		if !ok {
			t.Fatal("no probe of the root")
		}
		got := &heard{}
		if err := p.Run(context.Background(), got); err != nil || len(got.facts) != 2 || got.facts[1].Value != c.in {
			t.Errorf("%s: %+v, %v", name, got.facts, err)
		}
	}
	if w := New(Options{}); w.certificate(diag.NewView(nil, at)) != nil {
		t.Error("a probe without a certificate")
	}
}
