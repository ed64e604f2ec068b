package store

import (
	"strings"
	"testing"

	"amtmedic/amt"
)

func TestReadMap(t *testing.T) {
	const good = "4c4c4544-0058-3910-8059-b7c04f4b5a31"
	for _, c := range []struct {
		name, in string
		rows     int
		where    string // of the problems
	}{
		{"with a byte order mark and CRLF", "\xef\xbb\xbfUUID,FQDN,profile\r\n{" + strings.ToUpper(good) + "},PC1.corp.example.,default\r\n", 1, ""},
		{"without profile", "uuid,fqdn\n" + good + ",pc1\n", 1, ""},
		{"twice", "uuid,fqdn,profile\n" + good + ",pc1,\n" + good + ",pc2,\n", 1, "line 3"},
		{"no name", "uuid,fqdn,profile\n" + good + ",,\n", 0, "line 2"},
		{"impossible name", "uuid,fqdn,profile\n" + good + ",pc 1,\n" + good + ",-pc1.corp,\n" + good + ",pc1..corp,\n", 0, "line 2 line 3 line 4"},
		{"broken quotes, then a good line", "uuid,fqdn,profile\na\"b,c\n" + good + ",pc1,\n", 1, "line 2"},
	} {
		rows, problems, err := ReadMap([]byte(c.in))
		var where []string
		for _, p := range problems {
			where = append(where, p.Where)
		}
		if err != nil || len(rows) != c.rows || strings.Join(where, " ") != c.where {
			t.Errorf("%s: %d rows, problems %v, %v", c.name, len(rows), problems, err)
		}
		if len(rows) == 1 && (rows[0].UUID.String() != good || !strings.HasPrefix(rows[0].FQDN, "pc1")) {
			t.Errorf("%s: %+v", c.name, rows[0])
		}
	}
	for _, bad := range []string{"", "\n", "id,pid,pps\n", "fqdn,uuid\n"} {
		if _, _, err := ReadMap([]byte(bad)); err == nil {
			t.Errorf("%q was taken as a UUID map", bad)
		}
	}
}

func FuzzReadMap(f *testing.F) {
	f.Add([]byte("uuid,fqdn,profile\n4c4c4544-0058-3910-8059-b7c04f4b5a31,pc1.corp.example,default\n"))
	f.Add([]byte("uuid,fqdn\n\"a\nb\",c\n\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, _, err := ReadMap(b)
		seen := map[amt.UUID]bool{}
		for _, r := range rows {
			if err != nil || seen[r.UUID] || HostName(r.FQDN) != nil {
				t.Errorf("%+v %v", r, err)
			}
			seen[r.UUID] = true
		}
	})
}
