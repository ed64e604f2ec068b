package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"amtmedic/amt"
)

// Hello is what the server keeps of one hello message.
type Hello struct {
	From           netip.AddrPort // TCP peer: the only address a hello has
	Version        uint16         // 2 psk, 3 pki, others are kept with their UUID
	CredentialsSet bool
	Retry          uint32
	UUID           amt.UUID
	PID            amt.PID // version 2 only
	Hashes         int     // version 3 only: number of root hashes
}

// Action is what a hello changed for its client.
type Action string

// The actions of RecordHello.
const (
	Queued   Action = "queued"   // a new queue entry
	Promoted Action = "promoted" // a delayed entry became a queue entry
	Waiting  Action = "waiting"  // it was queued already; counters only
	Again    Action = "again"    // a worker is at it; it will look again
	Delayed  Action = "delayed"  // no key for its PID; Outcome.Reason tells
	Late     Action = "late"     // its client was provisioned after it was received; counters only
	Kept     Action = "kept"     // unknown version, or a retired client: the client is noted, nothing is queued
)

// Outcome tells what RecordHello did.
type Outcome struct {
	Action Action
	Reason string // of the delayed entry: catalogue id and words
	New    bool   // the UUID was never seen before
	Hellos int64  // how many hellos of this UUID are recorded now
	Logged bool   // a log row was written: something changed, or it is one of many repeats
}

// ReasonPIDUnknown is the reason of a delayed entry that waits for the key of its PID.
const ReasonPIDUnknown = "rc-pid-unknown: failed to find PID mapping"

// namelessReasons begin the reasons of entries that a row of the UUID map helps.
var namelessReasons = []string{"rc-fqdn-unresolved", "rc-uuid-byte-order", "rc-script-error", "rc-script-missing", "rc-uuid-not-allowed"}

const (
	logEvery     = 100       // of repeats without a change, one in so many is logged
	delayUnknown = time.Hour // until a delayed entry is looked at again without a hello or an import
)

// RecordHello notes the client and queues it, or delays it when the key of its PID is not there.
// Device row, queue and log change together; after it returns they are durable. It may be repeated
// at will: a client has at most one entry, in the queue or among the delayed ones.
func (s *Store) RecordHello(ctx context.Context, h Hello) (Outcome, error) {
	begun := time.Now()
	r := &recording{s: s, h: h, uuid: h.UUID.String(), now: s.now().UnixMicro(), begun: begun}
	err := s.writeHello(ctx, r)
	if err != nil {
		return Outcome{}, &amt.Error{Op: "record hello", Subject: h.UUID.String(), Err: err}
	}
	s.w.observer.hello(begun)
	return r.out, nil
}

// writeHello runs a recording in a transaction, with the hellos of others that wait at the same time.
func (s *Store) writeHello(ctx context.Context, r *recording) error {
	if s.w == nil {
		return s.write(ctx, nil) // refused
	}
	return s.named(classify(s.w.do(&request{ctx: ctx, hello: r, done: make(chan struct{}), fn: func(t *tx) error {
		r.t, r.out = t, Outcome{}
		return r.run()
	}})))
}

// recording is one RecordHello inside its transaction.
type recording struct {
	s     *Store
	t     *tx
	h     Hello
	uuid  string
	now   int64
	begun time.Time // when it was received, by the steady clock of this machine
	out   Outcome

	retired bool // its client is out of service
}

func (r *recording) run() error {
	if err := r.touchClient(); err != nil {
		return err
	}
	return r.decide()
}

// decide does what follows after the device row was touched.
func (r *recording) decide() error {
	if r.retired {
		return r.keepRetired()
	}
	if r.h.Version != 2 && r.h.Version != 3 {
		r.out.Action = Kept
		return r.log("hello-version", SeverityWarning, fmt.Sprintf("hello of version %d: only its UUID can be read", r.h.Version))
	}
	known := true
	if r.h.Version == 2 {
		var one int
		err := r.t.row(`SELECT 1 FROM csti_pid_map WHERE pid=?`, []any{string(r.h.PID)}, &one)
		if known = err == nil; err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
	}
	if !known {
		return r.delay(ReasonPIDUnknown)
	}
	return r.queue()
}

