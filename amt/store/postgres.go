package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"amtmedic/amt"
)

// All that depends on PostgreSQL stands in this file.

// postgres: a handful of sessions, since the server flushes once for all that commit together. Small
// batches: every statement is a round trip, and the sessions make theirs at the same time. For hellos
// two sessions, since their statements are over all of a batch: one gathers while the other flushes.
var postgres = &engine{
	sessions: 6, batch: 16, helloSessions: 2, helloLimit: 5 * time.Second, helloBatch: 128, chunk: 128, arrays: true, limit: 30 * time.Second, begin: "BEGIN", lost: true, shared: true,
	skip: " FOR UPDATE SKIP LOCKED", skipDevices: " FOR UPDATE OF a SKIP LOCKED", lock: " FOR UPDATE",
	clock: "SELECT CAST(extract(epoch FROM clock_timestamp())*1000000 AS bigint)",
	keep:  " FOR KEY SHARE",
	still: "LOCK TABLE secret_keys IN EXCLUSIVE MODE",
	pairs: "LOCK TABLE csti_pid_map IN SHARE ROW EXCLUSIVE MODE",
	tables: `SELECT count(*) FROM information_schema.tables WHERE table_schema=current_schema()
		AND table_name IN ('csti_configuration','csti_amts','csti_pid_map','csti_uuid_maps','csto_queue_entries','csto_delayed_entries')`,
	rebind: dollars, args: integers,
	met: func(err error) bool {
		var pe *pgconn.PgError
		return errors.As(err, &pe) && (pe.Code == "40001" || pe.Code == "40P01") // serialization failure, deadlock
	},
}

// dollars writes ? and ?2 as PostgreSQL wants them, $1 and $2.
func dollars(query string) string {
	var b strings.Builder
	n := 0
	for i, r := range query {
		if r != '?' {
			b.WriteRune(r)
			continue
		}
		b.WriteByte('$')
		if i+1 == len(query) || query[i+1] < '1' || query[i+1] > '9' {
			n++
			b.WriteString(strconv.Itoa(n))
		}
	}
	return b.String()
}

// integers gives truth values as 1 and 0: the columns are integers in both databases.
func integers(args []any) []any {
	for i, a := range args {
		if v, ok := a.(bool); ok {
			args[i] = 0
			if v {
				args[i] = 1
			}
		}
	}
	return args
}

func isPostgres(target string) bool {
	return strings.HasPrefix(target, "postgres://") || strings.HasPrefix(target, "postgresql://")
}

// shown gives a URL as it may be shown: without password and options.
func shown(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return "postgres://(a URL that cannot be read)"
	}
	out := url.URL{Scheme: "postgres", Host: u.Host, Path: u.Path}
	if name := u.User.Username(); name != "" {
		out.User = url.User(name)
	}
	return out.String()
}

// openPostgres opens a database at a URL, and makes the tables when write is set and they are missing.
func openPostgres(ctx context.Context, target string, o Options, write bool) (*Store, error) {
	cfg, err := pgx.ParseConfig(target)
	if err != nil {
		// the driver's own words may quote the URL with its password
		return nil, &amt.Error{Op: "open database", Subject: shown(target), Err: errors.New("the URL cannot be read"),
			Hint: "it has the form postgres://USER:PASSWORD@HOST:PORT/DATABASE; special characters in the password as %XX"}
	}
	prefer(cfg)
	s := newStore(shown(target), o, postgres)
	if o.Now != nil { // a time that is given goes before that of the database
		own := *postgres
		own.clock, s.e = "", &own
	}
	read := reading(cfg)
	s.read = &reader{stdlib.OpenDB(*read), postgres}
	s.read.db.SetMaxOpenConns(8)
	s.read.db.SetConnMaxIdleTime(5 * time.Minute)
	s.spare = &reader{stdlib.OpenDB(*read), postgres}
	s.spare.db.SetMaxIdleConns(0)
	if write {
		db := stdlib.OpenDB(*cfg)
		if err := migrate(ctx, db, "postgres"); err != nil {
			return nil, errors.Join(oneLine{classify(err)}, db.Close(), s.Close())
		}
		if s.w, err = newWriter(ctx, db, postgres); err != nil {
			return nil, errors.Join(oneLine{classify(err)}, db.Close(), s.Close())
		}
		s.w.keys = s.keys
		s.w.notifier = newNotifier(cfg, db)
		s.w.hellos.notifier = s.w.notifier
	} else if err := s.ping(ctx); err != nil {
		return nil, errors.Join(oneLine{err}, s.Close())
	}
	return s, nil
}

