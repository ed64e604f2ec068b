package mei

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"amtmedic/amt"
)

// vector is an exchange of the recorded set.
type vector struct {
	name            string
	request, answer []byte
}

func vectors(t testing.TB) map[string]vector {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors.tsv")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]vector{}
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) != 3 || strings.HasPrefix(line, "#") {
			continue
		}
		q, err1 := hex.DecodeString(f[1])
		a, err2 := hex.DecodeString(f[2])
		if err1 != nil || err2 != nil {
			t.Fatal(line)
		}
		out[f[0]] = vector{f[0], q, a}
	}
	if len(out) < 30 {
		t.Fatalf("%d vectors", len(out))
	}
	return out
}

// script is firmware that answers from recordings: per client and request the answers in turn, the last one
// again and again.
type script struct {
	clients map[ID]map[string][][]byte // by request
	fails   map[ID]error               // of dialling
	asked   [][]byte
}

func newScript() *script {
	return &script{clients: map[ID]map[string][][]byte{AMTHI: {}, Watchdog: {}, MKHI: {}}, fails: map[ID]error{}}
}

func (s *script) add(client ID, vs ...vector) *script {
	for _, v := range vs {
		s.clients[client][string(v.request)] = append(s.clients[client][string(v.request)], v.answer)
	}
	return s
}

// set makes one answer the only one.
func (s *script) set(client ID, request, answer []byte) *script {
	s.clients[client][string(request)] = [][]byte{answer}
	return s
}

func (s *script) dial(_ context.Context, id ID) (Link, error) {
	if err := s.fails[id]; err != nil {
		return nil, &amt.Error{Op: "connect", Err: err, Hint: "h"}
	}
	if s.clients[id] == nil {
		return nil, opened(id, ErrNoClient)
	}
	return &scriptLink{s: s, id: id}, nil
}

type scriptLink struct {
	s       *script
	id      ID
	pending []byte
}

func (l *scriptLink) MaxMessage() int       { return 5120 }
func (l *scriptLink) ProtocolVersion() byte { return 1 }
func (l *scriptLink) Close() error          { return nil }

func (l *scriptLink) Write(_ context.Context, b []byte) error {
	l.s.asked = append(l.s.asked, bytes.Clone(b))
	if l.id == AMTHI && len(b) > 4 && b[4] == 0x67 {
		return errors.New("the local system account was asked for")
	}
	list := l.s.clients[l.id][string(b)]
	switch {
	case len(list) == 0 && l.id == AMTHI: // unknown to this firmware
		l.pending = append([]byte{1, 1, 0, 0, b[4], b[5], b[6] | 0x80, b[7], 4, 0, 0, 0}, 0x12, 8, 0, 0)
	case len(list) == 0:
		l.pending = []byte{b[0], b[1] | 0x80, 0, 0x8d}
	default:
		l.pending = list[0]
		if len(list) > 1 {
			l.s.clients[l.id][string(b)] = list[1:]
		}
	}
	return nil
}

func (l *scriptLink) Read(_ context.Context, p []byte) (int, error) { return copy(p, l.pending), nil }

// number is a vector with another number in its answer.
func number(c Command, n byte, payload ...byte) vector {
	req := c.Request(payload...)
	return vector{c.String(), req, append([]byte{1, 1, 0, 0, req[4], req[5], req[6] | 0x80, req[7], 8, 0, 0, 0, 0, 0, 0, 0}, n, 0, 0, 0)}
}
