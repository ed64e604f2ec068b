package diag_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"amtmedic/diag"
)

func TestReadFacts(t *testing.T) {
	text := "\xef\xbb\xbf" + `{"at":"2026-11-23T11:00:00+01:00","vantage":"client","key":"client.prov_state","value":"in","probe":"person","evidence":"p1"}` + "\r\n" +
		"\r\n  \n" +
		`{"key":"client.usb_tried","value":true}` + "\n" +
		`{"key":"db.reach","value":null}` + "\n" +
		`{"key":"db.auth","value":"unknown","at":null,"vantage":null}` + "\n" +
		`{"key":"house.colour","value":{"any":["thing"]},"evidence":["a","b"]}` + "\n" +
		`{"key":"client.usb_tried","value":true}` // twice, and no line end
	for name, r := range map[string]*strings.Reader{"at once": strings.NewReader(text), "byte by byte": strings.NewReader(text)} {
		in := iotest.DataErrReader(r)
		if name != "at once" {
			in = iotest.OneByteReader(r)
		}
		facts, err := diag.ReadFacts(in)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := []diag.Fact{
			{At: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC), Vantage: diag.AtClient, Key: "client.prov_state", Value: "in", Probe: "person", Evidence: diag.Evidence{"p1"}},
			{Key: "client.usb_tried", Value: true},
			{Key: "db.reach", Value: "unknown"},
			{Key: "db.auth", Value: "unknown"},
			{Key: "house.colour", Value: map[string]any{"any": []any{"thing"}}, Evidence: diag.Evidence{"a", "b"}},
			{Key: "client.usb_tried", Value: true},
		}
		if !reflect.DeepEqual(facts, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, facts, want)
		}
	}
}

func TestReadFactsNothing(t *testing.T) {
	for _, text := range []string{"", "\n", "\xef\xbb\xbf", "\r\n\r\n"} {
		if facts, err := diag.ReadFacts(strings.NewReader(text)); len(facts) != 0 || err != nil {
			t.Errorf("%q: %v %v", text, facts, err)
		}
	}
}

// TestReadFactsBroken: every line that is no fact is named with its number and its key, the others
// are read all the same.
func TestReadFactsBroken(t *testing.T) {
	lines := []struct{ text, key, says string }{
		{`{"key":"db.reach","value":true}`, "", ""},
		{`{"key":"client.nic","value":"wlan0"}`, "client.nic", "onboard-up"},
		{`{"key":"client.nic"}`, "client.nic", "no value"},
		{`{"value":"x"}`, "", "no key"},
		{`{"key":"","value":"x"}`, "", "no key"},
		{`{"key":"db.auth","value":"yes"}`, "db.auth", "neither true nor false"},
		{`{"key":"db.auth","value":true,"at":"yesterday"}`, "db.auth", "2026-11-23T10:00:00Z"},
		{`{"key":"db.auth","value":true,"at":17}`, "db.auth", "not a text"},
		{`{"key":"db.auth","value":true,"vantage":"moon"}`, "db.auth", "client, server, third"},
		{`["key","value"]`, "", "array"},
		{`null`, "", "no key"},
		{`{"key":"db.auth","value":tru}`, "", "not JSON"},
		{`{"key":"db.auth","value":true} {"key":"db.reach","value":true}`, "", "not JSON"},
		{`key = value`, "", "not JSON"},
		{`{"key":5,"value":true}`, "", "key"},
		{`{"key":"srv.log","value":[{"text":"` + strings.Repeat("x", 1<<20) + `"}]}`, "", "longer than"},
		{`{"key":"db.exists","value":false}`, "", ""},
	}
	var text strings.Builder
	for _, l := range lines {
		text.WriteString(l.text + "\n")
	}
	facts, err := diag.ReadFacts(strings.NewReader(text.String()))
	if len(facts) != 2 || facts[0].Key != "db.reach" || facts[1].Key != "db.exists" {
		t.Errorf("facts: %v", facts)
	}
	var many interface{ Unwrap() []error }
	if !errors.As(err, &many) {
		t.Fatalf("error %v does not join the lines", err)
	}
	bad := many.Unwrap()
	for i, l := range lines {
		if l.says == "" {
			continue
		}
		var le diag.LineError
		if len(bad) == 0 || !errors.As(bad[0], &le) {
			t.Fatalf("line %d is not refused", i+1)
		}
		if le.Line != i+1 || le.Key != l.key || !strings.Contains(le.Error(), l.says) || len(le.Error()) > 400 {
			t.Errorf("line %d: %v, want key %q and %q", i+1, le, l.key, l.says)
		}
		bad = bad[1:]
	}
	if len(bad) > 0 {
		t.Errorf("too many: %v", bad)
	}
}

