package bundle

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/diag/journal"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// goodPPS is the example pair of Intel's guide; its check characters are right.
const goodPPS = "NKLD-G5DC-RRNQ-E9YZ-ZIJL-7LFL-VJED-69XJ"

// judge is a tiny catalogue of its own: the bundle must not care which one it is.
func judge(facts []diag.Fact, at time.Time) diag.Judgement {
	v := diag.NewView(facts, at)
	j := diag.Judgement{UUID: v.UUID(), Sentence: "The server does not know this PID.", Change: "db.pid_map: row"}
	j.Checks = []diag.Result{{Check: "chk-pid", Station: diag.Credentials, Light: diag.Unknown}}
	if v.Has("client.prov_state", "in") {
		j.Mode = "4"
		j.Derived = []diag.Fact{{At: v.Now(), Key: "client.mode", Value: "4", Probe: "derived"}}
	}
	if v.Has("db.pid_map", "none") {
		j.Verdict, j.Component, j.Confidence = "rc-pid-unknown", "credentials", diag.Proven
		j.DecidedBy = []string{"client.mode", "db.pid_map"}
		j.Remedies = []diag.Remedy{{ID: "rm-pid-unknown", Kind: "manual", Text: "import the key file"}}
		j.Further = []string{"rc-no-profile"}
		j.Road[diag.Credentials] = diag.Broken
		return j
	}
	j.Next = &diag.Next{ID: "chk-pid", Text: "look the PID up"}
	return j
}

func fact(min int, v diag.Vantage, key string, value any) diag.Fact {
	f, err := diag.Make(diag.Fact{At: noon.Add(time.Duration(min) * time.Minute), Vantage: v, Key: key, Value: value})
	if err != nil {
		panic(err)
	}
	return f
}

func record(t testing.TB) *journal.Record {
	t.Helper()
	wire := filepath.Join(t.TempDir(), "client.pcapng")
	if err := os.WriteFile(wire, pcapng(binary.LittleEndian, 40), 0o600); err != nil {
		t.Fatal(err)
	}
	return &journal.Record{
		Info: journal.Info{Format: journal.Format, ID: "case-20261125-1200-k7", Name: "PC-0412", Created: noon},
		Facts: []diag.Fact{
			fact(1, diag.AtClient, "client.prov_state", "in"),
			fact(1, "", "client.uuid", "4c4c4544-0058-3910-8059-b7c04f4b5a31"),
			fact(2, diag.AtClient, "wire.client.syn", map[string]any{"dst": "10.1.0.10:9971", "src": "10.20.0.7:16994"}),
			fact(3, diag.AtServer, "db.pid_map", "none"),
			fact(3, "", "case.symptom", "sym-unprovisioned"),
			fact(3, "", "case.report", "it <script>alert(1)</script> \x1b[31m red | `pipe` \u202etxet"),
			fact(4, "", "my.own_key", map[string]any{"a": []any{1.0, true}}),
			fact(5, diag.AtServer, "srv.clock_skew_s", 90.0),
		},
		Actions: []flow.Action{{At: noon.Add(6 * time.Minute), Remedy: "rm-restart-hello", Stage: "done", Title: "cut the power", Detail: "by hand"}},
		Log:     []byte("2026-11-25T12:00:00Z dns: no answer\n"),
		Wire:    []string{wire},
		Damage:  []string{"facts.jsonl: line 4: no key"},
	}
}

// pcapng makes a section header, n blocks of 32 bytes, and one for each text.
func pcapng(o binary.AppendByteOrder, n int, texts ...string) []byte {
	block := func(kind uint32, body []byte) (b []byte) {
		b = o.AppendUint32(o.AppendUint32(nil, kind), uint32(len(body)+12))
		return o.AppendUint32(append(b, body...), uint32(len(body)+12))
	}
	out := block(sectionHeader, append(o.AppendUint32(nil, magicBE), 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255))
	for i := range n {
		out = append(out, block(6, bytes.Repeat([]byte{byte(i)}, 20))...)
	}
	for _, text := range texts {
		out = append(out, block(6, []byte(text))...)
	}
	return out
}

