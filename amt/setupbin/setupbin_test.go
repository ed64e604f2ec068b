package setupbin

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"amtmedic/amt"
	"amtmedic/amt/keys"
)

// foreign reads a file that another program wrote (MeshCentral's setup.bin writer).
func foreign(t testing.TB, name string) []byte {
	t.Helper()
	dir := os.Getenv("AMTMEDIC_FOREIGN_DATA")
	if dir == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("AMTMEDIC_FOREIGN_DATA does not name the files of other programs")
		}
		t.Skip("AMTMEDIC_FOREIGN_DATA does not name the files of other programs")
	}
	b, err := os.ReadFile(filepath.Join(dir, "setupbin", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustRead(t testing.TB, b []byte) *File {
	t.Helper()
	f, err := Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const (
	intelPID = "0000037M"
	intelPPS = "NKLDG5DCRRNQE9YZZIJL7LFLVJED69XJ"
	otherPID = "0000A01U"
	otherPPS = "OZFNMKQHIAERUP30AEU3IM2KDD9DD5LH"
)

func row(pid, pps string) keys.Row {
	return keys.Row{Pair: keys.Pair{PID: amt.PID(pid), PPS: amt.NewSecret(pps)}, AdminPassword: amt.NewSecret("P@ssw0rd")}
}

// sample is our own two-record file; TestForeign proves that another program writes the same bytes.
func sample(t testing.TB) []byte {
	t.Helper()
	f, err := Build(V10, [][]Variable{FromKeys(row(intelPID, intelPPS)), FromKeys(row(otherPID, otherPPS))}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return f.Bytes()
}

func setting(t testing.TB, key, value string) Variable {
	t.Helper()
	v, err := Parse(key, value)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// scrambledVars is the record of v4-scrambled.bin as its description gives it.
func scrambledVars(t testing.TB) []Variable {
	vars := []Variable{Text(1, 1, amt.NewSecret("admin")), Text(1, 2, amt.NewSecret("HeyH0Password!"))}
	for _, kv := range [][2]string{{"1/3", "1"}, {"1/6", powerOn}, {"2/10", "7"}, {"2/13", "enabled"}, {"2/23", "shared"},
		{"2/25", "on"}, {"2/26", "none"}, {"2/27", "1"}, {"2/29", "manual"}} {
		vars = append(vars, setting(t, kv[0], kv[1]))
	}
	return vars
}

// TestForeign: files of another program read as their description says, come out byte for byte, and
// are what we write from the same input.
func TestForeign(t *testing.T) {
	old, scrambled := foreign(t, "v1-psk-2.bin"), foreign(t, "v4-scrambled.bin")
	f := mustRead(t, old)
	if f.Version != V10 || f.Total != 2 || f.Consumed != 0 || f.Flags != 0 || f.Keeps() || f.Free() != 2 || !slices.Equal(f.Modules, []uint16{1, 2}) {
		t.Errorf("v1: %+v", f)
	}
	rows, problems := f.Keys()
	if len(rows) != 2 || len(problems) > 0 || rows[0].PID != intelPID || rows[0].PPS.Reveal() != intelPPS || rows[1].PID != otherPID ||
		rows[1].PPS.Reveal() != otherPPS || rows[1].CurrentPassword.Reveal() != "admin" || rows[1].AdminPassword.Reveal() != "P@ssw0rd" {
		t.Errorf("v1: keys %v, %v", rows, problems)
	}
	if !bytes.Equal(sample(t), old) {
		t.Error("v1: we write other bytes from the same input")
	}
	f = mustRead(t, scrambled)
	if f.Version != V40 || !f.Keeps() || len(f.Records) != 1 || f.Records[0].Flags != FlagValid|FlagScrambled {
		t.Errorf("v4: %+v", f)
	}
	want := scrambledVars(t)
	for i, v := range f.Records[0].Variables {
		if i >= len(want) || v.Key() != want[i].Key() || v.Value.Reveal() != want[i].Value.Reveal() {
			t.Errorf("v4: variable %d is %s = %x", i, v.Key(), v.Value.Reveal())
		}
	}
	built, err := Build(V40, [][]Variable{want}, Options{Keep: true, Scramble: true})
	if err != nil || !bytes.Equal(built.Bytes(), scrambled) {
		t.Errorf("v4: we write other bytes from the same input, %v", err)
	}
	for name, b := range map[string][]byte{"v1": old, "v4": scrambled} {
		f := mustRead(t, b)
		if !bytes.Equal(f.Bytes(), b) {
			t.Errorf("%s: changed by reading and writing", name)
		}
		if problems, notes := f.Judge(amt.Version{}); len(problems)+len(notes) > 0 {
			t.Errorf("%s: %v %v", name, problems, notes)
		}
	}
}

// TestOtherWriter: from the same input we write the bytes that MeshCentral's writer wrote.
func TestOtherWriter(t *testing.T) {
	sha1 := "sha1:" + strings.Repeat("ab", 20) + ":Root"
	remote := []string{"2/3=corp.example", "2/4=ps.corp.example", "2/5=on", "2/7=enabled", "2/8=" + sha1, "2/10=7"}
	for _, c := range []struct {
		name     string
		version  Version
		o        Options
		settings []string
	}{
		{"v20.bin", V20, Options{}, remote},
		{"v21.bin", V21, Options{Keep: true}, slices.Concat(remote, []string{"1/6=" + powerOn, "2/11=pc1", "2/12=corp.example", "2/13=enabled", "2/17=192.0.2.10", "2/18=9971"})},
		{"v30.bin", V30, Options{}, slices.Concat(remote, []string{"2/25=on", "2/26=255", "2/28=start", "2/30=77", "2/34=2", "2/31=help"})},
		{"v40.bin", V40, Options{Scramble: true}, []string{"2/29=manual", "2/8=sha256:" + strings.Repeat("cd", 32) + ":Root2", "2/7=1"}},
	} {
		want, err := os.ReadFile(filepath.Join("testdata", c.name))
		if err != nil {
			t.Fatal(err)
		}
		var more []Variable
		for _, s := range c.settings {
			key, value, _ := strings.Cut(s, "=")
			more = append(more, setting(t, key, value))
		}
		f, err := Build(c.version, [][]Variable{FromKeys(row(intelPID, intelPPS), more...), FromKeys(row(otherPID, otherPPS), more...)}, c.o)
		if err != nil || !bytes.Equal(f.Bytes(), want) {
			t.Errorf("%s: we write other bytes, %v", c.name, err)
		}
		read := mustRead(t, want)
		if problems, _ := read.Judge(amt.Version{}); len(problems) > 0 || !bytes.Equal(read.Bytes(), want) || read.Version != c.version || len(read.Records) != 2 {
			t.Errorf("%s: %v", c.name, problems)
		}
	}
}

// TestDefects breaks a sound file in each known way.
func TestDefects(t *testing.T) {
	put16 := func(at int, v uint16) func([]byte) []byte {
		return func(b []byte) []byte { le.PutUint16(b[at:], v); return b }
	}
	set := func(at int, s string) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[at:], s); return b }
	}
	for _, c := range []struct {
		name   string
		change func(b []byte) []byte
		want   []string // codes of problems, "+" before codes of notes
	}{
		{"untouched", func(b []byte) []byte { return b }, nil},
		{"zero header chunks", put16(16, 0), []string{"header-chunks"}},
		{"zero record chunks", put16(36, 0), []string{"record-chunks"}},
		{"as MeshCommander", func(b []byte) []byte { b[16], b[36], b[0x210], b[0x410] = 0, 0, 0, 0; return b }, []string{"header-chunks", "record-chunks"}},
		{"header chunks beyond the file", put16(16, 9), []string{"header-chunks", "truncated"}},
		{"record count too high", put16(28, 3), []string{"truncated"}},
		{"record count too low", put16(28, 1), []string{"record-count"}},
		{"count of four thousand millions", set(28, "\xff\xff\xff\xff"), []string{"truncated"}},
		{"cut in the second record", func(b []byte) []byte { return b[:1100] }, []string{"truncated"}},
		{"header alone", func(b []byte) []byte { return b[:512] }, []string{"truncated"}},
		{"no record", func(b []byte) []byte { b[28] = 0; return b[:512] }, []string{"no-records"}},
		{"bytes behind", func(b []byte) []byte { return append(b, 1, 2, 3) }, []string{"trailing-bytes"}},
		{"another file type", set(0, "nothing"), []string{"file-type"}},
		{"type of another version", put16(24, 4), []string{"version"}},
		{"impossible header length", put16(18, 3), []string{"header-bytes"}},
		{"check character of the PID", set(0x247, "N"), []string{"pid-check"}},
		{"check character of a PPS group", set(0x253, "E"), []string{"pps-check"}},
		{"lower case PID", set(0x440, "0000a01u"), []string{"lower-case"}},
		{"current password", set(0x220, "Admin"), []string{"not-admin"}},
		{"weak new password", set(0x230, "password"), []string{"weak-password"}},
		{"password for HP", set(0x230, "P@ss<0rd"), []string{"+maker-password"}},
		{"variable runs out of the record", put16(0x24c, 800), []string{"variable-cut", "half-pair"}},
		{"record type", put16(0x200, 7), []string{"record-type"}},
		{"record of zeros", func(b []byte) []byte { clear(b[0x400:]); return b }, []string{"record-type", "+used", "+counter"}},
		{"used record of zeros", func(b []byte) []byte { clear(b[0x200:0x400]); b[32] = 1; return b }, []string{"+used"}},
		{"record header length", put16(0x212, 20), []string{"record-header"}},
		{"unknown variable", put16(0x248, 9), []string{"half-pair", "+unknown-variable"}},
		{"order", func(b []byte) []byte { copy(b[0x218:], slices.Concat(b[0x238:0x270], b[0x218:0x238])); return b }, []string{"order"}},
		{"first record used", func(b []byte) []byte { b[0x204], b[32] = 0, 1; return b }, []string{"+used"}},
		{"used without the counter", put16(0x204, 0), []string{"consumed", "+used"}},
		{"counter without a mark", put16(32, 1), []string{"+counter"}},
		{"counter above the total", put16(32, 3), []string{"consumed"}},
		{"all used", func(b []byte) []byte { b[0x204], b[0x404], b[32] = 0, 0, 2; return b }, []string{"+all-used"}},
		{"a used record with another password", func(b []byte) []byte { b[0x204], b[32] = 0, 1; copy(b[0x220:], "Admin"); return b }, []string{"+used"}},
	} {
		b := c.change(sample(t))
		f := mustRead(t, b)
		problems, notes := f.Judge(amt.Version{})
		got := amt.Codes(problems)
		for _, n := range amt.Codes(notes) {
			got = append(got, "+"+n)
		}
		if len(got) != len(c.want) || !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(c.want))) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if !bytes.Equal(f.Bytes(), b) {
			t.Errorf("%s: changed by reading and writing", c.name)
		}
		for _, p := range slices.Concat(problems, notes) {
			if p.Offset == nil || *p.Offset > len(b) {
				t.Errorf("%s: %s without a place in the file", c.name, p.Code)
			}
			for _, s := range []string{intelPPS, "P@ssw0rd", "password", "Admin"} {
				if strings.Contains(p.Text, s) && s != "password" {
					t.Errorf("%s: a secret stands in %q", c.name, p.Text)
				}
			}
		}
	}
}

