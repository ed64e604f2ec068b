package inventory

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// id is a UUID whose byte order can be told.
func id(n byte) amt.UUID { return amt.UUID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, n} }

func ours() []store.FleetRow {
	at := time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)
	mapped := func(n byte, fqdn, profile string) store.FleetRow {
		return store.FleetRow{UUID: id(n), Mapped: true, MapFQDN: fqdn, MapProfile: profile, FQDN: fqdn, Profile: profile, Hello: true, State: store.Provisioned, Method: amt.PKI, AMTVersion: "9.0.1", IP: "10.20.0.7", LastHello: at}
	}
	retired := mapped(4, "old.corp.example", "")
	retired.Mapped, retired.MapFQDN, retired.Retired, retired.ReplacedBy = false, "", at, id(1)
	return []store.FleetRow{mapped(1, "a.corp.example", ""), mapped(2, "b.corp.example", "office"), {UUID: id(3), Hello: true, State: store.Unprovisioned}, retired}
}

func TestPlan(t *testing.T) {
	for _, c := range []struct {
		name, csv string
		want      string // changes, then codes of conflicts
		same      int
		ignored   int
	}{
		{"same in other letters", "UUID;Host Name\n{" + strings.ToUpper(id(1).String()) + "};A.Corp.Example.\n", "", 1, 0},
		{"new, with profile", "uuid,fqdn,profile\n" + id(9).String() + ",n.corp.example,office\n", id(9).String() + " gets the name n.corp.example, profile office", 0, 0},
		{"renamed, keeps its profile", "uuid,fqdn,profile\n" + id(2).String() + ",c.corp.example,\n", id(2).String() + ": b.corp.example becomes c.corp.example", 0, 0},
		{"found by name", "uuid,fqdn,profile\n,b.corp.example,default\n", id(2).String() + " b.corp.example: profile office becomes profile default", 0, 0},
		{"client without a row", "uuid,fqdn\n" + id(3).String() + ",c.corp.example\n", id(3).String() + " gets the name c.corp.example, the default profile", 0, 0},
		{"names change hands", "uuid,fqdn\n" + id(1).String() + ",b.corp.example\n" + id(2).String() + ",a.corp.example\n",
			id(1).String() + ": a.corp.example becomes b.corp.example | " + id(2).String() + ": b.corp.example becomes a.corp.example", 0, 0},
		{"name of another", "uuid,fqdn\n" + id(9).String() + ",a.corp.example\n", "name-taken", 0, 0},
		{"name that stays after all", "uuid,fqdn,profile\n" + id(9).String() + ",a.corp.example,\n" + id(1).String() + ",z.corp.example,nonesuch\n", "profile-unknown name-taken", 0, 0},
		{"byte order", "uuid,fqdn\n" + id(1).Swapped().String() + ",n.corp.example\n", "uuid-swapped", 0, 0},
		{"profile", "uuid,fqdn,profile\n" + id(9).String() + ",n.corp.example,nonesuch\n", "profile-unknown", 0, 0},
		{"UUID twice", "uuid,fqdn\n" + id(9).String() + ",n.corp.example\n" + id(9).String() + ",m.corp.example\n", id(9).String() + " gets the name n.corp.example, the default profile | twice", 0, 0},
		{"name twice", "uuid,fqdn\n" + id(8).String() + ",n.corp.example\n" + id(9).String() + ",N.corp.example\n", id(8).String() + " gets the name n.corp.example, the default profile | twice", 0, 0},
		{"retired here", "uuid,fqdn\n" + id(4).String() + ",n.corp.example\n", "retired", 0, 0},
		{"retired on both sides", "uuid,fqdn,state\n" + id(4).String() + ",old.corp.example,retired\n", "", 0, 1},
		{"no UUID", "uuid,fqdn\nnonsense,n.corp.example\n00000000-0000-0000-0000-000000000000,m.corp.example\n", "uuid uuid", 0, 0},
		{"no name", "uuid,fqdn,profile\n" + id(3).String() + ",,office\n" + id(3).String() + ",,\n", "fqdn", 0, 1},
		{"no computer's name", "uuid,fqdn\n" + id(3).String() + ",<script>\n", "fqdn", 0, 0},
	} {
		rows, problems, err := Read([]byte(c.csv))
		if err != nil || len(problems) > 0 {
			t.Fatalf("%s: %v %v", c.name, problems, err)
		}
		m := Plan(rows, ours(), []string{"default", "office"})
		var changes, codes []string
		for _, x := range m.Changes {
			changes = append(changes, Words(x))
		}
		for _, p := range m.Conflicts {
			codes = append(codes, p.Code)
		}
		got := strings.Join(slices.DeleteFunc([]string{strings.Join(changes, " | "), strings.Join(codes, " ")}, func(s string) bool { return s == "" }), " | ")
		if got != c.want || m.Same != c.same || m.Ignored != c.ignored {
			t.Errorf("%s: %q, same %d, ignored %d; want %q; %v", c.name, got, m.Same, m.Ignored, c.want, m.Conflicts)
		}
	}
}

