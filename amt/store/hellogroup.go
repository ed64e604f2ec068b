package store

import (
	"slices"
	"strings"
)

// recordGroup does what run does, for the hellos of different clients at once: a few statements over
// all of them instead of a few for each. What is usual, a new client and one that is queued already, is
// done for the group; the others go one by one. Device rows are touched first, in the order of their
// UUIDs, so that two groups never wait for each other.
func (t *tx) recordGroup(group []*recording) error {
	slices.SortFunc(group, func(a, b *recording) int { return strings.Compare(a.uuid, b.uuid) })
	if err := t.touchClients(group); err != nil {
		return err
	}
	pids, err := t.knownPIDs(group)
	if err != nil {
		return err
	}
	waiting, err := t.waitingOf(group)
	if err != nil {
		return err
	}
	var fresh, told []*recording
	for _, r := range group {
		r.t = t
		kind, queued := waiting[r.uuid]
		switch {
		case r.retired:
			err = r.decide()
		case r.h.Version != 3 && (r.h.Version != 2 || !pids[string(r.h.PID)]):
			err = r.decide()
		case r.out.New:
			r.out.Action = Queued
			fresh, told = append(fresh, r), append(told, r)
		case queued && kind == int(r.h.Version):
			r.out.Action = Waiting
			if r.worthLogging() {
				told = append(told, r)
			}
		default:
			err = r.decide()
		}
		if err != nil {
			return err
		}
	}
	if err := t.queueClients(fresh); err != nil {
		return err
	}
	return t.logHellos(told)
}

// touchClients writes the device rows.
func (t *tx) touchClients(group []*recording) error {
	byUUID := make(map[string]*recording, len(group))
	for _, r := range group {
		byUUID[r.uuid] = r
	}
	for part := range t.e.chunks(group) {
		rows := t.e.rows("text", "text", "text", "bigint", "bigint", "bigint", "bigint")
		for _, r := range part {
			rows.add(r.uuid, r.h.From.Addr().Unmap().WithZone("").String(), r.pid(), int64(r.h.Version), r.now, r.now, r.now)
		}
		err := t.each(`INSERT INTO csti_amts (uuid, ip, pid, hello_version, first_hello_us, last_hello_us, changed_us) `+rows.source()+touchAgain,
			rows.args(), func(scan func(...any) error) error {
				var uuid string
				var hellos int64
				var retired bool
				if err := scan(&uuid, &hellos, &retired); err != nil {
					return err
				}
				r := byUUID[uuid]
				r.retired = retired
				r.out = Outcome{Hellos: hellos, New: hellos == 1}
				return nil
			})
		if err != nil {
			return err
		}
	}
	return nil
}

// knownPIDs gives those PIDs of a group that have a pair.
func (t *tx) knownPIDs(group []*recording) (map[string]bool, error) {
	var asked []string
	for _, r := range group {
		if r.h.Version == 2 {
			asked = append(asked, string(r.h.PID))
		}
	}
	known := map[string]bool{}
	for part := range slices.Chunk(asked, t.e.chunk) {
		err := t.in(`SELECT pid FROM csti_pid_map WHERE pid IN `, part, func(scan func(...any) error) error {
			var pid string
			err := scan(&pid)
			known[pid] = true
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return known, nil
}

// waitingOf gives the kinds of the queue entries of a group that no worker has.
func (t *tx) waitingOf(group []*recording) (map[string]int, error) {
	var old []string
	for _, r := range group {
		if !r.out.New {
			old = append(old, r.uuid)
		}
	}
	kinds := map[string]int{}
	for part := range slices.Chunk(old, t.e.chunk) {
		err := t.in(`SELECT uuid, kind FROM csto_queue_entries WHERE claimed_by IS NULL AND uuid IN `, part, func(scan func(...any) error) error {
			var uuid string
			var kind int
			err := scan(&uuid, &kind)
			kinds[uuid] = kind
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return kinds, nil
}

// in runs a query that ends with IN for a list of words.
func (t *tx) in(query string, words []string, fn func(scan func(...any) error) error) error {
	rows := t.e.rows("text")
	for _, w := range words {
		rows.add(w)
	}
	return t.each(query+"("+rows.source()+")", rows.args(), fn)
}

func (t *tx) queueClients(group []*recording) error {
	for part := range t.e.chunks(group) {
		rows := t.e.rows("text", "bigint", "bigint", "bigint")
		for _, r := range part {
			rows.add(r.uuid, int64(r.h.Version), int64(0), r.now)
		}
		if err := t.exec(t.e.insert()+`csto_queue_entries (uuid, kind, attempts, enqueued_us) `+rows.source(), rows.args()...); err != nil {
			return err
		}
	}
	return nil
}

// logHellos writes the log rows. That of a first hello is marked, which keeps it out of the index by UUID:
// an entry there costs a page for each client of a group.
func (t *tx) logHellos(group []*recording) error {
	for part := range t.e.chunks(group) {
		rows := t.e.rows("bigint", "text", "bigint", "text", "text", "bigint")
		for _, r := range part {
			r.out.Logged = true
			rows.add(r.now, r.uuid, int64(SeverityInfo), "hello", r.words(), r.first())
		}
		if err := t.exec(t.e.insert()+`csti_log (at_us, uuid, severity, code, detail, first_hello) `+rows.source(), rows.args()...); err != nil {
			return err
		}
	}
	return nil
}