// lockTime is how long the database keeps the locks of a transaction whose program is silent. Ours never are:
// one that is was cut off, and would keep other servers from its clients until its connection is given up.
const lockTime = 10 * time.Second

// prefer completes what a URL leaves open. Of several hosts the one is taken that can be written to,
// whatever the URL says: the others are its standbys.
func prefer(cfg *pgx.ConnConfig) {
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 10 * time.Second
		if several(cfg) {
			cfg.ConnectTimeout = 4 * time.Second // the next one may be the one that is up
		}
	}
	if several(cfg) {
		cfg.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	dial := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}
	cfg.DialFunc = dial.DialContext
	cfg.RuntimeParams["application_name"] = "amtmedic"
	cfg.RuntimeParams["idle_in_transaction_session_timeout"] = strconv.FormatInt(lockTime.Milliseconds(), 10)
}

// several reports whether a URL names several servers: without TLS, or with an address of each family,
// one server has several entries too.
func several(cfg *pgx.ConnConfig) bool {
	return slices.ContainsFunc(cfg.Fallbacks, func(f *pgconn.FallbackConfig) bool { return f.Host != cfg.Host || f.Port != cfg.Port })
}

// reading is the configuration of connections that read only. They are never "read-write", which asks
// for a session that may write; the server has to be the primary all the same.
func reading(cfg *pgx.ConnConfig) *pgx.ConnConfig {
	read := cfg.Copy()
	read.RuntimeParams["default_transaction_read_only"] = "on"
	if read.ValidateConnect != nil {
		read.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	return read
}

// oneLine is an error of the driver without its line breaks: it tries every address of a host and
// gives each a line.
type oneLine struct{ error }

// Error joins the lines.
func (o oneLine) Error() string { return strings.Join(strings.Fields(o.error.Error()), " ") }

// Unwrap gives the driver's error.
func (o oneLine) Unwrap() error { return o.error }

// causeOfPostgres tells the causes apart by their codes
// (https://www.postgresql.org/docs/15/errcodes-appendix.html).
func causeOfPostgres(err error) error {
	var pe *pgconn.PgError
	var ce *pgconn.ConnectError
	var ne *net.OpError
	switch {
	case errors.As(err, &pe):
		switch {
		case pe.Code == "3D000": // invalid_catalog_name
			return ErrNotFound
		case pe.Code == "42P01", pe.Code == "3F000", pe.Code == "42703": // undefined table, schema, column
			return ErrNoTable
		case strings.HasPrefix(pe.Code, "28"), pe.Code == "42501": // log-in, privilege
			return ErrDenied
		case pe.Code == "25006": // read_only_sql_transaction
			return ErrReadOnly
		case pe.Code == "53100": // disk_full
			return ErrFull
		case strings.HasPrefix(pe.Code, "08"), strings.HasPrefix(pe.Code, "57P"), strings.HasPrefix(pe.Code, "53"):
			return ErrUnreachable
		}
	case errors.As(err, &ce), errors.As(err, &ne), errors.Is(err, sql.ErrConnDone), errors.Is(err, driver.ErrBadConn),
		errors.Is(err, io.ErrUnexpectedEOF), pgconn.SafeToRetry(err), pgconn.Timeout(err):
		return ErrUnreachable
	}
	return nil
}

// openShared opens a database that several servers may use. Its key file has no default place, since
// all of them need the same one.
func openShared(ctx context.Context, target string, o Options) (*Store, error) {
	if o.KeyFile == "" && o.Passphrase.IsZero() && o.PassphraseFile == "" && o.KeyFrom == "" {
		if err := findsItsKey(ctx, target, o); err != nil {
			return nil, err
		}
	}
	s, err := openPostgres(ctx, target, o, true)
	if err != nil {
		return nil, opened(shown(target), err)
	}
	if err := s.openKeys(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// findsItsKey refuses a database whose key nobody named, before tables are made in it. Where a person can
// be asked, one that is there may remember that its key is a passphrase, or in the keyring.
func findsItsKey(ctx context.Context, target string, o Options) error {
	if o.Ask == nil {
		return newStore(shown(target), o, postgres).keyError("", errNoKeyFile)
	}
	s, err := openPostgres(ctx, target, o, false)
	if err != nil {
		if errors.Is(err, ErrNoTable) {
			err = newStore(shown(target), o, postgres).keyError("", errNoKeyFile)
		}
		return opened(shown(target), err)
	}
	defer func() { _ = s.Close() }()
	row, err := s.remembered(ctx, s.read)
	if err == nil && row.kind() == KeyInFile {
		err = errNoKeyFile
	}
	if err != nil {
		return s.keyError(row.kind(), err)
	}
	return nil
}