func made(t testing.TB, r *journal.Record, o Options) ([]byte, Summary) {
	t.Helper()
	o.Judge = judge
	o.Tool = Tool{Name: "amtmedic", Version: "test"}
	var b bytes.Buffer
	s, err := Create(context.Background(), &b, r, o)
	if err != nil {
		t.Fatal(err)
	}
	if s.Bytes != int64(b.Len()) {
		t.Errorf("summary says %d bytes, %d were written", s.Bytes, b.Len())
	}
	return b.Bytes(), s
}

func opened(t *testing.T, b []byte) *Bundle {
	t.Helper()
	o, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func member(t *testing.T, b []byte, name string) string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := z.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSameCaseSameBytes(t *testing.T) {
	r := record(t)
	a, s := made(t, r, Options{})
	b, _ := made(t, r, Options{})
	if !bytes.Equal(a, b) {
		t.Error("the same case gave other bytes")
	}
	z, _ := zip.NewReader(bytes.NewReader(a), int64(len(a)))
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
		if len(f.Extra) > 0 || !f.Modified.UTC().Equal(noon.Add(6*time.Minute)) {
			t.Errorf("%s has extra %x, time %v", f.Name, f.Extra, f.Modified)
		}
	}
	want := "README.txt actions.jsonl collect.log evidence/wire/client.pcapng facts.jsonl redactions.json report.html report.md timeline.jsonl verdict.json manifest.json"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("members %s", got)
	}
	if len(strings.Fields(s.Fingerprint)) != 16 || opened(t, a).Fingerprint != s.Fingerprint {
		t.Errorf("fingerprint %s", s.Fingerprint)
	}
}

func TestSoundBundle(t *testing.T) {
	r := record(t)
	b, s := made(t, r, Options{Explain: func(id string) string { return "sentence of " + id }})
	o := opened(t, b)
	if ps := o.Verify(judge); len(ps) > 0 {
		t.Errorf("problems %+v", ps)
	}
	if o.Verdict != "rc-pid-unknown" || o.Manifest.Case.ID != r.Info.ID || len(o.Actions) != 1 || o.Manifest.Clocks[0].OffsetS != 90 {
		t.Errorf("read back %+v", o)
	}
	if len(o.Facts) != len(r.Facts)+1 || o.Facts[len(o.Facts)-1].Key != "client.mode" {
		t.Errorf("%d facts, the last is %+v", len(o.Facts), o.Facts[len(o.Facts)-1])
	}
	before := judge(r.Facts, noon)
	before.Case = r.Info.ID
	if d := differences(before, o.Judge(judge)); len(d) > 0 {
		t.Errorf("the bundle gives another verdict: %v", d)
	}
	if len(s.Manifest.Omitted) != 1 || s.Manifest.Window.From != noon.Add(time.Minute) {
		t.Errorf("manifest %+v", s.Manifest)
	}
	var verdict map[string]any
	if err := json.Unmarshal([]byte(member(t, b, VerdictName)), &verdict); err != nil {
		t.Fatal(err)
	}
	for _, k := range append(slices.Clone(verdictFields), "checks", "road", "sentence") {
		if _, ok := verdict[k]; !ok {
			t.Errorf("verdict.json has no %s", k)
		}
	}
	events := strings.Split(strings.TrimSpace(member(t, b, TimelineName)), "\n")
	if len(events) != len(o.Facts)+1 || !strings.Contains(events[len(events)-1], "cut the power") {
		t.Errorf("timeline\n%s", strings.Join(events, "\n"))
	}
}

