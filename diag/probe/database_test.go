package probe

import (
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/keys"
	"amtmedic/amt/store"
)

var (
	caseUUID  = mustUUID("4c4c4544-0058-3910-8059-b7c04f4b5a31")
	otherUUID = mustUUID("03020100-0504-0706-0809-0a0b0c0d0e0f")
	moment    = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
)

func mustUUID(s string) amt.UUID {
	u, err := amt.ParseUUID(s)
	if err != nil {
		panic(err)
	}
	return u
}

// values runs all probes of a database and gives the value of each key.
func values(t *testing.T, d DB) map[string]any {
	t.Helper()
	out := map[string]any{}
	for _, p := range Database(d) {
		if p.Needs != "" {
			continue
		}
		r, err := run(t, p)
		if err != nil {
			t.Fatalf("%s: %v", p.ID, err)
		}
		for _, f := range r.facts {
			out[f.Key] = f.Value
		}
	}
	return out
}

func pairs(t *testing.T) []store.Pair {
	t.Helper()
	var out []store.Pair
	random := rand.NewChaCha8([32]byte{1})
	for range 3 {
		k, err := keys.Generate(random)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, store.Pair{PID: k.PID, PPS: k.PPS})
	}
	return out
}

func TestDatabase(t *testing.T) {
	file := filepath.Join(t.TempDir(), "core.db")
	// Neither a whole second nor a whole number of them passes: a log row and a queue entry may lie closer.
	now := moment.Add(123 * time.Millisecond)
	s, err := store.Open(t.Context(), file, store.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	ps := pairs(t)
	if _, err := s.ImportKeys(t.Context(), ps); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ImportMap(t.Context(), []store.MapRow{{UUID: caseUUID.Swapped(), FQDN: "pc-0412.corp.example", Source: "test"}}); err != nil {
		t.Fatal(err)
	}
	mistyped := amt.PID(string(ps[0].PID[:6]) + "00")
	for i, h := range []store.Hello{
		{From: netip.MustParseAddrPort("10.20.0.7:16994"), Version: 2, UUID: caseUUID, PID: mistyped},
		{From: netip.MustParseAddrPort("10.20.0.9:16994"), Version: 2, UUID: otherUUID, PID: ps[1].PID},
	} {
		if _, err := s.RecordHello(t.Context(), h); err != nil {
			t.Fatalf("hello %d: %v", i, err)
		}
	}
	now = now.Add(90*time.Second + 400*time.Millisecond)
	clock := func() time.Time { return now }

	got := values(t, DB{Target: file, UUID: caseUUID, PID: mistyped, Now: clock})
	want := map[string]any{"db.reach": true, "db.auth": true, "db.exists": true, "db.config": "row", "db.profiles": []any{"default"},
		"db.pid_rows": map[string]any{"total": 3.0, "unused": 3.0}, "db.queue_length": 1.0, "db.queue_idle_s": 90.4, "fleet.last_change_s": 90.4,
		"srv.params_from": "script", "srv.tls_mode": "off", "srv.uuid_policy": "any", "srv.rcfg_enabled": true, "srv.retry_s": 3600.0,
		"db.pid_map": "none", "db.amts": map[string]any{"uuid": caseUUID.String(), "state": "unprovisioned", "age_s": 90.4},
		"db.uuid_map": "none", "db.uuid_map_swapped": map[string]any{"fqdn": "pc-0412.corp.example", "age_s": 90.4},
		"db.profile": map[string]any{"uuid": caseUUID.String(), "name": "default"}, "db.queue": "none"}
	for k, v := range want {
		if !reflect.DeepEqual(got[k], v) {
			t.Errorf("%s: got %v, want %v", k, got[k], v)
		}
	}
	if d, _ := got["db.delayed"].(map[string]any); d["reason"] != store.ReasonPIDUnknown || d["age_s"] != 90.4 {
		t.Errorf("db.delayed: %v", got["db.delayed"])
	}
	written := moment.Add(123 * time.Millisecond).Format(time.RFC3339Nano)
	if l, _ := got["srv.log"].([]any); len(l) != 1 || l[0].(map[string]any)["at"] != written {
		t.Errorf("srv.log: %v", got["srv.log"])
	}

	got = values(t, DB{Target: file, UUID: otherUUID, PID: ps[1].PID, Now: clock})
	if v := got["db.pid_map"]; !reflect.DeepEqual(v, map[string]any{"pid": string(ps[1].PID), "used": false, "age_s": 90.4}) {
		t.Errorf("db.pid_map: %v", v)
	}
	if q, _ := got["db.queue"].(map[string]any); q["age_s"] != 90.4 {
		t.Errorf("db.queue: %v", got["db.queue"])
	}
	if got["db.delayed"] != "none" {
		t.Errorf("db.delayed: %v", got["db.delayed"])
	}
}

func TestDatabaseMissing(t *testing.T) {
	r, err := run(t, Database(DB{Target: filepath.Join(t.TempDir(), "none.db")})[0])
	if err == nil || len(r.facts) != 2 || r.facts[0].Value != true || r.facts[1].Key != "db.exists" || r.facts[1].Value != false {
		t.Errorf("facts %v, error %v", r.facts, err)
	}
	for _, p := range Database(DB{}) {
		if p.Needs == "" {
			t.Errorf("%s can run without a database", p.ID)
		}
	}
	for _, p := range Database(DB{Target: "x.db"})[1:] {
		if p.Needs == "" {
			t.Errorf("%s can run without UUID or PID", p.ID)
		}
	}
}