// ReasonRetired is why a hello of a retired client queues nothing. It stands in last_error of its row.
const ReasonRetired = "retired: the client is out of service"

// keepRetired leaves the client as it is. The first hello since it was retired is logged, with what puts
// it into service again, and then one of many.
func (r *recording) keepRetired() error {
	r.out.Action, r.out.Reason = Kept, ReasonRetired
	first, err := r.t.execN(`UPDATE csti_amts SET last_error=?1 WHERE uuid=?2 AND coalesce(last_error, '')<>?1`, ReasonRetired, r.uuid)
	if err != nil || first == 0 && !r.worthLogging() {
		return err
	}
	r.out.Logged = true
	return r.t.log(r.now, r.uuid, SeverityWarning, "hello-retired", r.words()+", not queued: the client is retired; \"amtmedic fleet reuse "+
		r.uuid+" FQDN\" puts it into service again")
}

// touchAgain ends the statement that writes a device row: the row may be there.
const touchAgain = ` ON CONFLICT (uuid) DO UPDATE SET ip=excluded.ip, pid=coalesce(excluded.pid, csti_amts.pid), hello_version=excluded.hello_version,
	last_hello_us=excluded.last_hello_us, hellos=csti_amts.hellos+1
	RETURNING uuid, hellos, CASE WHEN retired_us IS NULL THEN 0 ELSE 1 END`

// pid is the value of the column: NULL unless the hello has one.
func (r *recording) pid() any {
	if r.h.Version == 2 {
		return string(r.h.PID)
	}
	return nil
}

// touchClient writes the device row first: it is the lock of its UUID.
func (r *recording) touchClient() error {
	err := r.t.row(`INSERT INTO csti_amts (uuid, ip, pid, hello_version, first_hello_us, last_hello_us, changed_us)
		VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?5)`+touchAgain,
		[]any{r.uuid, r.h.From.Addr().Unmap().WithZone("").String(), r.pid(), int(r.h.Version), r.now}, &r.uuid, &r.out.Hellos, &r.retired)
	r.out.New = r.out.Hellos == 1
	return err
}

// queue makes the queue entry, from a delayed one if there is one.
func (r *recording) queue() error {
	attempts := 0
	r.out.Action = Queued
	if !r.out.New {
		queued, err := r.queuedAlready()
		if err != nil || queued {
			return r.then(err)
		}
		if late, err := r.late(); err != nil || late {
			r.out.Action = Late
			return r.then(err)
		}
		switch err := r.t.row(`DELETE FROM csto_delayed_entries WHERE uuid=? RETURNING attempts`, []any{r.uuid}, &attempts); {
		case err == nil:
			r.out.Action = Promoted
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		// a client that says hello is in setup, also one that was provisioned before
		if err := r.t.exec(`UPDATE csti_amts SET changed_us=?, last_error=NULL, state=0 WHERE uuid=?`, r.now, r.uuid); err != nil {
			return err
		}
	}
	return r.then(r.t.exec(`INSERT INTO csto_queue_entries (uuid, kind, attempts, enqueued_us) VALUES (?, ?, ?, ?)`,
		r.uuid, r.h.Version, attempts, r.now))
}

// late reports whether the client was provisioned after the hello came: the database was slow, or away
// from this server while another one worked. The client is in setup no more.
func (r *recording) late() (bool, error) {
	var done int64
	switch err := r.t.row(`SELECT coalesce(done_us, 0) FROM csti_amts WHERE uuid=? AND state=?`, []any{r.uuid, stateProvisioned}, &done); {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	}
	now, err := r.t.clock(r.s)
	return done > now.Add(-time.Since(r.begun)).UnixMicro(), err
}

// queuedAlready reports whether the client has a queue entry, and keeps that up to date.
func (r *recording) queuedAlready() (bool, error) {
	var claimed sql.NullString
	err := r.t.row(`SELECT claimed_by FROM csto_queue_entries WHERE uuid=?`, []any{r.uuid}, &claimed)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	case claimed.Valid:
		r.out.Action = Again
		return true, r.t.exec(`UPDATE csto_queue_entries SET again=1, kind=? WHERE uuid=?`, r.h.Version, r.uuid)
	}
	r.out.Action = Waiting
	return true, r.t.exec(`UPDATE csto_queue_entries SET kind=?1 WHERE uuid=?2 AND kind<>?1`, r.h.Version, r.uuid)
}