func TestReadFactsBrokenReader(t *testing.T) {
	facts, err := diag.ReadFacts(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(`{"key":"db.reach","value":true}` + "\n"))))
	if !errors.Is(err, iotest.ErrTimeout) || len(facts) != 0 {
		t.Errorf("%v %v", facts, err)
	}
}

// TestForms: for every kind of form what it makes of a value, and what it refuses.
func TestForms(t *testing.T) {
	type m = map[string]any
	for _, c := range []struct {
		key, in string
		want    any // nil: refused
	}{
		{"client.mei", `"no-me"`, "no-me"}, {"client.mei", `"No-ME"`, nil}, {"client.mei", `true`, nil}, {"client.mei", `""`, nil},
		{"client.mode", `"5"`, "5"}, {"client.mode", `5`, nil}, {"client.mode", `"7"`, nil},
		{"client.enabled", `true`, true}, {"client.enabled", `"true"`, nil}, {"client.enabled", `1`, nil}, {"client.enabled", `"none"`, nil},
		{"client.amt_version", `"16.1.27"`, "16.1.27"}, {"client.amt_version", `16.1`, nil}, {"client.amt_version", `"sixteen"`, nil}, {"client.amt_version", `"1.2.3.4.5"`, nil},
		{"client.uuid", `"4C4C4544-0058-3910-8059-B7C04F4B5A31"`, "4c4c4544-0058-3910-8059-b7c04f4b5a31"}, {"client.uuid", `"4c4c4544"`, nil},
		{"client.pid", `"4krg-65qt"`, "4KRG65QT"}, {"client.pid", `"4KRG65QT"`, "4KRG65QT"}, {"client.pid", `"4KRG65Q"`, nil}, {"client.pid", `"4KRG_5QT"`, nil},
		{"client.os_name", `"PC7.Corp.Example."`, "pc7.corp.example"}, {"client.os_name", `7`, nil},
		{"client.suffix", `""`, ""}, {"client.suffix", `"Corp.Example."`, "corp.example"}, {"client.suffix", `"none"`, ""}, {"client.suffix", `["corp.example"]`, nil},
		{"client.me_addr", `"none"`, "none"}, {"client.me_addr", `"10.20.0.7"`, "10.20.0.7"}, {"client.me_addr", `"::ffff:10.20.0.7"`, "10.20.0.7"},
		{"client.me_addr", `"10.20.0.7:80"`, nil}, {"client.me_addr", `"10.20.0.256"`, nil}, {"client.me_addr", `"FE80::1"`, "fe80::1"},
		{"client.server_override", `"none"`, "none"}, {"client.server_override", `"10.1.0.10:9971"`, "10.1.0.10:9971"}, {"client.server_override", `"NS1.corp.example"`, "ns1.corp.example"},
		{"client.server_override", `"10.1.0.10:99999"`, nil}, {"client.server_override", `""`, nil},
		{"client.hashes", `[]`, []any{}}, {"client.hashes", `[{"algorithm":"SHA1","digest":"AB01"}]`, []any{m{"algorithm": "sha1", "digest": "ab01"}}},
		{"client.hashes", `[{"algorithm":"unknown-9","digest":"ab"}]`, []any{m{"algorithm": "unknown-9", "digest": "ab"}}},
		{"client.hashes", `[{"algorithm":"md5","digest":"ab"}]`, nil}, {"client.hashes", `[{"algorithm":"sha1","digest":"a:b"}]`, nil}, {"client.hashes", `{"algorithm":"sha1"}`, nil},
		{"client.tls_versions", `["1.0","1.2"]`, []any{"1.0", "1.2"}}, {"client.tls_versions", `[1.2]`, nil}, {"client.tls_versions", `["1.4"]`, nil},
		{"client.wlan", `"none"`, "none"}, {"client.wlan", `{"up":true,"shared":null,"profile":"unknown","extra":3}`, m{"up": true, "extra": 3.0}}, {"client.wlan", `{"up":"yes"}`, nil},
		{"client.cira", `{"state":"off","network":"unknown","domains":["Corp.Example"]}`, m{"state": "off", "domains": []any{"corp.example"}}}, {"client.cira", `{"state":"dialling"}`, nil},
		{"client.link_up_s", `60`, 60.0}, {"client.link_up_s", `-1`, nil}, {"client.link_up_s", `"60"`, nil},
		{"client.post_message", `"2209"`, "2209"}, {"client.post_message", `2209`, nil},
		{"case.symptom", `"sym-no-kvm"`, "sym-no-kvm"}, {"case.symptom", `"no-kvm"`, nil},
		{"usb.fs", `"FAT16"`, "fat16"}, {"usb.records_free", `0`, 0.0}, {"usb.records_free", `-1`, nil}, {"usb.problems", `[]`, []any{}}, {"usb.problems", `"flags-missing"`, nil},
		{"usb.file_version", `"2.1"`, "2.1"}, {"usb.file_version", `2.1`, nil},
		{"dns.client", `{"qname":"ProvisionServer.Corp.Example.","rcode":"noerror","cname":["NS1."],"addr":["10.1.0.10"],"timeout":false}`,
			m{"qname": "provisionserver.corp.example", "rcode": "NOERROR", "cname": []any{"ns1"}, "addr": []any{"10.1.0.10"}, "timeout": false}},
		{"dns.client", `"none"`, nil}, {"dns.client", `{"addr":["nowhere"]}`, nil}, {"dns.client", `{"addr":"10.1.0.10"}`, nil},
		{"net.9971", `"connect"`, "connect"}, {"net.9971", `"open"`, nil}, {"net.ping", `"answer"`, "answer"}, {"net.ping", `"refused"`, nil},
		{"wire.client.syn", `"none"`, "none"}, {"wire.client.syn", `{"dst":"10.1.0.10:9971"}`, m{"dst": "10.1.0.10:9971"}}, {"wire.client.syn", `{"dst":"10.1.0.10"}`, nil},
		{"wire.client.rst", `{"src":"10.1.0.10"}`, m{"src": "10.1.0.10"}}, {"wire.client.rst", `{"src":"[FD00::1]:9971"}`, m{"src": "[fd00::1]:9971"}}, {"wire.client.rst", `{"src":"router"}`, nil},
		{"wire.client.hello", `{"version":2,"pid":"4krg-65qt","retry":3}`, m{"version": 2.0, "pid": "4KRG65QT", "retry": 3.0}}, {"wire.client.hello", `{"version":"2"}`, nil},
		{"wire.client.watch", `{"seconds":90,"after":"drain","power":"s5"}`, m{"seconds": 90.0, "after": "drain", "power": "s5"}}, {"wire.client.watch", `{"power":"s1"}`, nil}, {"wire.client.watch", `90`, nil},
		{"wire.client.dns", `{"rcode":"NONE"}`, m{"rcode": "none"}}, {"wire.client.dhcp", `{"by":"bios"}`, nil},
		{"wire.back_dst", `"10.20.0.7:16993"`, "10.20.0.7:16993"}, {"wire.back_dst", `"10.20.0.7"`, nil},
		{"srv.listen", `["0.0.0.0:9971","*:80",":443"]`, []any{"0.0.0.0:9971", "0.0.0.0:80", "0.0.0.0:443"}}, {"srv.listen", `["9971"]`, nil}, {"srv.listen", `"0.0.0.0:9971"`, nil},
		{"srv.amtconfig", `"absent"`, "absent"}, {"srv.amtconfig", `"started"`, nil}, {"srv.sync", `"never"`, "never"}, {"srv.sync", `"always"`, nil},
		{"srv.script", `{"exit_code":-1}`, m{"exit_code": -1.0}}, {"srv.script", `{"exit_code":"1"}`, nil},
		{"srv.log", `[{"at":"2026-11-23T11:00:00+01:00","text":"x"}]`, []any{m{"at": "2026-11-23T10:00:00Z", "text": "x"}}}, {"srv.log", `[{"at":"11:00"}]`, nil}, {"srv.log", `["x"]`, nil},
		{"srv.clock_skew_s", `-40`, -40.0}, {"srv.clock_skew_s", `"0"`, nil},
		{"db.amts", `"row"`, "row"}, {"db.amts", `"none"`, "none"}, {"db.amts", `{"state":"provisioned","age_s":5}`, m{"state": "provisioned", "age_s": 5.0}},
		{"db.amts", `{"state":"done"}`, nil}, {"db.amts", `true`, nil}, {"db.amts", `{"age_s":-5}`, nil}, {"db.config", `"row"`, "row"},
		{"db.pid_near", `["4krg-65qt"]`, []any{"4KRG65QT"}}, {"db.pid_near", `["?"]`, nil}, {"db.reach", `"none"`, nil},
		{"cred.digest", `401`, 401.0}, {"cred.digest", `"200"`, 200.0}, {"cred.digest", `403`, nil}, {"cred.digest", `"ok"`, nil},
		{"cert.not_after", `"2027-01-01T00:00:00Z"`, "2027-01-01T00:00:00Z"}, {"cert.not_after", `"2027-01-01"`, nil}, {"cert.not_after", `1798761600`, nil},
		{"cert.root_digest", `"AB01"`, "ab01"}, {"cert.root_digest", `"ab 01"`, nil}, {"cert.root_digest", `""`, nil}, {"cert.ou", `""`, ""}, {"cert.key_bits", `[2048]`, []any{2048.0}},
		{"cert.key_bits", `["2048"]`, nil}, {"cert.eku", `"1.3.6.1.5.5.7.3.1"`, nil},
		{"fleet.same_uuid", `0`, 0.0}, {"fleet.failing", `[{"count":3,"text":"x"}]`, []any{m{"count": 3.0, "text": "x"}}}, {"fleet.failing", `3`, nil},
		{"case.report", `"it does nothing"`, "it does nothing"}, {"case.report", `{}`, nil},
		{"client.nic", `"unknown"`, "unknown"}, {"client.wlan", `null`, "unknown"},
	} {
		facts, err := diag.ReadFacts(strings.NewReader(fmt.Sprintf(`{"key":%q,"value":%s}`, c.key, c.in)))
		switch {
		case c.want == nil && err == nil:
			t.Errorf("%s takes %s as %v", c.key, c.in, facts[0].Value)
		case c.want == nil && !strings.Contains(err.Error(), "key "+c.key):
			t.Errorf("%s, %s: %v does not name the key", c.key, c.in, err)
		case c.want != nil && (err != nil || !reflect.DeepEqual(facts[0].Value, c.want)):
			t.Errorf("%s makes %#v of %s (%v), want %#v", c.key, facts, c.in, err, c.want)
		}
	}
}