func TestReportsAreHarmless(t *testing.T) {
	b, _ := made(t, record(t), Options{})
	for _, name := range []string{ReportHTMLName, ReportName, ReadmeName, TimelineName, LogName} {
		text := member(t, b, name)
		if i := strings.IndexFunc(text, func(r rune) bool { return (r < ' ' && r != '\n') || r == 0x7f || r == '\u202e' }); i >= 0 {
			t.Errorf("%s has a control character at %d", name, i)
		}
	}
	html := member(t, b, ReportHTMLName)
	for _, bad := range []string{"<script", "http:", "https:", "src=", "url(", "@import"} {
		if strings.Contains(html, bad) {
			t.Errorf("report.html has %s", bad)
		}
	}
	md := member(t, b, ReportName)
	if strings.Contains(md, "<script") || !strings.Contains(md, "red \\| \\`pipe\\`") {
		t.Errorf("report.md\n%s", md)
	}
	for _, want := range []string{"rc-pid-unknown", "The server does not know this PID.", "import the key file", "cut the power", "Left out"} {
		if !strings.Contains(html, want) {
			t.Errorf("report.html does not say %q", want)
		}
	}
}

func TestSecretsAreHidden(t *testing.T) {
	const otherKnown = "P@ssw0rd-of-the-site"
	bare := strings.ReplaceAll(goodPPS, "-", "")
	r := record(t)
	r.Facts = append(r.Facts,
		fact(4, "", "case.report", "the key is "+goodPPS+", or "+strings.ToLower(bare)+"x"),
		fact(4, "", "db.pid_map", map[string]any{"pid": "4WMAPX70", "pps": "1234", "admin_password": "hunter2hunter2"}),
		fact(4, "", "srv.log", []any{map[string]any{"text": "log-in with " + otherKnown}}))
	r.Facts[3] = fact(9, diag.AtServer, "db.pid_map", "none")
	r.Actions = append(r.Actions, flow.Action{At: noon, Title: "enter " + bare})
	r.Log = []byte("x\n-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\ny\n" + otherKnown + "\n")
	r.Damage = append(r.Damage, "line 9: "+goodPPS)
	for _, side := range []string{"server.pcapng", "server-2.pcapng"} {
		path := filepath.Join(t.TempDir(), side)
		b := pcapng(binary.BigEndian, 40)
		if side == "server.pcapng" {
			b = pcapng(binary.BigEndian, 4, "before\x00\x01"+bare+"\x00\x01\x02\x03after the secret")
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		r.Wire = append(r.Wire, path)
	}
	b, s := made(t, r, Options{Secrets: []amt.Secret{amt.NewSecret(otherKnown), {}}})
	z, _ := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	for _, f := range z.File {
		text := strings.ToUpper(member(t, b, f.Name))
		for _, secret := range []string{bare, goodPPS, "HUNTER2", `"1234"`, "AAAA\n", strings.ToUpper(otherKnown)} {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %s", f.Name, secret)
			}
		}
	}
	if got := fmt.Sprint(s.Redactions); got != "[{secret-field facts.jsonl 2} {known-secret facts.jsonl 1} {pps facts.jsonl 2} {pps actions.jsonl 1} {known-secret collect.log 1} {private-key collect.log 1}]" {
		t.Errorf("redactions %s", got)
	}
	if got := fmt.Sprint(s.Manifest.Omitted); !strings.Contains(got, "evidence/wire/server.pcapng it holds what looks like a secret") {
		t.Errorf("omitted %s", got)
	}
	if ps := opened(t, b).Verify(judge); len(ps) > 0 {
		t.Errorf("problems %+v", ps)
	}
}

func TestWhatIsNoSecret(t *testing.T) {
	g := newGuard(nil)
	for _, text := range []string{
		strings.Repeat("0", 200), "00000000-0000-0000-0000-000000000000", strings.Repeat("deadbeef", 40),
		"4WMA-PX70", "NKLD-G5DC-RRNQ-E9YZ-ZIJL-7LFL-VJED-69XK", "NKLD G5DC", "NKLDG5DCRRNQE9YZZIJL7LFLVJED69X",
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "-----BEGIN CERTIFICATE-----",
	} {
		if f := g.find([]byte(text)); len(f) > 0 {
			t.Errorf("%s is taken for a secret (%v)", text, f)
		}
	}
}

