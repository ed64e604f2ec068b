package diag

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Vantage is the place a fact was seen from.
type Vantage string

// The vantages. For net.* facts AtThird is another network segment than the client's.
const (
	AtClient Vantage = "client"
	AtServer Vantage = "server"
	AtThird  Vantage = "third"
)

// UnknownValue is the value of a fact that says: not collected, or not collectable.
const UnknownValue = "unknown"

// None is the value that says: looked, and nothing there.
const None = "none"

// Derived is the probe of a fact that follows from others. It is shown and kept, and derived anew
// whenever a case is judged.
const Derived = "derived"

// Fact is one observation. Value is the normal form that its key's form makes of the JSON value:
// string, bool, float64, []any or map[string]any.
type Fact struct {
	At       time.Time `json:"at,omitzero"`
	Vantage  Vantage   `json:"vantage,omitempty"`
	Key      string    `json:"key"`
	Value    any       `json:"value"`
	Probe    string    `json:"probe,omitempty"`
	Evidence Evidence  `json:"evidence,omitempty"`
}

// Evidence refers to the raw material behind a fact: files and packet numbers of the case, or text.
type Evidence []string

// UnmarshalJSON bears one text, a list, and anything else as its JSON text.
func (e *Evidence) UnmarshalJSON(b []byte) error {
	var one string
	var many []string
	switch {
	case bytes.Equal(b, []byte("null")):
	case json.Unmarshal(b, &one) == nil:
		*e = Evidence{one}
	case json.Unmarshal(b, &many) == nil:
		*e = many
	default:
		*e = Evidence{string(b)}
	}
	return nil
}

// Make normalises a fact that a probe or an answer gives. It refuses a known key with an
// impossible value, as ReadFacts does.
func Make(f Fact) (Fact, error) {
	if f.Key == "" {
		return f, errors.New("a fact has a key")
	}
	switch f.Vantage {
	case "", AtClient, AtServer, AtThird:
	default:
		return f, fmt.Errorf("%s: vantage %q is none of client, server, third", f.Key, f.Vantage)
	}
	k, known := Lookup(f.Key)
	if !known || f.Value == UnknownValue {
		return f, nil
	}
	if f.Value == nil {
		f.Value = UnknownValue
		return f, nil
	}
	v, err := k.form.norm(f.Value)
	if err != nil {
		return f, fmt.Errorf("%s: %w", f.Key, err)
	}
	f.Value = v
	return f, nil
}

// LineError is one line of a facts file that is no fact.
type LineError struct {
	Line int
	Key  string // empty when it could not be read
	Err  error
}

// Error names line and key.
func (l LineError) Error() string {
	if l.Key == "" {
		return fmt.Sprintf("line %d: %v", l.Line, l.Err)
	}
	return fmt.Sprintf("line %d: key %s: %s", l.Line, l.Key, strings.TrimPrefix(l.Err.Error(), l.Key+": "))
}

// maxLine bounds one fact; the largest real ones (a PKI hello with 33 hashes) have 4 kB.
const maxLine = 1 << 20

// ReadFacts reads JSON lines, one fact a line. Every line that is no fact is in the error, which
// joins LineErrors; facts that could be read are given in every case.
func ReadFacts(r io.Reader) ([]Fact, error) {
	var facts []Fact
	var bad []error
	br := bufio.NewReaderSize(r, 64<<10)
	for n := 1; ; n++ {
		line, tooLong, err := readLine(br)
		if tooLong {
			bad = append(bad, LineError{n, "", fmt.Errorf("longer than %d bytes", maxLine)})
		} else if text := bytes.TrimSpace(bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))); len(text) > 0 {
			f, ferr := readFact(text)
			if ferr != nil {
				bad = append(bad, LineError{n, f.Key, ferr})
			} else {
				facts = append(facts, f)
			}
		}
		if err == io.EOF {
			return facts, errors.Join(bad...)
		}
		if err != nil {
			return facts, err
		}
	}
}

func readLine(br *bufio.Reader) (line []byte, tooLong bool, err error) {
	for {
		part, e := br.ReadSlice('\n')
		if !tooLong {
			line = append(line, part...)
		}
		if len(line) > maxLine {
			line, tooLong = nil, true
		}
		if e != bufio.ErrBufferFull {
			return line, tooLong, e
		}
	}
}

func readFact(b []byte) (Fact, error) {
	var raw struct {
		At       json.RawMessage
		Vantage  Vantage
		Key      string
		Value    json.RawMessage
		Probe    any
		Evidence Evidence
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return Fact{Key: raw.Key}, jsonError(err)
	}
	f := Fact{Vantage: raw.Vantage, Key: raw.Key, Evidence: raw.Evidence}
	if raw.Probe != nil {
		f.Probe = fmt.Sprint(raw.Probe)
	}
	if f.Vantage == UnknownValue {
		f.Vantage = ""
	}
	if f.Key == "" {
		return f, errors.New("no key")
	}
	if raw.Value == nil {
		return f, errors.New("no value")
	}
	if len(raw.At) > 0 && string(raw.At) != "null" && string(raw.At) != `"unknown"` {
		var s string
		if json.Unmarshal(raw.At, &s) != nil {
			return f, errors.New("at is not a text such as 2026-11-23T10:00:00Z")
		}
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return f, fmt.Errorf("at %q is not a time such as 2026-11-23T10:00:00Z", clip(s))
		}
		f.At = t.UTC()
	}
	if err := json.Unmarshal(raw.Value, &f.Value); err != nil {
		return f, jsonError(err)
	}
	return Make(f)
}

func jsonError(err error) error {
	var syn *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syn):
		return fmt.Errorf("not JSON at byte %d: %v", syn.Offset, syn)
	case errors.As(err, &typ):
		return fmt.Errorf("%s is a %s, not a %s", strings.ToLower(typ.Field), typ.Value, typ.Type)
	}
	return err
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}