func TestShortFile(t *testing.T) {
	for _, n := range []int{0, 1, 511} {
		if _, err := Read(make([]byte, n)); err == nil {
			t.Errorf("%d bytes were read", n)
		}
	}
}

// TestFirmware: the same file is fit for one client and not for another.
func TestFirmware(t *testing.T) {
	build := func(v Version, current string, more ...Variable) *File {
		r := row(intelPID, intelPPS)
		r.CurrentPassword = amt.NewSecret(current)
		f, err := Build(v, [][]Variable{FromKeys(r, more...)}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for _, c := range []struct {
		file     *File
		firmware string
		want     string
	}{
		{build(V10, "admin"), "2.1", ""},
		{build(V10, "Other@123"), "", "not-admin"},
		{build(V10, "Other@123"), "5.0", ""},
		{build(V30, "Other@123"), "", ""},
		{build(V30, "Other@123"), "3.2", "file-version not-admin"},
		{build(V20, "admin"), "2.6", "file-version"},
		{build(V20, "admin"), "3.0", ""},
		{build(V21, "admin"), "3.2.1", "file-version"},
		{build(V40, "admin"), "2.0", ""}, // no source says which firmware reads 4.0
		{build(V10, "admin", setting(t, "2/3", "corp.example")), "", "variable-early"},
		{build(V20, "admin", setting(t, "2/3", "corp.example")), "", ""},
		{build(V20, "admin", setting(t, "2/8", "sha1:"+strings.Repeat("ab", 20)+":root")), "", "order"},
		{build(V20, "admin", setting(t, "2/7", "enabled"), setting(t, "2/8", "sha256:"+strings.Repeat("ab", 32)+":root")), "", "value"},
		{build(V30, "admin", setting(t, "2/7", "enabled"), setting(t, "2/8", "sha256:"+strings.Repeat("ab", 32)+":root")), "", ""},
	} {
		var v amt.Version
		if c.firmware != "" {
			v, _ = amt.ParseVersion(c.firmware)
		}
		problems, _ := c.file.Judge(v)
		if got := strings.Join(amt.Codes(problems), " "); got != c.want {
			t.Errorf("%s for %q: %q, want %q", c.file.Version, c.firmware, got, c.want)
		}
	}
}

// TestMend repairs the files that MeshCommander makes, and no other.
func TestMend(t *testing.T) {
	good := sample(t)
	b := slices.Clone(good)
	b[16], b[36] = 0, 0
	f := mustRead(t, b)
	if !f.Mend() || !bytes.Equal(f.Bytes(), good) {
		t.Error("not mended")
	}
	b[28] = 5
	if f := mustRead(t, b); f.Mend() {
		t.Error("a file whose size does not fit was changed")
	}
	if f := mustRead(t, good); f.Mend() {
		t.Error("a sound file was changed")
	}
}

// TestLongRecord: a body of more than one chunk raises the chunk count of all records.
func TestLongRecord(t *testing.T) {
	long := setting(t, "2/4", strings.Repeat("a", 250)+".test")
	suffix := setting(t, "2/3", strings.Repeat("b", 250)+".test")
	f, err := Build(V20, [][]Variable{FromKeys(row(intelPID, intelPPS), long, suffix), FromKeys(row(otherPID, otherPPS))}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := f.Bytes()
	if len(b) != 512+2*1024 || b[36] != 2 || b[0x210] != 2 || b[0x610] != 2 {
		t.Errorf("%d bytes, chunks %d %d", len(b), b[36], b[0x210])
	}
	again := mustRead(t, b)
	if problems, _ := again.Judge(amt.Version{}); len(problems) > 0 || len(again.Records) != 2 || len(again.Records[0].Variables) != 6 {
		t.Errorf("%v", problems)
	}
	if !bytes.Equal(again.Bytes(), b) {
		t.Error("changed by reading and writing")
	}
	if _, err := Build(V10, nil, Options{}); err == nil {
		t.Error("a file without records was built")
	}
	if _, err := Build(V10, [][]Variable{FromKeys(row(intelPID, intelPPS))}, Options{Keep: true}); err == nil {
		t.Error("a 1.0 file that keeps its records was built")
	}
}

// TestParse: what Words says can be given to Parse, and the bytes are those of the reference.
func TestParse(t *testing.T) {
	for _, c := range []struct{ key, value, bytes, words string }{
		{"2/17", "192.0.2.10", "0a0200c0", "192.0.2.10"},
		{"2/18", "9971", "f326", "9971"},
		{"2/13", "enabled", "02", "enabled"},
		{"2/26", "255", "ff", "for everything"},
		{"2/30", "65535", "ffff0000", "65535"},
		{"2/34", "one-time session", "04000000", "one-time session"},
		{"2/3", "corp.example", hex.EncodeToString([]byte("corp.example")), "corp.example"},
		{"2/10", "3", "03", "SOL, IDE-R"},
		{"2/8", "sha1:" + strings.Repeat("0f", 20) + ":Root", "01" + strings.Repeat("0f", 20) + "04526f6f74", "SHA-1 " + strings.Repeat("0f", 20) + ` "Root"`},
		{"2/20", "aabb", "aabb", "hex aabb"},
	} {
		v, err := Parse(c.key, c.value)
		if err != nil || hex.EncodeToString([]byte(v.Value.Reveal())) != c.bytes || v.Words(false) != c.words {
			t.Errorf("%s=%s: %x, %q, %v", c.key, c.value, v.Value.Reveal(), v.Words(false), err)
		}
	}
	for _, c := range [][2]string{{"2/13", "0"}, {"2/13", "3"}, {"2/30", "70000"}, {"2/18", "0"}, {"2/18", "70000"}, {"2/16", "1"}, {"2/17", "::1"}, {"2", "x"},
		{"2/3", ""}, {"2/11", strings.Repeat("h", 64)}, {"1/6", "aa"}, {"2/8", "sha1:aa:x"}, {"0/1", "aa"}, {"2/25", "perhaps"}, {"2/3", "a\x00"}} {
		if v, err := Parse(c[0], c[1]); err == nil {
			t.Errorf("%s=%s was taken as %x", c[0], c[1], v.Value.Reveal())
		}
	}
}

func TestPasswordFault(t *testing.T) {
	for p, good := range map[string]bool{"P@ssw0rd": true, "HeyH0Password!": true, "Pass_w0rd": false, "Pass w0rd": false, "Sh0rt!": false,
		"noupper1!": false, "NOLOWER1!": false, "NoDigits!": false, "P@ss,w0rd": false, `P@ss"w0rd`: false, "P@ss:w0rd": false, "Pässw0rd!": false,
		"Aa1!" + strings.Repeat("x", 28): true, "Aa1!" + strings.Repeat("x", 29): false} {
		if got := PasswordFault(amt.NewSecret(p)); (got == "") != good {
			t.Errorf("%q: %q", p, got)
		}
	}
	made, err := keys.Password(rand.Reader)
	if err != nil || PasswordFault(made) != "" || makerForbids(made) {
		t.Errorf("the password that we make %s", PasswordFault(made))
	}
}

// TestNothingIsPrinted: a file holds secrets in several places, and no verb shows them.
func TestNothingIsPrinted(t *testing.T) {
	f := mustRead(t, append(sample(t), "P@ssw0rd"...))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if s := fmt.Sprintf(verb, *f); strings.Contains(s, intelPPS) || strings.Contains(s, "P@ssw0rd") || strings.Contains(s, hex.EncodeToString([]byte("P@ssw0rd"))) {
			t.Errorf("%s shows a secret", verb)
		}
	}
	v := Variable{Module: 2, ID: 1, Value: amt.NewSecret(intelPPS)}
	if v.Words(false) != "[secret]" {
		t.Error("a PPS in the place of the PID is shown")
	}
}

// TestLyingCounts: counts of a small file allocate nothing.
func TestLyingCounts(t *testing.T) {
	b := sample(t)
	copy(b[28:], "\xff\xff\xff\x7f\xff\xff\xff\x7f\xff\xff")
	copy(b[16:], "\xff\xff\xff\xff")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f := mustRead(t, b)
	f.Judge(amt.Version{})
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d bytes were allocated for a file of %d", grown, len(b))
	}
}

// FuzzRead: no panic, no loss, nothing outside the file.
func FuzzRead(f *testing.F) {
	f.Add(sample(f))
	if b, err := Build(V40, [][]Variable{scrambledVars(f)}, Options{Keep: true, Scramble: true}); err == nil {
		f.Add(b.Bytes())
	}
	b := sample(f)
	copy(b[16:], "\xff\xff")
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := Read(b)
		if err != nil {
			return
		}
		if !bytes.Equal(x.Bytes(), b) {
			t.Fatal("changed by reading and writing")
		}
		problems, notes := x.Judge(amt.Version{})
		for _, p := range slices.Concat(problems, notes) {
			if p.Offset == nil || *p.Offset < 0 || *p.Offset > len(b) {
				t.Fatalf("place of %+v", p)
			}
		}
		for _, r := range x.Records {
			for _, v := range r.Variables {
				_ = v.Words(true)
			}
		}
		x.Keys()
		if x.Mend() {
			if again, err := Read(x.Bytes()); err != nil || len(again.Records) != len(x.Records) {
				t.Fatal("mending lost records")
			}
		}
	})
}