// TestFormsBearAll: whatever JSON a value is, every key takes it or refuses it, and what it takes is
// in normal form: taken again it does not change.
func TestFormsBearAll(t *testing.T) {
	values := []string{`null`, `true`, `0`, `-1`, `1e300`, `""`, `" "`, `"none"`, `"row"`, `"unknown"`, `"x"`, `"10.0.0.1"`, `"10.0.0.1:1"`, `"[::1]:1"`, `"2.1"`, `":"`, `"-"`, `"ab"`,
		`[]`, `[null]`, `["unknown"]`, `["x"]`, `[[]]`, `[{}]`, `{}`, `{"x":null}`, `{"state":[]}`, `{"version":{}}`, `{"hashes":[{"digest":7}]}`, `{"at":"x"}`}
	for _, k := range diag.Keys() {
		if k.Form() == "" || k.Meaning == "" {
			t.Errorf("%s has no form or meaning in words", k.Name)
		}
		for _, v := range values {
			facts, err := diag.ReadFacts(strings.NewReader(fmt.Sprintf(`{"key":%q,"value":%s}`, k.Name, v)))
			if err != nil {
				continue
			}
			again, err := diag.Make(facts[0])
			if err != nil || !reflect.DeepEqual(again, facts[0]) {
				t.Errorf("%s: %s became %v, then %v (%v)", k.Name, v, facts[0].Value, again.Value, err)
			}
		}
	}
}

