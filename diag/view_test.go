package diag_test

import (
	"reflect"
	"testing"
	"time"

	"amtmedic/diag"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func fact(minutes int, key string, value any) diag.Fact {
	f, err := diag.Make(diag.Fact{Key: key, Value: value})
	if err != nil {
		panic(err)
	}
	if minutes != 0 {
		f.At = noon.Add(time.Duration(minutes) * time.Minute)
	}
	return f
}

func TestNow(t *testing.T) {
	for _, c := range []struct {
		name  string
		facts []diag.Fact
		want  time.Time
	}{
		{"no fact", nil, noon},
		{"no time", []diag.Fact{fact(0, "db.reach", true)}, noon},
		{"the latest", []diag.Fact{fact(-90, "db.reach", true), fact(-60, "db.auth", true)}, noon.Add(-time.Hour)},
		{"an unknown value does not count", []diag.Fact{fact(-90, "db.reach", true), fact(-60, "db.auth", "unknown")}, noon.Add(-90 * time.Minute)},
		{"an unknown key does not count", []diag.Fact{fact(-90, "db.reach", true), fact(-60, "house.colour", "red")}, noon.Add(-90 * time.Minute)},
		{"later than the diagnosis", []diag.Fact{fact(30, "db.reach", true)}, noon.Add(30 * time.Minute)},
	} {
		if got := diag.NewView(c.facts, noon).Now(); !got.Equal(c.want) {
			t.Errorf("%s: now is %v, want %v", c.name, got, c.want)
		}
	}
}

func TestGet(t *testing.T) {
	syn := map[string]any{"dst": "10.1.0.10:9971"}
	at := func(v diag.Vantage, f diag.Fact) diag.Fact { f.Vantage = v; return f }
	for _, c := range []struct {
		name  string
		facts []diag.Fact
		key   string
		want  any // nil: not known
		clash int
	}{
		{"missing", nil, "db.reach", nil, 0},
		{"without a time it is of now", []diag.Fact{fact(-5, "db.reach", false), fact(-1, "db.auth", true), fact(0, "db.reach", true)}, "db.reach", true, 0},
		{"the latest", []diag.Fact{fact(-5, "db.reach", true), fact(-9, "db.reach", false)}, "db.reach", true, 0},
		{"an unknown later one hides nothing", []diag.Fact{fact(-5, "db.reach", true), fact(-1, "db.reach", "unknown")}, "db.reach", true, 0},
		{"contradicted", []diag.Fact{fact(-5, "db.reach", true), fact(-5, "db.reach", false)}, "db.reach", nil, 1},
		{"contradicted earlier", []diag.Fact{fact(-5, "db.reach", true), fact(-5, "db.reach", false), fact(-4, "db.reach", true)}, "db.reach", true, 0},
		{"contradicted from two places", []diag.Fact{at("client", fact(-5, "db.reach", true)), at("server", fact(-5, "db.reach", false))}, "db.reach", nil, 1},
		{"another side is another observation", []diag.Fact{at("third", fact(-5, "net.9971", "connect")), at("client", fact(-5, "net.9971", "refused"))}, "net.9971", "refused", 0},
		{"only another side", []diag.Fact{at("third", fact(-5, "net.9971", "connect"))}, "net.9971", nil, 0},
		{"a packet outweighs a none", []diag.Fact{fact(-5, "wire.client.syn", "none"), fact(-5, "wire.client.syn", syn)}, "wire.client.syn", syn, 0},
		{"a later none is the present", []diag.Fact{fact(-4, "wire.client.syn", "none"), fact(-5, "wire.client.syn", syn)}, "wire.client.syn", "none", 0},
		{"one name with two answers", []diag.Fact{fact(-5, "dns.client", map[string]any{"qname": "a.b", "rcode": "NXDOMAIN"}), fact(-5, "dns.client", map[string]any{"qname": "A.B.", "addr": []any{"10.0.0.1"}})},
			"db.reach", nil, 1},
	} {
		v := diag.NewView(c.facts, noon)
		f, known := v.Get(c.key)
		if known != (c.want != nil) || known && !reflect.DeepEqual(f.Value, c.want) || len(v.Contradictions()) != c.clash {
			t.Errorf("%s: %v %v with %d contradictions, want %v with %d", c.name, f.Value, known, len(v.Contradictions()), c.want, c.clash)
		}
	}
}

func TestEach(t *testing.T) {
	ask := func(minutes int, name, rcode, server string) diag.Fact {
		return fact(minutes, "dns.client", map[string]any{"qname": name, "rcode": rcode, "server": server})
	}
	v := diag.NewView([]diag.Fact{
		ask(-9, "a.example", "NXDOMAIN", "10.0.0.1"), ask(-5, "a.example", "NOERROR", "10.0.0.1"), // history and present
		ask(-5, "b.example", "NXDOMAIN", "10.0.0.1"), ask(-5, "b.example", "NXDOMAIN", "10.0.0.2"), // two resolvers agree
		ask(-5, "c.example", "NXDOMAIN", "10.0.0.1"), ask(-5, "c.example", "NOERROR", "10.0.0.2"), // they do not
	}, noon)
	got := map[string]string{}
	for _, f := range v.Each("dns.client") {
		o := diag.ObjOf(f)
		got[o.Str("qname")] = o.Str("rcode")
	}
	if want := map[string]string{"a.example": "NOERROR", "b.example": "NXDOMAIN"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if len(v.Contradictions()) != 1 || len(v.Contradictions()[0].Facts) != 2 || len(v.All("dns.client")) != 6 {
		t.Errorf("contradictions %v of %d facts", v.Contradictions(), len(v.All("dns.client")))
	}
}

// TestWhose: whose case it is, and what is left out as somebody else's.
func TestWhose(t *testing.T) {
	const mine, other = "4c4c4544-0058-3910-8059-b7c04f4b5a31", "11111111-2222-3333-4444-555555555555"
	hello := func(minutes int, side, uuid, pid string) diag.Fact {
		return fact(minutes, "wire."+side+".hello", map[string]any{"version": 2, "uuid": uuid, "pid": pid})
	}
	row := fact(-1, "db.amts", map[string]any{"uuid": other, "state": "provisioned"})
	for _, c := range []struct {
		name      string
		facts     []diag.Fact
		uuid, pid string
		hasRow    bool
	}{
		{"stated", []diag.Fact{fact(-9, "client.uuid", mine), hello(-1, "server", other, "AAAABBBB"), row}, mine, "", false},
		{"as the client's own capture shows, not the server's", []diag.Fact{hello(-1, "server", other, "AAAABBBB"), hello(-9, "client", mine, "CCCCDDDD"), row}, mine, "CCCCDDDD", false},
		{"as the latest hello says", []diag.Fact{hello(-9, "server", mine, "CCCCDDDD"), hello(-1, "server", other, "AAAABBBB"), row}, other, "AAAABBBB", true},
		{"as the only row says", []diag.Fact{row}, other, "", true},
		{"contradicted", []diag.Fact{fact(-9, "client.uuid", mine), fact(-9, "client.uuid", other)}, "", "", false},
		{"the latest hello's PID goes before the label's", []diag.Fact{fact(-1, "client.uuid", mine), fact(-1, "client.pid", "EEEEFFFF"), hello(-2, "server", mine, "CCCCDDDD")}, mine, "CCCCDDDD", false},
		{"a hello of nobody known does not", []diag.Fact{fact(-1, "client.pid", "EEEEFFFF"), fact(-1, "wire.server.hello", map[string]any{"version": 2, "pid": "CCCCDDDD"})}, "", "EEEEFFFF", false},
		{"the label's", []diag.Fact{fact(-1, "client.pid", "EEEE-FFFF")}, "", "EEEEFFFF", false},
	} {
		v := diag.NewView(c.facts, noon)
		if v.UUID() != c.uuid || v.PID() != c.pid || v.Known("db.amts") != c.hasRow {
			t.Errorf("%s: %s %s %v, want %s %s %v", c.name, v.UUID(), v.PID(), v.Known("db.amts"), c.uuid, c.pid, c.hasRow)
		}
	}
}

func TestImply(t *testing.T) {
	v := diag.NewView([]diag.Fact{fact(-1, "client.mode", "1"), fact(-1, "client.mei", "ok")}, noon)
	v.Imply("client.enabled", false, "client.mode")
	v.Imply("client.mei", "no-me", "client.mode")     // known already
	v.Imply("client.nic", "nonsense", "client.mode")  // impossible
	v.Imply("no.such_key", "whatever", "client.mode") // not in the vocabulary
	if v.Truth("client.enabled") != diag.No || v.Source("client.enabled") != "client.mode" || v.Source("client.mei") != "client.mei" ||
		v.Str("client.mei") != "ok" || v.Known("client.nic") {
		t.Errorf("enabled %v of %s, mei %s, nic %v", v.Truth("client.enabled"), v.Source("client.enabled"), v.Str("client.mei"), v.Known("client.nic"))
	}
}

func TestHost(t *testing.T) {
	for in, want := range map[string]string{"10.0.0.1:80": "10.0.0.1", "[fd00::1]:80": "fd00::1", "fd00::1": "fd00::1", "ns1": "ns1", "": "", ":80": ""} {
		if got := diag.Host(in); got != want {
			t.Errorf("host of %q is %q, want %q", in, got, want)
		}
	}
}
