package keys

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"amtmedic/amt"
)

// Intel's published pair, and two more that were worked out by hand.
const (
	intelPID = "0000-037M"
	intelPPS = "NKLD-G5DC-RRNQ-E9YZ-ZIJL-7LFL-VJED-69XJ"
)

func TestCheck(t *testing.T) {
	zeros, fours := strings.Repeat("0", 32), strings.Repeat("4", 32)
	for _, c := range []struct {
		name, pid, pps string
		want           []string // code and place
	}{
		{"published by Intel", intelPID, intelPPS, nil},
		{"without dashes, lower case", "0000037m", strings.ToLower(strings.ReplaceAll(intelPPS, "-", "")), nil},
		{"dashes of a letter", "0000\u2013037M", strings.ReplaceAll(intelPPS, "-", "\u2011"), nil},
		{"digits only", "4444-4444", zeros, nil},
		{"letters in the sum", "0000-A01U", zeros, nil},
		{"pid of zeros ends in C", "0000-0000", zeros, []string{"pid-check pid"}},
		{"pid with a wrong end", "0000-0371", zeros, []string{"pid-check pid"}},
		{"all groups wrong", intelPID, fours, []string{
			"pps-check pps group 1", "pps-check pps group 2", "pps-check pps group 3", "pps-check pps group 4",
			"pps-check pps group 5", "pps-check pps group 6", "pps-check pps group 7", "pps-check pps group 8"}},
		{"one group wrong", intelPID, "NKLD-G5DC-RRNQ-E9YZ-ZIJL-7LFL-VJED-69XK", []string{"pps-check pps group 8"}},
		{"swap passes", "0000-307M", "KNLD-G5DC-RRNQ-E9YZ-ZIJL-7LFL-VJED-69XJ", nil},
		{"step of 36 passes", "T000-037M", intelPPS, nil},
		{"swap across groups does not", intelPID, "GKLD-N5DC-RRNQ-E9YZ-ZIJL-7LFL-VJED-69XJ", []string{"pps-check pps group 1", "pps-check pps group 2"}},
		{"short", "37M", "NKLD", []string{"pid-length pid", "pps-length pps"}},
		{"empty", "", "", []string{"pid-length pid", "pps-length pps"}},
		{"characters", "0000_37M", "NKL?" + zeros[4:], []string{"pid-characters pid", "pps-characters pps"}},
		{"not ASCII", "0000Ä37M", zeros, []string{"pid-characters pid"}},
	} {
		got := []string{}
		for _, p := range Check(c.pid, amt.NewSecret(c.pps)) {
			got = append(got, p.Code+" "+p.Where)
		}
		if !slices.Equal(got, append([]string{}, c.want...)) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestCheckKeepsTheSecret: no part of a PPS, and not the character that would be right.
func TestCheckKeepsTheSecret(t *testing.T) {
	for _, pps := range []string{strings.Repeat("QQQ7", 8), "QQQ", strings.Repeat("QQ?Q", 8), strings.Repeat("Q", 40)} {
		all := fmt.Sprintf("%+v", CheckPPS(amt.NewSecret(pps)))
		if strings.Contains(all, "Q") || strings.Contains(all, string(CheckChar("QQQ"))+" ") {
			t.Errorf("told: %s", all)
		}
	}
	if text := CheckPID("371")[0].Text; !strings.Contains(text, "spreadsheet") {
		t.Errorf("a PID that lost its zeros: %q", text)
	}
	if text := CheckPID("0000-0371")[0].Text; !strings.Contains(text, "ask for M") {
		t.Errorf("the PID is public, its end may be told: %q", text)
	}
	if !strings.Contains(Blind().Text, "order") || len(LowerCase("pid", "0000-037m")) != 1 || len(LowerCase("pid", intelPID)) != 0 {
		t.Error("notes")
	}
}

func TestParse(t *testing.T) {
	p, ps := Parse(" 0000-037m ", amt.NewSecret(intelPPS))
	if len(ps) > 0 || p.PID != "0000037M" || p.Dashed() != intelPPS || len(p.PPS.Reveal()) != 32 {
		t.Errorf("%v %v", p.PID, ps)
	}
	if _, ps = Parse("0000-0371", amt.NewSecret(intelPPS)); len(ps) != 1 {
		t.Errorf("%v", ps)
	}
}

func TestNear(t *testing.T) {
	const a = amt.PID("0O1I8B5S")
	for _, c := range []struct {
		b    amt.PID
		want bool
		why  string
	}{
		{"0O1I8B5S", false, "the same"},
		{"XO1I8B5S", true, "one character"},
		{"TO1I8B5S", true, "one character, a step of 36: passes the check"},
		{"XY1I8B5S", false, "two characters"},
		{"O01I8B5S", true, "neighbours swapped, look-alikes too"},
		{"0O1I8BS5", true, "the last two swapped"},
		{"O0I1B8S5", true, "look-alikes everywhere"},
		{"5O1I8B0S", true, "two swapped that are no neighbours"},
		{"1OI08B5S", false, "three moved round"},
		{"0O1I8B5", false, "short"},
		{"", false, "empty"},
	} {
		if Near(a, c.b) != c.want || Near(c.b, a) != c.want {
			t.Errorf("%s: %s", c.b, c.why)
		}
	}
}

func TestGenerate(t *testing.T) {
	seen := map[amt.PID]bool{}
	for range 2000 {
		p, err := Generate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if ps := Check(string(p.PID), p.PPS); len(ps) > 0 {
			t.Fatalf("generated %s has %v", p.PID, ps)
		}
		if seen[p.PID] {
			t.Errorf("%s twice", p.PID)
		}
		seen[p.PID] = true
	}
	if _, err := Generate(strings.NewReader("few")); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		t.Errorf("a source that ends: %v", err)
	}
}

// counter gives every byte value in turn, so that a mapping without bias draws each symbol equally
// often, and one that takes the remainder of 256 draws the first four more often.
type counter byte

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(*c)
		*c++
	}
	return len(p), nil
}