func Example() {
	f, err := Build(V20, [][]Variable{FromKeys(keys.Row{
		Pair:          keys.Pair{PID: "0000037M", PPS: amt.NewSecret("NKLDG5DCRRNQE9YZZIJL7LFLVJED69XJ")},
		AdminPassword: amt.NewSecret("P@ssw0rd"),
	})}, Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	again, _ := Read(f.Bytes())
	for _, v := range again.Records[0].Variables {
		fmt.Println(v.Key(), v.Name()+":", v.Words(false))
	}
	// Output:
	// 1/1 current MEBx password: [secret]
	// 1/2 new MEBx password: [secret]
	// 2/1 PID: 0000037M
	// 2/2 PPS: [secret]
}

// TestManySmallVariables: a file made of nothing but empty unknown variables costs a bounded multiple
// of its size, and its notes end.
func TestManySmallVariables(t *testing.T) {
	b := sample(t)[:512]
	record := append([]byte{}, sample(t)[512:1024]...)
	clear(record[recordHeader:])
	for i := recordHeader; i+entryHeader <= len(record); i += entryHeader {
		record[i], record[i+2] = 1, 0x99
	}
	const n = 4000
	b = append(b, bytes.Repeat(record, n)...)
	le.PutUint32(b[28:], n)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f := mustRead(t, b)
	problems, notes := f.Judge(amt.Version{})
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 100*uint64(len(b)) {
		t.Errorf("%d bytes were allocated for a file of %d", grown, len(b))
	}
	for _, list := range [][]amt.Problem{problems, notes} {
		if len(list) != maxListed+1 || list[maxListed].Code != CodeMore {
			t.Errorf("%d entries, the last is %v", len(list), list[len(list)-1])
		}
	}
}