// TestMakeTakesGoValues: probes give Go values where files give JSON.
func TestMakeTakesGoValues(t *testing.T) {
	for _, c := range []struct {
		key      string
		in, want any
	}{
		{"srv.addr", []string{"10.1.0.10"}, []any{"10.1.0.10"}}, {"usb.size_mib", 512, 512.0}, {"client.nic", nil, "unknown"}, {"client.nic", "unknown", "unknown"},
	} {
		f, err := diag.Make(diag.Fact{Key: c.key, Value: c.in})
		if err != nil || !reflect.DeepEqual(f.Value, c.want) {
			t.Errorf("%s: %v becomes %v (%v)", c.key, c.in, f.Value, err)
		}
	}
	if _, err := diag.Make(diag.Fact{Value: true}); err == nil {
		t.Error("a fact without a key is taken")
	}
	if _, err := diag.Make(diag.Fact{Key: "x", Value: true, Vantage: "moon"}); err == nil {
		t.Error("a fact from the moon is taken")
	}
}

// TestFactsRoundTrip: what was read and is written again is read the same.
func TestFactsRoundTrip(t *testing.T) {
	in := []diag.Fact{{Key: "db.reach", Value: true}, {Key: "client.suffix", Value: "", Vantage: diag.AtClient, At: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)},
		{Key: "srv.log", Value: []any{map[string]any{"text": "x"}}, Evidence: diag.Evidence{"a", "b"}, Probe: "p"}}
	var text strings.Builder
	for _, f := range in {
		b, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(string(b) + "\n")
	}
	out, err := diag.ReadFacts(strings.NewReader(text.String()))
	if err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("%v\n got %+v\nwant %+v", err, out, in)
	}
}