func TestDrawHasNoBias(t *testing.T) {
	var c counter
	s, err := draw(&c, alphabet, 252)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range alphabet {
		if n := strings.Count(s, string(r)); n != 7 {
			t.Errorf("%c drawn %d times of 252", r, n)
		}
	}
}

// TestPassword holds Intel's rule for a new MEBx password and HP's addition.
func TestPassword(t *testing.T) {
	for range 500 {
		s, err := Password(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		p := s.Reveal()
		kinds := strings.ContainsAny(p, "0123456789") && strings.ToLower(p) != p && strings.ToUpper(p) != p && strings.ContainsAny(p, "!$%.")
		if len(p) < 8 || len(p) > 32 || !kinds || strings.ContainsAny(p, `:,"'<>&_ yzYZ`) {
			t.Fatalf("%q breaks the rule", p)
		}
	}
}

func TestCSVRoundTrip(t *testing.T) {
	pair, _ := Parse(intelPID, amt.NewSecret(intelPPS))
	other, _ := Generate(rand.Reader)
	rows := []Row{
		{Pair: pair, ID: 7, CurrentPassword: amt.NewSecret("admin"), AdminPassword: amt.NewSecret(` P@ss, "w0rd;" `), Used: true},
		{Pair: other},
	}
	var b bytes.Buffer
	if err := WriteCSV(&b, rows); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(b.String(), Header+"\n7,0000037M,NKLDG5DC") || !strings.Contains(b.String(), "\n8,"+string(other.PID)) {
		t.Errorf("written as %s", b.String())
	}
	got, problems, err := ReadCSV(&b)
	if err != nil || len(problems) != 0 || len(got) != 2 {
		t.Fatalf("%d rows, %v, %v", len(got), problems, err)
	}
	rows[1].ID = 8
	for i, r := range rows {
		g := got[i]
		if g.PID != r.PID || g.ID != r.ID || g.Used != r.Used || !g.PPS.Equal(r.PPS) ||
			!g.CurrentPassword.Equal(r.CurrentPassword) || !g.AdminPassword.Equal(r.AdminPassword) {
			t.Errorf("row %d changed on the way", i+1)
		}
	}
}

func TestReadCSV(t *testing.T) {
	bare := strings.ReplaceAll(intelPPS, "-", "")
	for _, c := range []struct {
		name, text string
		rows       int
		want       []string
	}{
		{"windows, with a mark", "\xef\xbb\xbf" + Header + "\r\n1,0000037M," + bare + ",admin,x,0\r\n", 1, nil},
		{"other order and separator", "PPS;PID\n" + intelPPS + ";" + intelPID + "\n", 1, nil},
		{"tabs, no header", intelPID + "\t" + intelPPS + "\n", 1, nil},
		{"columns of the table, no header", "12345678,0000037M," + bare + ",admin,x,1\n", 1, nil},
		{"wrong group", Header + "\n1,0000037M," + bare[:31] + "K,,,0\n", 0, []string{"pps-check line 2, pps group 8"}},
		{"zeros lost", Header + "\n1,371," + bare + ",,,0\n", 0, []string{"pid-length line 2, pid"}},
		{"twice", "pid,pps\n" + intelPID + "," + bare + "\n0000037m," + bare + "\n", 1, []string{"duplicate-pid line 3"}},
		{"numbers", Header + "\nx,0000037M," + bare + ",,,2\n-1,0000037M," + bare + ",,,0\n", 0, []string{"id line 2", "used line 2", "id line 3"}},
		{"good after bad", "pid,pps\n\nfoo,bar\n" + intelPID + "," + bare + "\n", 1, []string{"pid-length line 3, pid", "pps-length line 3, pps"}},
		{"quote inside", "pid,pps\nab\"c,d\n" + intelPID + "," + bare + "\n", 1, []string{"line line 2"}},
		{"no key file", "hello world\nand more\n", 0, []string{"line line 1", "line line 2"}},
		{"header only", Header + "\n", 0, []string{"empty line 1"}},
		{"nothing", "", 0, []string{"empty line 1"}},
	} {
		rows, problems, err := ReadCSV(strings.NewReader(c.text))
		got := []string{}
		for _, p := range problems {
			got = append(got, p.Code+" "+p.Where)
		}
		if err != nil || len(rows) != c.rows || !slices.Equal(got, append([]string{}, c.want...)) {
			t.Errorf("%s: %d rows, %q, %v; want %d, %q", c.name, len(rows), got, err, c.rows, c.want)
		}
		for _, r := range rows {
			if r.PID != "0000037M" || r.PPS.Reveal() != bare {
				t.Errorf("%s: read %s", c.name, r.PID)
			}
		}
	}
	if _, _, err := ReadCSV(io.MultiReader(strings.NewReader("pid,pps\n"), iotest.ErrReader(io.ErrClosedPipe))); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a reader that fails: %v", err)
	}
}

