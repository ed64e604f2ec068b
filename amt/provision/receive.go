package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
	"amtmedic/amt/store"
)

// received is what came over one connection.
type received struct {
	bytes    []byte
	complete bool // by its own counts
	ended    bool // the sender closed its side
	failed   bool // reset by the sender, or out of time
}

// keepUnknown bounds the bytes of a hello whose length cannot be told.
const keepUnknown = 4096

// receive reads until the message is complete by its own counts, the sender ends it, or time is
// up. Segments are joined in whatever pieces they come.
func (s *Server) receive(c *conn) received {
	var r received
	end := time.Now().Add(s.o.Limits.Total)
	buf := c.room[:0]
	for {
		need, complete := hello.Need(buf)
		switch {
		case complete:
			r.bytes, r.complete = buf[:min(need, len(buf))], true
			return r
		case len(buf) >= keepUnknown && need == len(buf):
			r.bytes = buf
			return r
		}
		wait := s.o.Limits.Idle
		if len(buf) >= hello.HeaderLen && need == len(buf) {
			wait = s.o.Limits.Quiet // unknown version: only its end or silence tells that it is over
		}
		if until := time.Now().Add(wait); until.Before(end) {
			c.await(until)
		} else {
			c.await(end)
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := c.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if n == 0 && err != nil {
			r.bytes, r.ended, r.failed = buf, errors.Is(err, io.EOF), !errors.Is(err, io.EOF)
			return r
		}
	}
}

// commitTime bounds the wait for the store; a wait may be longer by shareTime.
const (
	commitTime = 6 * time.Second
	shareTime  = time.Second
)

// patience gives the context in which a hello is committed. It does not end when the server stops, and
// those that come within shareTime have it in common: it would be the dearest part of a connection.
type patience struct {
	mu     sync.Mutex
	until  time.Time // that it is given out
	ctx    context.Context
	cancel context.CancelFunc
}

func (p *patience) context() context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.After(p.until) {
		p.until = now.Add(shareTime)
		p.ctx, p.cancel = context.WithDeadline(context.Background(), p.until.Add(commitTime))
	}
	return p.ctx
}

// end frees what the last context holds. Earlier ones end by themselves.
func (p *patience) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cancel != nil {
		p.cancel()
	}
	p.until = time.Time{}
}

// handle takes one connection from its first byte to its close.
func (s *Server) handle(c *conn) {
	r := s.receive(c)
	ctx := s.patience.context()
	kept := false
	m, err := hello.Decode(r.bytes)
	switch {
	case len(r.bytes) == 0: // somebody only looked whether the port is open
		kept = r.ended
	case m.Foreign != "" || odd(m):
		kept = s.keepForeign(ctx, c, m, r)
	case err == nil && r.complete, err == nil && m.Type == hello.Unknown && (r.ended || !c.isHurried()):
		kept = s.keepHello(ctx, c, m)
	default:
		s.keepPartial(ctx, c, m, r)
	}
	if kept {
		c.finish(r.ended)
	} else {
		reset(c.Conn)
	}
}

// odd reports whether a message of unknown version is more likely no hello at all: of the first
// word only 0 and 1 are known.
func odd(m hello.Message) bool { return m.Type == hello.Unknown && m.AdminWord > 1 }

// keepHello makes a hello durable and reports whether it is.
func (s *Server) keepHello(ctx context.Context, c *conn, m hello.Message) bool {
	out, err := s.store.RecordHello(ctx, store.Hello{From: c.from, Version: m.Version, CredentialsSet: m.AdminCredentialsSet,
		Retry: m.RetryCount, UUID: m.UUID, PID: m.PID, Hashes: len(m.Hashes)})
	if err != nil {
		s.away.failed("hello was not kept: its sender was not acknowledged and sends again", err, "uuid", m.UUID.String(), "from", c.from.String())
		s.emit(Event{Kind: EventError, From: c.from, UUID: m.UUID, PID: m.PID, Err: err})
		return false
	}
	s.away.worked()
	if out.Logged {
		s.tell(c, m, out)
	}
	s.emit(Event{Kind: EventHello, From: c.from, UUID: m.UUID, PID: m.PID, Outcome: out})
	return true
}

// tell logs a hello that changed something.
func (s *Server) tell(c *conn, m hello.Message, out store.Outcome) {
	attrs := append(make([]slog.Attr, 0, 12), slog.String("uuid", m.UUID.String()), slog.String("method", string(m.Type)), slog.Uint64("version", uint64(m.Version)),
		slog.String("from", c.from.String()), slog.Uint64("retry_count", uint64(m.RetryCount)), slog.Int64("hellos", out.Hellos), slog.String("action", string(out.Action)))
	if m.PID != "" {
		attrs = append(attrs, slog.String("pid", string(m.PID)))
	}
	if out.Reason != "" {
		attrs = append(attrs, slog.String("reason", out.Reason))
	}
	if len(m.Problems) > 0 {
		attrs = append(attrs, slog.Any("problems", amt.Codes(m.Problems)))
	}
	s.o.Log.LogAttrs(context.Background(), slog.LevelInfo, "hello", attrs...)
}

// keepForeign notes bytes that are no hello with their source address. The log does not grow with
// every connection of a source that sends many.
func (s *Server) keepForeign(ctx context.Context, c *conn, m hello.Message, r received) bool {
	s.emit(Event{Kind: EventForeign, From: c.from})
	left, ok := s.table.mayNote(c.src, s.o.Now())
	if !ok {
		return true
	}
	what := m.Foreign
	if what == "" {
		what = "unknown"
	}
	text := fmt.Sprintf("no hello: %d bytes of %s protocol from %s, they begin with %x", len(r.bytes), what, c.from, r.bytes[:min(len(r.bytes), 24)])
	if left > 0 {
		text += fmt.Sprintf("; %d more from this address before", left)
	}
	return s.note(ctx, c, "no hello", store.LogRow{Code: "no-hello", Text: text})
}

// keepPartial notes a hello that never became complete. Its sender is reset and sends again.
func (s *Server) keepPartial(ctx context.Context, c *conn, m hello.Message, r received) {
	s.emit(Event{Kind: EventPartial, From: c.from, UUID: m.UUID, PID: m.PID})
	if _, ok := s.table.mayNote(c.src, s.o.Now()); !ok {
		return
	}
	why := "then silence"
	if r.ended {
		why = "then the sender closed"
	}
	s.note(ctx, c, "part of a hello", store.LogRow{UUID: m.UUID, Code: "partial-hello",
		Text: fmt.Sprintf("part of a hello: %d bytes of version %d from %s, %s", len(r.bytes), m.Version, c.from, why)})
}

// note keeps a warning as a row, and tells it in the log as an event of the kind what.
func (s *Server) note(ctx context.Context, c *conn, what string, l store.LogRow) bool {
	l.Severity = store.SeverityWarning
	if err := s.store.AppendLog(ctx, l); err != nil {
		s.away.failed("log row was not kept", err, "from", c.from.String())
		s.emit(Event{Kind: EventError, From: c.from, Err: err})
		return false
	}
	args := []any{"code", l.Code, "text", l.Text, "from", c.from.String()}
	if !l.UUID.IsZero() {
		args = append(args, "uuid", l.UUID.String())
	}
	s.o.Log.Warn(what, args...)
	return true
}