// TestKeys: names are stable and come once; the sides are those that 1.1 names.
func TestKeys(t *testing.T) {
	seen := map[string]bool{}
	sides := map[string]diag.Vantage{"net.9971": "client", "net.ping": "client", "net.mps": "client", "net.16992": "server", "net.16993": "server",
		"dns.forward": "server", "dns.reverse": "server", "dns.client": "client", "dns.server": "server"}
	for _, k := range diag.Keys() {
		if seen[k.Name] {
			t.Errorf("%s stands there twice", k.Name)
		}
		seen[k.Name] = true
		want := sides[k.Name]
		if strings.HasPrefix(k.Name, "wire.client.") {
			want = diag.AtClient
		} else if strings.HasPrefix(k.Name, "wire.server.") {
			want = diag.AtServer
		}
		if k.Side != want || k.Sided() != (want != "") {
			t.Errorf("%s is of side %q, want %q", k.Name, k.Side, want)
		}
	}
	if i := slices.IndexFunc(diag.Keys(), func(k diag.Key) bool { _, ok := diag.Lookup(k.Name); return !ok }); i >= 0 {
		t.Errorf("%s is not found", diag.Keys()[i].Name)
	}
	if _, ok := diag.Lookup("no.such_key"); ok {
		t.Error("an unknown key is found")
	}
}