// What is written is read back, and merging it changes nothing.
func TestRoundTrip(t *testing.T) {
	var rows []Row
	for _, f := range ours() {
		rows = append(rows, FromFleet(f))
	}
	rows[1].Reason = "=1+1, \"quoted\"\nline"
	var asCSV, asJSON, asLines bytes.Buffer
	if err := WriteCSV(&asCSV, rows); err != nil {
		t.Fatal(err)
	}
	if err := WriteJSON(&asJSON, rows); err != nil {
		t.Fatal(err)
	}
	if err := WriteLines(&asLines, rows); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(asCSV.String(), ",=1") || strings.Contains(asCSV.String(), ",\"=1") {
		t.Error("a cell is a formula")
	}
	for name, b := range map[string][]byte{"CSV": asCSV.Bytes(), "JSON": asJSON.Bytes(), "lines": asLines.Bytes()} {
		got, problems, err := Read(b)
		if err != nil || len(problems) > 0 || len(got) != len(rows) {
			t.Fatalf("%s: %d rows, %v %v\n%s", name, len(got), problems, err, b)
		}
		for i, r := range got {
			if r.where = ""; r != rows[i] {
				t.Errorf("%s: %+v\nwant %+v", name, r, rows[i])
			}
		}
		if m := Plan(got, ours(), []string{"office"}); len(m.Changes)+len(m.Conflicts) > 0 || m.Same != 2 || m.Ignored != 2 {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestFilesThatAreNone(t *testing.T) {
	for _, text := range []string{"", "  ", "name,colour\na,b\n", "[1]", "{", "[{\"uuid\":\"x\"}", "uuid,name\nx,y\n"} {
		if rows, _, err := Read([]byte(text)); err == nil {
			t.Errorf("%q gives %+v", text, rows)
		}
	}
	rows, problems, err := Read([]byte("uuid,fqdn\na\"b,c\nx,y.example\n"))
	if err != nil || len(rows) != 1 || len(problems) != 1 || problems[0].Where != "line 2" || rows[0].where != "line 3" {
		t.Errorf("%+v %+v %v", rows, problems, err)
	}
}

func TestPush(t *testing.T) {
	columns := []string{"id", "Guid", "Computer Name", "amt_state", "amt_version", "IP Address", "last_hello"}
	at := "2026-11-25 08:00:00+00"
	cells := [][]string{
		{"1", strings.ToUpper(id(1).String()), "A.corp.example", "provisioned", "9.0.1", "10.20.0.7/32", at},
		{"2", "", "b.corp.example", "", "", "", ""},
		{"3", id(4).String(), "", "provisioned", "9.0.1", "10.20.0.7", at},
	}
	s, err := Push(columns, cells, ours())
	if err != nil || len(s.Conflicts) != 0 || s.New != 1 || s.Same != 1 {
		t.Fatalf("%+v %v", s, err)
	}
	var got []string
	for _, c := range s.Changes {
		got = append(got, SentWords(c))
	}
	want := []string{
		fmt.Sprintf(`Computer Name b.corp.example: Guid=%q, IP Address="10.20.0.7", amt_state="provisioned", amt_version="9.0.1", last_hello="2026-11-25T08:00:00Z"`, id(2)),
		fmt.Sprintf(`new row with Guid=%q, amt_state="unprovisioned"`, id(3)),
		fmt.Sprintf(`Guid %s: Computer Name="old.corp.example", amt_state="retired"`, id(4)),
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s\nwant %s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for name, c := range map[string]struct {
		cells [][]string
		want  string
	}{
		"name of another": {[][]string{{"1", id(9).String(), "a.corp.example"}}, CodeNameTaken},
		"name differs":    {[][]string{{"1", id(1).String(), "x.corp.example"}}, CodeNameDiffers},
		"byte order":      {[][]string{{"1", id(1).Swapped().String(), "x.corp.example"}}, CodeSwapped},
		"UUID twice":      {[][]string{{"1", id(1).String(), ""}, {"1", id(1).String(), ""}}, CodeTwice},
		"name twice":      {[][]string{{"1", "", "a.corp.example"}, {"1", "", "a.corp.example"}}, CodeTwice},
	} {
		if s, err := Push(columns[:3], c.cells, ours()[:1]); err != nil || len(s.Conflicts) != 1 || s.Conflicts[0].Code != c.want || len(s.Changes) != 0 {
			t.Errorf("%s: %+v %v", name, s, err)
		}
	}
	if _, err := Push([]string{"id"}, nil, nil); err == nil {
		t.Error("a table without UUIDs")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("uuid,fqdn,profile\n" + id(1).String() + ",a.corp.example,office\n"))
	f.Add([]byte(`[{"uuid":"` + id(1).String() + `","fqdn":"a.corp.example","state":3}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, problems, err := Read(b)
		if err != nil {
			return
		}
		m := Plan(rows, ours(), []string{"office"})
		if n := len(m.Changes) + len(m.Conflicts) + m.Same + m.Ignored; n != len(rows) {
			t.Fatalf("%d rows (%d problems) became %d", len(rows), len(problems), n)
		}
		names := map[string]bool{}
		for _, c := range m.Changes {
			if names[c.FQDN] || store.HostName(c.FQDN) != nil {
				t.Fatalf("a change that cannot be made: %+v", c)
			}
			names[c.FQDN] = true
		}
	})
}
