package store

import (
	"context"
	"iter"
	"time"

	"amtmedic/amt"
)

// FleetRow is one client with all that a report or an inventory tells of it. Clients of the UUID map
// that never said hello are among them.
type FleetRow struct {
	UUID       amt.UUID
	Hello      bool   // it said hello; all of State to Reason is empty otherwise
	FQDN       string // of its last configuration, else of its map row
	Mapped     bool   // it has a row in the UUID map
	MapFQDN    string // of that row
	MapProfile string // of that row; empty: the default profile
	Profile    string // that was applied, else of the map row; empty: the default profile
	TLS        string // of that profile: off, server, mutual

	IP         string
	State      State
	Queued     bool // it has an entry in the queue
	Method     amt.Method
	AMTVersion string // empty until a session told it
	FirstHello time.Time
	LastHello  time.Time
	Changed    time.Time
	Reason     string    // of its delayed entry
	Since      time.Time // of its delayed entry

	KeyKnown    bool // the pair of its PID is there; false for pki
	Session     bool // a session got as far as a step, or told the version
	Done        bool // it is provisioned, also while an entry is there for its maintenance
	Certificate bool // it has a certificate of ours that counts now

	Retired    time.Time // zero while it is in service
	ReplacedBy amt.UUID  // zero unless it was replaced
}

const selectFleet = `SELECT a.uuid AS uuid, 1, coalesce(nullif(a.fqdn, ''), m.fqdn, ''), CASE WHEN m.uuid IS NULL THEN 0 ELSE 1 END, coalesce(m.fqdn, ''),
	coalesce(pm.name, ''), coalesce(pa.name, pm.name, ''), a.ip, a.state, a.hello_version, coalesce(a.version, ''), a.first_hello_us, a.last_hello_us, a.changed_us,
	CASE WHEN q.uuid IS NULL THEN 0 WHEN q.claimed_by IS NULL THEN 1 ELSE 2 END, coalesce(d.reason, ''), coalesce(d.since_us, 0),
	CASE WHEN k.pid IS NULL THEN 0 ELSE 1 END,
	CASE WHEN a.version IS NOT NULL OR EXISTS (SELECT 1 FROM csto_steps s WHERE s.uuid=a.uuid) THEN 1 ELSE 0 END,
	CASE WHEN EXISTS (SELECT 1 FROM csti_certificates c WHERE c.uuid=a.uuid AND c.purpose='client' AND c.revoked_us IS NULL AND c.not_after_us>?) THEN 1 ELSE 0 END,
	coalesce(a.retired_us, 0), coalesce(a.replaced_by, '')
	FROM csti_amts a LEFT JOIN csti_uuid_maps m ON m.uuid=a.uuid LEFT JOIN csti_profiles pm ON pm.id=m.profile_id LEFT JOIN csti_profiles pa ON pa.id=a.profile_id
	LEFT JOIN csto_queue_entries q ON q.uuid=a.uuid LEFT JOIN csto_delayed_entries d ON d.uuid=a.uuid LEFT JOIN csti_pid_map k ON k.pid=a.pid
	UNION ALL SELECT m.uuid, 0, m.fqdn, 1, m.fqdn, coalesce(p.name, ''), coalesce(p.name, ''), '', 0, 0, '', 0, 0, 0, 0, '', 0, 0, 0, 0, 0, ''
	FROM csti_uuid_maps m LEFT JOIN csti_profiles p ON p.id=m.profile_id WHERE NOT EXISTS (SELECT 1 FROM csti_amts a WHERE a.uuid=m.uuid)
	ORDER BY uuid`

// Fleet gives every client in the order of their UUIDs.
func (s *Store) Fleet(ctx context.Context) iter.Seq2[FleetRow, error] {
	return func(yield func(FleetRow, error) bool) {
		modes, err := s.profileTLS(ctx)
		if err != nil {
			yield(FleetRow{}, err)
			return
		}
		rows, err := s.read.QueryContext(ctx, selectFleet, s.now().UnixMicro())
		if err != nil {
			yield(FleetRow{}, classify(err))
			return
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			r, err := scanFleet(rows.Scan)
			r.TLS = modes[r.Profile]
			if !yield(r, classify(err)) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(FleetRow{}, classify(err))
		}
	}
}

func scanFleet(scan func(...any) error) (FleetRow, error) {
	var r FleetRow
	var uuid, by string
	var hello, mapped, state, version, queue, key, session, cert int
	var first, last, changed, since, retired int64
	if err := scan(&uuid, &hello, &r.FQDN, &mapped, &r.MapFQDN, &r.MapProfile, &r.Profile, &r.IP, &state, &version, &r.AMTVersion, &first, &last, &changed,
		&queue, &r.Reason, &since, &key, &session, &cert, &retired, &by); err != nil {
		return r, err
	}
	r.Hello, r.Mapped, r.Queued, r.KeyKnown, r.Session, r.Certificate = hello == 1, mapped == 1, queue > 0, key == 1, session == 1, cert == 1
	r.Done, r.Method = state == stateProvisioned, methodOf(version)
	r.FirstHello, r.LastHello, r.Changed, r.Since, r.Retired = fromMicro(first), fromMicro(last), fromMicro(changed), fromMicro(since), fromMicro(retired)
	switch {
	case !r.Hello:
	case queue == 2:
		r.State = InProgress
	case r.Reason != "":
		r.State = StateDelayed
	case r.Done:
		r.State = Provisioned
	default:
		r.State = Unprovisioned
	}
	if by != "" {
		if err := parsed(&r.ReplacedBy, by); err != nil {
			return r, err
		}
	}
	return r, parsed(&r.UUID, uuid)
}

// profileTLS gives the TLS mode of every profile; the empty name is the default one.
func (s *Store) profileTLS(ctx context.Context) (map[string]string, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT p.name, p.body, coalesce(c.name, '') FROM csti_profiles p
		LEFT JOIN csti_configuration c ON c.name='default_profile' AND c.value=p.name`)
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = rows.Close() }()
	out := map[string]string{"": "off"}
	for rows.Next() {
		var name, body, standard string
		if err := rows.Scan(&name, &body, &standard); err != nil {
			return nil, classify(err)
		}
		out[name] = tlsModeOf(body)
		if standard != "" {
			out[""] = out[name]
		}
	}
	return out, classify(rows.Err())
}
