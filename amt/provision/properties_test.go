package provision

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

var asked = Asked{UUID: amt.UUID{1, 2, 3, 15: 9}, Address: netip.MustParseAddr("10.20.0.7"), Method: amt.PSK, PID: "4WMAPX70"}

func script(t *testing.T, body string) PropertySource {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the scripts of this test are for sh")
	}
	path := filepath.Join(t.TempDir(), "properties.sh")
	syscall.ForkLock.RLock() // a child that another test forks now would hold the file open for writing: "text file busy"
	err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	return FromScript(path, 2*time.Second)
}

func TestScript(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want Properties
		ok   bool
		fail string // words of the log
	}{
		"arguments":  {`echo "{\"fqdn\":\"$3-$4.corp.example\",\"profile\":\"lab\",\"ou\":\"$2\"}"`, Properties{"psk-4WMAPX70.corp.example", "lab", "10.20.0.7"}, true, ""},
		"input":      {`read x; echo "$x" | grep -q '"uuid":"` + asked.UUID.String() + `"' && echo '{"fqdn":"in.corp.example"}'`, Properties{FQDN: "in.corp.example"}, true, ""},
		"unknown":    {`exit 3`, Properties{}, false, ""},
		"its error":  {`echo "no row in the directory" >&2; exit 1`, Properties{}, false, "Properties Script Failed: PATH: exit status 1; it printed: no row in the directory"},
		"no answer":  {`true`, Properties{}, false, "is no JSON object"},
		"it lies":    {`echo '{"fqdn":7}'`, Properties{}, false, "is no JSON object"},
		"it hangs":   {`sleep 60`, Properties{}, false, "did not end within 2s"},
		"it floods":  {`yes`, Properties{}, false, "printed more than 65536 bytes"},
		"it screams": {`yes >&2`, Properties{}, false, "printed more than 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := script(t, c.body)
			got, ok, err := s.Properties(t.Context(), asked)
			if got != c.want || ok != c.ok || (err != nil) != (c.fail != "") {
				t.Fatalf("%+v, %v, %v", got, ok, err)
			}
			var ref *Refusal
			if c.fail != "" && (!errors.As(err, &ref) || ref.Cause != "rc-script-error" ||
				!strings.HasPrefix(ref.Log, "Properties Script Failed") ||
				!strings.Contains(ref.Log, strings.ReplaceAll(c.fail, "PATH", s.(scriptSource).path))) {
				t.Errorf("refusal %+v", ref)
			}
		})
	}
	var ref *Refusal
	missing := filepath.Join(t.TempDir(), "none.sh")
	if _, _, err := FromScript(missing, 0).Properties(t.Context(), asked); !errors.As(err, &ref) || ref.Cause != "rc-script-missing" {
		t.Errorf("a script that is not there: %v", err)
	}
	if CheckScript(missing) == nil || CheckScript(t.TempDir()) == nil {
		t.Error("a missing script or a folder passes the check")
	}
}

// zone is a Resolver made of two tables.
type zone struct{ back, forth map[string]string }

func (z zone) LookupAddr(_ context.Context, a string) ([]string, error) {
	if n := z.back[a]; n != "" {
		return []string{n}, nil
	}
	return nil, &net.DNSError{Err: "no such host", IsNotFound: z.back != nil}
}

func (z zone) LookupNetIP(_ context.Context, _, n string) ([]netip.Addr, error) {
	a, err := netip.ParseAddr(z.forth[n])
	return []netip.Addr{a}, err
}

func TestReverseDNS(t *testing.T) {
	back := map[string]string{"10.20.0.7": "PC-7.corp.example."}
	for name, c := range map[string]struct {
		z    zone
		ok   bool
		fail bool
	}{
		"confirmed":         {zone{back, map[string]string{"PC-7.corp.example.": "10.20.0.7"}}, true, false},
		"of another":        {zone{back, map[string]string{"PC-7.corp.example.": "10.20.0.8"}}, false, false},
		"name without host": {zone{back, nil}, false, false},
		"no name":           {zone{map[string]string{}, nil}, false, false},
		"no answer":         {zone{}, false, true},
	} {
		p, ok, err := FromDNS(c.z).Properties(t.Context(), asked)
		if ok != c.ok || (err != nil) != c.fail || ok && p.FQDN != "PC-7.corp.example." {
			t.Errorf("%s: %+v, %v, %v", name, p, ok, err)
		}
	}
}

// fixed is a source with one answer.
type fixed struct {
	p  Properties
	ok bool
}

func (fixed) Name() string { return "a table" }
func (f fixed) Properties(context.Context, Asked) (Properties, bool, error) {
	return f.p, f.ok, nil
}

func TestResolve(t *testing.T) {
	knows, not := fixed{Properties{FQDN: "PC.Corp.Example."}, true}, fixed{}
	p, from, err := resolve(t.Context(), []PropertySource{not, knows, fixed{Properties{FQDN: "other.corp.example"}, true}}, asked)
	if err != nil || p.FQDN != "pc.corp.example" || from != "a table" {
		t.Errorf("%+v from %s, %v", p, from, err)
	}
	for _, name := range []string{"", "pc", "pc..example", "-pc.corp.example", "pc_1.corp.example", "pc.corp.example;rm", strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 128) + "b"} {
		var ref *Refusal
		if _, _, err := resolve(t.Context(), []PropertySource{fixed{Properties{FQDN: name}, true}}, asked); !errors.As(err, &ref) || ref.Cause != "rc-fqdn-unresolved" {
			t.Errorf("name %q: %v", name, err)
		}
	}
	var ref *Refusal
	if _, _, err := resolve(t.Context(), nil, asked); !errors.As(err, &ref) || ref.Cause != "rc-fqdn-unresolved" {
		t.Errorf("no source: %v", err)
	}
}

func TestMapSource(t *testing.T) {
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "core.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	if _, ok, err := FromMap(st).Properties(t.Context(), asked); ok || err != nil {
		t.Errorf("an empty map: %v, %v", ok, err)
	}
	if _, err := st.ImportMap(t.Context(), []store.MapRow{{UUID: asked.UUID.Swapped(), FQDN: "pc.corp.example", Source: "test"}}); err != nil {
		t.Fatal(err)
	}
	var ref *Refusal
	if _, _, err := FromMap(st).Properties(t.Context(), asked); !errors.As(err, &ref) || ref.Cause != "rc-uuid-byte-order" {
		t.Errorf("the swapped form: %v", err)
	}
	if _, err := st.ImportMap(t.Context(), []store.MapRow{{UUID: asked.UUID, FQDN: "pc7.corp.example", Source: "test", Profile: "default"}}); err != nil {
		t.Fatal(err)
	}
	if p, ok, err := FromMap(st).Properties(t.Context(), asked); !ok || err != nil || p != (Properties{FQDN: "pc7.corp.example", Profile: "default"}) {
		t.Errorf("%+v, %v, %v", p, ok, err)
	}
}
