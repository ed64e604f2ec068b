package store

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"amtmedic/amt"
)

// A group of hellos leaves what the same hellos leave one by one: rows and outcomes.
func TestGroupIsAsOneByOne(t *testing.T) {
	together, single := fresh(t), fresh(t)
	for _, s := range []*Store{together, single} {
		if _, err := s.ImportKeys(t.Context(), []Pair{intelPair()}); err != nil {
			t.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(11, 11))
	for round := range 30 {
		var group []*recording
		for _, i := range random.Perm(60)[:random.IntN(59)+2] {
			h := Hello{From: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 20, byte(round), byte(i)}), 16994), UUID: amt.UUID{1, byte(i)}}
			switch random.IntN(8) {
			case 0:
				h.Version = 7
			case 1:
				h.Version, h.PID = 2, "00000000"
			case 2, 3:
				h.Version, h.PID = 2, goodPID
			default:
				h.Version = 3
			}
			group = append(group, &recording{h: h, uuid: h.UUID.String(), now: int64(1000 + round)})
		}
		want := map[string]Outcome{}
		for _, g := range group {
			r := &recording{h: g.h, uuid: g.uuid, now: g.now}
			if err := single.write(t.Context(), func(x *tx) error { r.t = x; return r.run() }); err != nil {
				t.Fatal(err)
			}
			want[r.uuid] = r.out
		}
		if err := together.write(t.Context(), func(x *tx) error { return x.recordGroup(group) }); err != nil {
			t.Fatal(err)
		}
		for _, r := range group {
			if r.out != want[r.uuid] {
				t.Errorf("round %d, %s: %+v, one by one %+v", round, r.uuid, r.out, want[r.uuid])
			}
		}
		if round == 10 { // some go out of service
			for _, s := range []*Store{together, single} {
				if err := s.write(t.Context(), func(x *tx) error {
					return x.exec(`UPDATE csti_amts SET retired_us=1000 WHERE uuid>'01300000'`)
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if round%3 == 0 { // a worker takes some of them, the same ones from both
			for _, s := range []*Store{together, single} {
				if err := s.write(t.Context(), func(x *tx) error {
					return x.exec(`UPDATE csto_queue_entries SET claimed_by=CASE WHEN claimed_by IS NULL THEN 'w' END WHERE uuid<'0c'`)
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if a, b := dump(t, together), dump(t, single); a != b {
		t.Errorf("in groups:\n%s\none by one:\n%s", a, b)
	}
}

// dump gives the rows of the tables that hellos change.
func dump(t *testing.T, s *Store) (out string) {
	t.Helper()
	for _, q := range []string{
		`SELECT uuid || ' ' || ip || ' ' || coalesce(pid, '-') || ' ' || hello_version || ' ' || first_hello_us || ' ' || last_hello_us || ' ' || changed_us || ' ' || hellos || ' ' || state || ' ' || coalesce(last_error, '-') FROM csti_amts ORDER BY uuid`,
		`SELECT uuid || ' ' || kind || ' ' || attempts || ' ' || enqueued_us || ' ' || again || ' ' || coalesce(claimed_by, '-') FROM csto_queue_entries ORDER BY uuid`,
		`SELECT uuid || ' ' || kind || ' ' || attempts || ' ' || due_us || ' ' || reason FROM csto_delayed_entries ORDER BY uuid`,
		`SELECT at_us || ' ' || coalesce(uuid, '-') || ' ' || severity || ' ' || code || ' ' || detail FROM csti_log WHERE code<>'import' ORDER BY at_us, uuid, code, detail`,
	} {
		if err := s.write(t.Context(), func(x *tx) error {
			rows, err := x.column(q)
			out += fmt.Sprintln(len(rows))
			for _, r := range rows {
				out += r + "\n"
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
