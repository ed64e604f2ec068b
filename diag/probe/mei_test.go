package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/mei"
	"amtmedic/diag"
)

func ptr[T any](v T) *T { return &v }

func TestMEFacts(t *testing.T) {
	version := func(s string) amt.Version { v, _ := amt.ParseVersion(s); return v }
	for _, c := range []struct {
		name   string
		state  mei.State
		err    error
		want   map[string]any
		absent []string
	}{
		{"switched off, softly", mei.State{Enablement: &mei.Enablement{Raw: 0x81, New: true, Allowed: true}, NoClient: true}, nil,
			map[string]any{"client.mei": "ok", "client.enabled": false, "client.enable_kind": "soft-disabled"}, []string{"client.prov_state"}},
		{"switched off, how is not told", mei.State{SwitchedOff: true}, nil,
			map[string]any{"client.mei": "ok", "client.enabled": false}, []string{"client.enable_kind"}},
		{"no client, nothing else told", mei.State{NoClient: true}, nil,
			map[string]any{"client.mei": "no-me"}, []string{"client.enabled", "client.sku", "client.enable_kind"}},
		{"pre", mei.State{Prov: ptr(mei.Pre), Version: version("3.2.1"), ZeroTouch: ptr(false), AdminDefault: ptr(true)}, nil,
			map[string]any{"client.mei": "ok", "client.enabled": true, "client.prov_state": "pre", "client.rcfg_enabled": false, "client.amt_version": "3.2.1"},
			[]string{"client.mebx_password", "client.mode", "client.pid"}},
		{"in, pair", mei.State{Prov: ptr(mei.In), TLSMode: ptr(uint32(1))}, nil, map[string]any{"client.prov_state": "in", "client.setup_data": "pid"}, []string{"client.window"}},
		{"in, certificate", mei.State{Prov: ptr(mei.In), TLSMode: ptr(uint32(2))}, nil, map[string]any{"client.setup_data": "rcfg"}, nil},
		{"in, undecided", mei.State{Prov: ptr(mei.In), TLSMode: ptr(uint32(0))}, nil, map[string]any{"client.prov_state": "in"}, []string{"client.setup_data"}},
		{"post, small business", mei.State{Prov: ptr(mei.Post), ProvMode: ptr(uint32(2)), Control: ptr(uint32(2))}, nil,
			map[string]any{"client.prov_state": "post", "client.model": "smb", "client.control_mode": "acm"}, nil},
		{"no driver", mei.State{}, fmt.Errorf("open: %w", mei.ErrNoDriver), map[string]any{"client.mei": "no-driver"}, []string{"client.enabled", "client.sku"}},
		{"denied", mei.State{}, mei.ErrDenied, map[string]any{"client.mei": "denied"}, nil},
		{"no ME", mei.State{}, mei.ErrNoME, map[string]any{"client.mei": "no-me"}, []string{"client.enabled", "client.sku", "client.enable_kind"}},
		{"resetting", mei.State{}, mei.ErrReset, map[string]any{"client.mei": "not-ready"}, nil},
		{"unknown state number", mei.State{Prov: ptr(mei.ProvState(9))}, nil, map[string]any{"client.mei": "ok"}, []string{"client.prov_state"}},
		{"network", mei.State{Suffix: ptr(""), Server: &mei.ConfigServer{Port: 9971, Address: "10.1.0.10"}, Wired: &mei.LAN{Enabled: true, DHCP: true}}, nil,
			map[string]any{"client.server_override": "10.1.0.10:9971", "client.ip_mode": "none", "client.me_addr": "none"}, []string{"client.nic", "client.suffix"}},
		{"suffix stored", mei.State{Suffix: ptr("corp.example")}, nil, map[string]any{"client.suffix": "corp.example"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			facts, ok := reachFacts(&c.state, c.err)
			if !ok {
				t.Fatal("not told")
			}
			got := map[string]any{}
			for _, f := range append(facts, stateFacts(&c.state)...) {
				made, err := diag.Make(f)
				if err != nil {
					t.Errorf("%s: %v", f.Key, err)
				}
				got[f.Key] = made.Value
			}
			for k, v := range c.want {
				if got[k] != v {
					t.Errorf("%s is %v, want %v", k, got[k], v)
				}
			}
			for _, k := range c.absent {
				if _, there := got[k]; there {
					t.Errorf("%s is told", k)
				}
			}
		})
	}
}

// Algorithms that hellos do not have still make a fact.
func TestMEHashes(t *testing.T) {
	facts := stateFacts(&mei.State{HashesRead: true, Hashes: []mei.Hash{{Algorithm: "md5", Digest: strings.Repeat("ab", 16), Active: true},
		{Algorithm: "sha512", Digest: strings.Repeat("cd", 64), Active: true}, {Algorithm: "sha1", Digest: strings.Repeat("ef", 20), Active: true}, {Algorithm: "sha256"}}})
	if len(facts) != 1 {
		t.Fatal(facts)
	}
	made, err := diag.Make(facts[0])
	if list, ok := made.Value.([]any); err != nil || !ok || len(list) != 3 {
		t.Errorf("%v, %v", made.Value, err)
	}
}

func TestMEFailsForOtherReasons(t *testing.T) {
	if _, ok := reachFacts(&mei.State{}, errors.New("out of files")); ok {
		t.Error("an error that says nothing of the ME makes a fact")
	}
}

// meReport keeps what a probe says.
type meReport struct {
	facts []diag.Fact
	saw   []string
}

func (r *meReport) Fact(f diag.Fact)        { r.facts = append(r.facts, f) }
func (r *meReport) Saw(s string)            { r.saw = append(r.saw, s) }
func (r *meReport) Until(time.Time, string) {}

func TestMEShowsWhatAPersonSaidOtherwise(t *testing.T) {
	said := diag.Fact{Key: "client.mei", Value: "ok", Probe: "person"}
	p := ManagementEngine(ME{
		Dial: func(context.Context, mei.ID) (mei.Link, error) { return nil, mei.ErrNoME },
		Said: func(k string) (diag.Fact, bool) { return said, k == said.Key },
	})
	r := &meReport{}
	if err := p.Run(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if len(r.facts) != 1 || r.facts[0].Value != "no-me" || !strings.Contains(strings.Join(r.facts[0].Evidence, " "), "a person said ok") || len(r.saw) == 0 {
		t.Errorf("facts %v, saw %q", r.facts, r.saw)
	}
}