func (r *recording) then(err error) error {
	if err != nil {
		return err
	}
	return r.log("hello", SeverityInfo, r.words())
}

// delay makes or keeps the delayed entry. A queue entry whose work has not begun gives way to it.
func (r *recording) delay(reason string) error {
	n, err := r.t.execN(`UPDATE csto_queue_entries SET again=1 WHERE uuid=? AND claimed_by IS NOT NULL`, r.uuid)
	if err != nil {
		return err
	}
	if n > 0 {
		r.out.Action = Again
		return r.log("hello", SeverityInfo, r.words())
	}
	r.out.Action, r.out.Reason = Delayed, reason
	if n, err = r.t.execN(`UPDATE csto_delayed_entries SET attempts=attempts+1, due_us=? WHERE uuid=? AND reason=?`,
		r.now+delayUnknown.Microseconds(), r.uuid, reason); err != nil {
		return err
	}
	text := fmt.Sprintf("failed to find PID mapping: UUID %s, PID %s, from %s", r.uuid, r.h.PID.Dashed(), r.h.From.Addr().Unmap())
	if n > 0 {
		return r.log("rc-pid-unknown", SeverityError, text)
	}
	if err := r.t.exec(`DELETE FROM csto_queue_entries WHERE uuid=?`, r.uuid); err != nil {
		return err
	}
	if err := r.t.exec(`INSERT INTO csto_delayed_entries (uuid, kind, attempts, due_us, reason, since_us) VALUES (?1, ?2, 1, ?3, ?4, ?5)
		ON CONFLICT (uuid) DO UPDATE SET kind=excluded.kind, due_us=excluded.due_us, reason=excluded.reason, since_us=excluded.since_us`,
		r.uuid, r.h.Version, r.now+delayUnknown.Microseconds(), reason, r.now); err != nil {
		return err
	}
	if err := r.t.exec(`UPDATE csti_amts SET changed_us=?, last_error=?, state=0 WHERE uuid=?`, r.now, reason, r.uuid); err != nil {
		return err
	}
	r.out.Logged = true
	return r.t.log(r.now, r.uuid, SeverityError, "rc-pid-unknown", text)
}

// log writes a row when something changed, and for one in logEvery repeats: a storm of hellos must
// not become a storm of log rows.
func (r *recording) log(code string, severity int, text string) error {
	if !r.worthLogging() {
		return nil
	}
	r.out.Logged = true
	return r.t.exec(`INSERT INTO csti_log (at_us, uuid, severity, code, detail, first_hello) VALUES (?, ?, ?, ?, ?, ?)`,
		r.now, r.uuid, severity, code, text, r.first())
}

// first is the mark of a log row: 1 for that of a client's first hello.
func (r *recording) first() int64 {
	if r.out.New {
		return 1
	}
	return 0
}

func (r *recording) worthLogging() bool {
	return r.out.New || r.out.Action == Queued || r.out.Action == Promoted || r.out.Hellos%logEvery == 0
}

// words describes the hello for the log, without any word that marks a row as an error.
func (r *recording) words() string {
	s := fmt.Sprintf("hello %d of version %d from %s, retry count %d", r.out.Hellos, r.h.Version, r.h.From.Addr().Unmap(), r.h.Retry)
	if r.h.Version == 2 {
		s += ", PID " + r.h.PID.Dashed()
	} else {
		s += fmt.Sprintf(", %d root hashes", r.h.Hashes)
	}
	return s + ": " + actionWords[r.out.Action]
}

var actionWords = map[Action]string{Queued: "queued", Promoted: "delayed entry promoted to the queue",
	Waiting: "queued already", Again: "a worker is at it", Late: "its client was provisioned meanwhile", Kept: "kept"}
