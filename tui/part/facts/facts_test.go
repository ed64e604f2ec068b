package facts

import (
	"testing"
	"time"

	"amtmedic/diag"
	"amtmedic/tui/part/text"
)

func TestWords(t *testing.T) {
	m := func(pairs ...any) map[string]any {
		out := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i].(string)] = pairs[i+1]
		}
		return out
	}
	l := func(vs ...any) []any { return vs }
	tests := map[string]struct {
		key         string
		value       any
		what, where string
	}{
		"name found":      {"dns.client", m("qname", "p.corp", "addr", l("10.1.0.10"), "server", "10.20.0.53"), "p.corp → 10.1.0.10", "10.20.0.53"},
		"no such name":    {"dns.client", m("qname", "p.corp", "rcode", "NXDOMAIN"), "p.corp → NXDOMAIN", ""},
		"open end":        {"dns.server", m("qname", "p.corp", "rcode", "NOERROR", "cname", l("ns1.corp")), "p.corp → ns1.corp, no address", ""},
		"empty answer":    {"dns.server", m("qname", "p.corp", "rcode", "NOERROR"), "p.corp → no address", ""},
		"no answer":       {"dns.client", m("qname", "p.corp", "timeout", true), "p.corp → no answer", ""},
		"forward":         {"dns.forward", m("name", "pc", "addr", l("10.0.0.1")), "pc → 10.0.0.1", ""},
		"reverse":         {"dns.reverse", m("addr", "10.0.0.1"), "10.0.0.1 → no name", ""},
		"SYN":             {"wire.client.syn", m("dst", "10.1.0.10:9971", "src", "10.20.0.7:16994"), "SYN 10.20.0.7:16994 → 10.1.0.10:9971", ""},
		"no SYN":          {"wire.client.syn", "none", "SYN: none seen", ""},
		"hello":           {"wire.server.hello", m("dst", "10.1.0.10:9971", "pid", "4KRG65QT", "version", 2.0, "retry", 3.0), "HELLO PID 4KRG65QT, version 2, retry 3 → 10.1.0.10:9971", ""},
		"truth":           {"client.enabled", true, "AMT enabled: yes", ""},
		"empty text":      {"client.suffix", "", "the ME's DNS suffix: (empty)", ""},
		"empty list":      {"srv.listen", l(), "service listens on: nothing", ""},
		"object":          {"db.pid_rows", m("unused", 2.0, "total", 40.0), "db.pid_rows  total 40 · unused 2", ""},
		"not known":       {"client.nic", nil, "network port: unknown", ""},
		"log":             {"srv.log", l(m("at", "2026-11-25T10:00:00Z", "text", "old"), m("at", "2026-11-25T10:01:00Z", "text", "new")), "log: new", ""},
		"empty log":       {"srv.log", l(), "log: no row of this client", ""},
		"in the queue":    {"db.queue", m("age_s", 3.0, "attempts", 2.0), "its request is in the queue, attempts: 2", ""},
		"not in it":       {"db.queue", "none", "no request of this client in the queue", ""},
		"delayed":         {"db.delayed", m("reason", "no name"), "delayed entry: no name", ""},
		"a row":           {"db.amts", m("fqdn", "pc.corp", "state", "unprovisioned"), "row in csti_amts: pc.corp, unprovisioned", ""},
		"an empty row":    {"db.amts", m("age_s", 3.0), "row in csti_amts: there", ""},
		"no pair":         {"db.pid_map", "none", "no row in csti_pid_map for its PID", ""},
		"a pair":          {"db.pid_map", m("pid", "4KRG65QT", "used", false), "row in csti_pid_map: 4KRG65QT, unused", ""},
		"a name row":      {"db.uuid_map", m("age_s", 5.2620000000000005, "fqdn", "pc.corp"), "row in csti_uuid_maps: pc.corp", ""},
		"no name row":     {"db.uuid_map", "none", "no row in csti_uuid_maps for this client", ""},
		"a script fails":  {"srv.script", m("duration_s", 0.002, "exists", true, "exit_code", 1.0, "output", "names.txt cannot be opened", "path", "/p.sh"), "properties script: exit code 1, names.txt cannot be opened", ""},
		"no script":       {"srv.script", m("exists", false, "path", "/p.sh"), "properties script is not there: /p.sh", ""},
		"one-time":        {"cred.otp", "missing", "one-time password: missing", ""},
		"arithmetic":      {"x.age", m("age_s", 5.2620000000000005), "x.age  age_s 5.262", ""},
		"a watch":         {"wire.client.watch", m("seconds", 3900.0, "after", "nothing"), "the port was watched for 3900 s, after: nothing", ""},
		"an open port":    {"net.9971", "connect", "connect to port 9971: it answers", ""},
		"a key of others": {"x.y", m("dst", "z"), "x.y  dst z", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			what, where := Words(diag.Fact{Key: tc.key, Value: tc.value})
			if what != tc.what || where != tc.where {
				t.Errorf("got %q at %q, want %q at %q", what, where, tc.what, tc.where)
			}
		})
	}
}

func TestCut(t *testing.T) {
	what := "provisionserver.delft.corp.example → NXDOMAIN"
	for w, want := range map[int]string{60: what, 30: "provisionserver.de… → NXDOMAIN", 12: "provisionse…"} {
		if got := Cut(what, w); got != want || text.Width(got) > w {
			t.Errorf("width %d: %q, want %q", w, got, want)
		}
	}
}

func TestLatest(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	fs := []diag.Fact{{Key: "a", Value: "1", At: at(1)}, {Key: "b", Value: "2", At: at(2)}, {Key: "a", Value: "3", At: at(3)}, {Key: "a", Value: diag.UnknownValue, At: at(4)}}
	got := Latest(fs, []string{"b", "c", "a"})
	if len(got) != 2 || got[0].Value != "2" || got[1].Value != "3" {
		t.Errorf("got %v", got)
	}
}