// FuzzReadCSV: no panic; what is taken can be written and read again; no problem tells a secret.
func FuzzReadCSV(f *testing.F) {
	f.Add(Header + "\n1,0000037M,NKLDG5DCRRNQE9YZZIJL7LFLVJED69XJ,admin,P@ssw0rd,0\n")
	f.Add("PPS;PID\n" + intelPPS + ";" + intelPID + "\n")
	f.Add("\xef\xbb\xbf\"a\n\"b\n")
	f.Fuzz(func(t *testing.T, text string) {
		rows, problems, err := ReadCSV(strings.NewReader(text))
		if err != nil || (len(rows) == 0 && len(problems) == 0) {
			t.Fatalf("%d rows, %v, %v", len(rows), problems, err)
		}
		var b bytes.Buffer
		if err := WriteCSV(&b, rows); err != nil {
			t.Fatal(err)
		}
		if again, _, err := ReadCSV(&b); err != nil || len(again) != len(rows) {
			t.Fatalf("%d rows became %d, %v", len(rows), len(again), err)
		}
		for _, p := range problems {
			if p.Where == "" || p.Code == "" {
				t.Fatalf("problem %+v", p)
			}
		}
	})
}

func ExampleCheck() {
	for _, p := range Check("0000-0371", amt.NewSecret("NKLD-G5DC-RRNQ-E9YZ-ZIJL-7LFL-VJED-69XK")) {
		fmt.Println(p.Where+":", p.Text)
	}
	// Output:
	// pid: the check character of 0000-0371 is 1, the seven before it ask for M: at least one of the eight is wrong
	// pps group 8: the check character of group 8 of the PPS (characters 29 to 32) does not fit: at least one of the four is wrong
}
