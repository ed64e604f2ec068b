package store

import (
	"context"
	"database/sql"
	"time"

	"amtmedic/amt"
)

// State is how far a client is, as the command line prints it.
type State string

// The states of a client.
const (
	Unprovisioned State = "unprovisioned" // known; nobody works on it yet
	InProgress    State = "in-progress"   // a worker has it
	StateDelayed  State = "delayed"       // it waits for something, Client.Reason tells for what
	Provisioned   State = "provisioned"
)

// stateProvisioned is csti_amts.state of a client that was provisioned.
const stateProvisioned = 2

// Client is a row of csti_amts joined with its entry, if any.
type Client struct {
	UUID       amt.UUID
	FQDN       string // empty while unknown
	IP         string
	State      State
	Method     amt.Method // empty for a hello of unknown version
	AMTVersion string     // empty until a session told it: a hello does not
	PID        amt.PID    // of its last psk hello
	FirstHello time.Time
	LastHello  time.Time
	Changed    time.Time // last change of its state
	Hellos     int64
	Reason     string // of the delayed entry
}

const selectClients = `SELECT a.uuid, coalesce(a.fqdn, m.fqdn, ''), a.ip, a.state, a.hello_version, coalesce(a.version, ''), coalesce(a.pid, ''),
	a.first_hello_us, a.last_hello_us, a.changed_us, a.hellos, q.claimed_by IS NOT NULL, d.reason
	FROM csti_amts a LEFT JOIN csti_uuid_maps m ON m.uuid=a.uuid
	LEFT JOIN csto_queue_entries q ON q.uuid=a.uuid LEFT JOIN csto_delayed_entries d ON d.uuid=a.uuid`

// Clients gives every client that ever said hello, in the order of their UUIDs.
func (s *Store) Clients(ctx context.Context) ([]Client, error) {
	rows, err := s.read.QueryContext(ctx, selectClients+` ORDER BY a.uuid`)
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = rows.Close() }()
	var out []Client
	for rows.Next() {
		c, err := scanClient(rows.Scan)
		if err != nil {
			return nil, classify(err)
		}
		out = append(out, c)
	}
	return out, classify(rows.Err())
}

// Client gives one client; false when it never said hello.
func (s *Store) Client(ctx context.Context, u amt.UUID) (Client, bool, error) {
	c, err := scanClient(s.read.QueryRowContext(ctx, selectClients+` WHERE a.uuid=?`, u.String()).Scan)
	if err == sql.ErrNoRows {
		return Client{}, false, nil
	}
	return c, err == nil, classify(err)
}

func scanClient(scan func(...any) error) (Client, error) {
	var c Client
	var uuid string
	var state, version int
	var first, last, changed int64
	var claimed bool
	var reason sql.NullString
	if err := scan(&uuid, &c.FQDN, &c.IP, &state, &version, &c.AMTVersion, &c.PID, &first, &last, &changed, &c.Hellos, &claimed, &reason); err != nil {
		return c, err
	}
	var err error
	c.UUID, err = amt.ParseUUID(uuid)
	c.FirstHello, c.LastHello, c.Changed = fromMicro(first), fromMicro(last), fromMicro(changed)
	c.Method = methodOf(version)
	switch {
	case claimed:
		c.State = InProgress
	case reason.Valid:
		c.State, c.Reason = StateDelayed, reason.String
	case state == stateProvisioned:
		c.State = Provisioned
	default:
		c.State = Unprovisioned
	}
	return c, err
}

func methodOf(helloVersion int) amt.Method {
	switch helloVersion {
	case 2:
		return amt.PSK
	case 3:
		return amt.PKI
	}
	return ""
}
