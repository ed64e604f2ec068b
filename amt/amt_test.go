package amt

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestUUID(t *testing.T) {
	u, err := ParseUUID("4C4C4544-0058-3910-8059-B7C04F4B5A31")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x", u.Wire()); got != "44454c4c580010398059b7c04f4b5a31" {
		t.Errorf("wire form %s", got)
	}
	if UUIDFromWire(u.Wire()) != u {
		t.Error("wire form does not read back")
	}
	if u.String() != "4c4c4544-0058-3910-8059-b7c04f4b5a31" {
		t.Errorf("text form %s", u)
	}
	for _, bad := range []string{"", "4c4c4544", "4c4c4544-0058-3910-8059-b7c04f4b5a3g", "4c4c4544+0058-3910-8059-b7c04f4b5a31", strings.Repeat("x", 500)} {
		if _, err := ParseUUID(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	s := NewSecret("NKLDG5DC")
	js, err := json.Marshal(map[string]any{"a": s, "b": &s, "c": []Secret{s}})
	if err != nil {
		t.Fatal(err)
	}
	type deep struct{ inner struct{ s Secret } }
	inside := deep{}
	inside.inner.s = s
	all := fmt.Sprintf("%v %+v %#v %s", inside, &inside, inside, []any{inside}) + string(js) + fmt.Sprintf("%v %s %q %x %d %+v %#v %v", s, s, s, s, s, s, s, struct{ S Secret }{s})
	if strings.Contains(all, "NKLD") || strings.Contains(all, fmt.Sprintf("%x", "NKLD")) {
		t.Errorf("secret printed: %s", all)
	}
}

func TestVersion(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"3.2.1", "3.2", 1}, {"3.2", "3.2.0", 0}, {"16.1.27", "9.0", 1}, {"2.0", "2.6", -1}} {
		a, _ := ParseVersion(c.a)
		b, _ := ParseVersion(c.b)
		if got := a.Compare(b); got != c.want {
			t.Errorf("%s against %s: %d", c.a, c.b, got)
		}
	}
	for _, bad := range []string{"", "x", "1.2.3.4.5", "-1", "1..2"} {
		if v, err := ParseVersion(bad); err == nil {
			t.Errorf("%q read as %s", bad, v)
		}
	}
}
