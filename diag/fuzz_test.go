package diag_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/check"
)

// FuzzReadFacts: no bytes make the reader or the judge panic; what was read is judged the same in
// any order of its lines and beside facts of unknown value; what decided stands in the facts.
func FuzzReadFacts(f *testing.F) {
	f.Add([]byte(`{"at":"2026-11-23T10:00:00Z","vantage":"client","key":"client.prov_state","value":"in"}
{"at":"2026-11-23T10:00:05Z","vantage":"client","key":"wire.client.syn","value":{"dst":"10.1.0.10:9971","src":"10.20.0.7:16994"}}
{"at":"2026-11-23T10:00:06Z","vantage":"server","key":"dns.server","value":{"qname":"provisionserver.corp.example","rcode":"NOERROR","cname":["ns1.corp.example"],"addr":["10.1.0.10"],"server":"10.1.0.53"}}
{"key":"client.usb_tried","value":true}`))
	f.Add([]byte("\xef\xbb\xbf" + `{"key":"srv.log","value":[{"at":"2026-11-23T09:00:00Z","text":"0 errors"}]}` + "\r\n" + `{"key":"db.queue","value":{"age_s":1e308}}`))
	f.Add([]byte(`{"key":"wire.server.hello","value":{"version":3,"hashes":[{"algorithm":"sha1","digest":"aa"}],"src":"[::1]:1","problems":[]}}
{"key":"client.hashes","value":[]}
{"key":"cert.root_digest","value":"bb"}`))
	f.Add([]byte(`{"key":"wire.client.watch","value":{"seconds":4000,"power":"s5"}}` + "\n" + `{"key":"client.mode","value":"6"}` + "\nnonsense\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		facts, err := diag.ReadFacts(bytes.NewReader(data))
		if err == nil && len(bytes.TrimSpace(bytes.Trim(data, "\xef\xbb\xbf"))) > 0 && len(facts) == 0 {
			t.Error("lines without fact and without error")
		}
		if len(facts) > 60 {
			facts = facts[:60]
		}
		sameWhatever(t, facts, rand.New(rand.NewPCG(1, uint64(len(data)))))
	})
}

// sameWhatever judges facts, and judges them again in another order and beside unknown ones.
func sameWhatever(t *testing.T, facts []diag.Fact, rnd *rand.Rand) {
	t.Helper()
	j := check.Judge(facts, noon)
	for _, k := range j.DecidedBy {
		if !slices.ContainsFunc(append(slices.Clone(facts), j.Derived...), func(f diag.Fact) bool { return f.Key == k }) {
			t.Errorf("decided_by names %s, which is no fact of the case", k)
		}
	}
	if (j.Verdict == "") != (j.Next != nil) || (j.Verdict == "") != (j.Confidence == "") {
		t.Errorf("verdict %q %q with next %v", j.Verdict, j.Confidence, j.Next)
	}
	other := slices.Clone(facts)
	rnd.Shuffle(len(other), func(a, b int) { other[a], other[b] = other[b], other[a] })
	keys := diag.Keys()
	other = append(other, diag.Fact{Key: keys[rnd.IntN(len(keys))].Name, Value: diag.UnknownValue, At: noon.Add(time.Hour)})
	k := check.Judge(other, noon)
	if said(j) != said(k) {
		t.Errorf("the order of lines, or an unknown fact, matters:\n%s\n%s\n%v", said(j), said(k), facts)
	}
}

func said(j diag.Judgement) string {
	return fmt.Sprint(j.UUID, j.Verdict, j.Confidence, j.Further, j.Consequences, j.DecidedBy, j.Remedies, j.Next != nil, j.Mode, j.Road)
}