// Hiding something must not change the verdict: then there is no bundle.
func TestHidingMustNotChangeTheVerdict(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.zip")
	o := Options{Secrets: []amt.Secret{amt.NewSecret("none")}, Judge: judge}
	_, err := WriteFile(context.Background(), path, record(t), o)
	if err == nil {
		t.Error("a bundle with another verdict was written")
	}
	if names, _ := os.ReadDir(filepath.Dir(path)); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}

func TestCapturesAreCutInWholeBlocks(t *testing.T) {
	dir := t.TempDir()
	r := record(t)
	r.Wire = nil
	for name, b := range map[string][]byte{
		"client.pcapng":   pcapng(binary.LittleEndian, 1000),
		"server.pcapng":   pcapng(binary.BigEndian, 10),
		"server-2.pcapng": []byte("this is no capture at all"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
		r.Wire = append(r.Wire, filepath.Join(dir, name))
	}
	b, s := made(t, r, Options{Limit: 10_000})
	head := member(t, b, "evidence/wire/client.pcapng")
	if len(head) > 10_000 || len(head) < 9_000 || wholeBlocks([]byte(head), len(head)) != len(head) {
		t.Errorf("the head has %d bytes", len(head))
	}
	for _, f := range s.Manifest.Files {
		if want := f.Path == "evidence/wire/client.pcapng"; f.Truncated != want {
			t.Errorf("%s truncated %v", f.Path, f.Truncated)
		}
		if f.Kind == "capture" && f.Side != "client" && f.Side != "server" {
			t.Errorf("%s has side %q", f.Path, f.Side)
		}
	}
	if len(s.Manifest.Omitted) != 3 {
		t.Errorf("omitted %v", s.Manifest.Omitted)
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	r := record(t)
	r.Facts = append(r.Facts, fact(3, "", "case.report", strings.Repeat("x ", 400_000))) // denser than Open bears
	path := filepath.Join(dir, "case.zip")
	for range 2 { // the second replaces the first
		if _, err := WriteFile(context.Background(), path, r, Options{Judge: judge}); err != nil {
			t.Fatal(err)
		}
	}
	if fi, err := os.Stat(path); err != nil || (runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600) {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	rec, err := Facts(path)
	if err != nil || rec.Case != r.Info.ID || len(rec.Facts) != len(r.Facts) || !IsBundle(path) {
		t.Errorf("%+v, %v", rec, err)
	}
	facts := filepath.Join(dir, "facts.jsonl")
	_ = os.WriteFile(facts, []byte("{}"), 0o600)
	if _, err := WriteFile(context.Background(), facts, r, Options{Judge: judge}); err == nil {
		t.Error("a facts file was written over")
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := WriteFile(ctx, filepath.Join(dir, "b.zip"), r, Options{Judge: judge}); err == nil {
		t.Error("an interrupted bundle was written")
	}
	if names, _ := os.ReadDir(dir); len(names) != 2 {
		t.Errorf("left behind: %v", names)
	}
}

// Other people's zip programs read what we write.
func TestStrangersReadIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "case.zip")
	if _, err := WriteFile(context.Background(), path, record(t), Options{Judge: judge}); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range [][]string{{"unzip", "-tq", path}, {"python3", "-m", "zipfile", "-t", path}} {
		t.Run(cmd[0], func(t *testing.T) {
			if _, err := exec.LookPath(cmd[0]); err != nil {
				if os.Getenv("CI") != "" {
					t.Fatal(err)
				}
				t.Skipf("%s is not installed", cmd[0])
			}
			if out, err := exec.Command(cmd[0], cmd[1:]...).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