// TestAnyFacts: random facts of the whole vocabulary, each key with values that it takes, at a few
// moments and places.
func TestAnyFacts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2008, 3))
	var pool []diag.Fact
	values := []string{`true`, `false`, `0`, `1`, `401`, `4000`, `9000`, `"none"`, `"row"`, `""`, `"in"`, `"pre"`, `"post"`, `"connect"`, `"refused"`, `"timeout"`, `"running"`, `"stopped"`, `"hung"`,
		`"factory"`, `"changed"`, `"psk"`, `"rcfg"`, `"local"`, `"manual"`, `"acm"`, `"ccm"`, `"expired"`, `"never-opened"`, `"other-nic-only"`, `"static"`, `"dhcp-lease"`, `"corp.example"`, `"pc7.corp.example"`,
		`"2.1"`, `"3.2.1"`, `"11.0"`, `"16.1"`, `"10.1.0.10"`, `"10.1.0.99"`, `"10.1.0.10:9971"`, `"tls-alert"`, `"tls-version"`, `"sym-no-tunnel"`, `"sym-usb-2209"`, `"sym-hello-stopped"`,
		`[]`, `["10.1.0.10"]`, `["10.1.0.10:9971"]`, `["10.1.0.10:9972"]`, `["flags-missing"]`, `["1.2"]`, `["sha1"]`, `["4KGR65QT"]`, `"aa01"`, `"off"`, `"on"`, `"script"`, `"db"`, `"imported-only"`,
		`{"version":2,"uuid":"4c4c4544-0058-3910-8059-b7c04f4b5a31","pid":"4KRG65QT","problems":[],"dst":"10.1.0.10:9971","src":"10.20.0.7:16994"}`, `{"dst":"10.1.0.10:9971"}`, `{"dst":"10.1.0.99:9971"}`,
		`{"seconds":4000,"after":"drain","power":"s5"}`, `{"qname":"provisionserver.corp.example","rcode":"NXDOMAIN"}`, `{"qname":"provisionserver.corp.example","addr":["10.1.0.10"]}`,
		`{"state":"provisioned","fqdn":"pc7.corp.example","age_s":60}`, `{"state":"in-progress"}`, `{"state":"off","domains":["corp.example"]}`, `{"fqdn":"pc8.corp.example"}`, `{"age_s":10}`, `{"exit_code":2,"exists":true}`,
		`{"up":true,"profile":false}`, `[{"version":"2","ok":true}]`, `[{"algorithm":"sha1","digest":"aa02"}]`, `[{"count":9}]`, `[{"at":"2026-11-23T11:30:00Z","text":"an error"}]`}
	for _, k := range diag.Keys() {
		for _, v := range values {
			if facts, err := diag.ReadFacts(strings.NewReader(fmt.Sprintf(`{"key":%q,"value":%s}`, k.Name, v))); err == nil {
				pool = append(pool, facts...)
			}
		}
	}
	verdicts := map[string]bool{}
	for range 3000 {
		facts := make([]diag.Fact, 1+rnd.IntN(25))
		for i := range facts {
			facts[i] = pool[rnd.IntN(len(pool))]
			if rnd.IntN(3) == 0 {
				facts[i].At = noon.Add(-time.Duration(rnd.IntN(5)) * 25 * time.Minute)
			}
			facts[i].Vantage = []diag.Vantage{"", "", "", diag.AtClient, diag.AtServer, diag.AtThird}[rnd.IntN(6)]
		}
		verdicts[check.Judge(facts, noon).Verdict] = true
		sameWhatever(t, facts, rnd)
		if t.Failed() {
			return
		}
	}
	if len(verdicts) < 40 {
		t.Errorf("only %d verdicts: the random facts are too tame", len(verdicts))
	}
}

// TestManyFacts: a long capture, with times and without, is judged without a long wait.
func TestManyFacts(t *testing.T) {
	for _, timed := range []bool{true, false} {
		var facts []diag.Fact
		for i := range 4000 {
			at := 0
			if timed {
				at = -i
			}
			facts = append(facts,
				fact(at, "wire.client.syn", map[string]any{"dst": "10.1.0.10:9971", "src": fmt.Sprintf("10.20.%d.%d:16994", i/250, i%250)}),
				fact(at, "dns.client", map[string]any{"qname": fmt.Sprintf("h%d.example", i), "rcode": "NXDOMAIN"}))
			if i%20 == 0 {
				facts = append(facts, fact(at, "wire.client.watch", map[string]any{"seconds": i}))
			}
		}
		start := time.Now()
		if j := check.Judge(facts, noon); j.Verdict != "ok-waiting-retry" {
			t.Errorf("verdict %s", j.Verdict)
		}
		if d := time.Since(start); d > 20*time.Second { // it takes half a second; squares would take minutes
			t.Errorf("%d facts took %v", len(facts), d)
		}
	}
}
