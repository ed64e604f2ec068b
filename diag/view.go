package diag

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Tri is a truth with three values: what was not looked at is never "no".
type Tri int

// The three values.
const (
	Dunno Tri = iota
	No
	Yes
)

// Is turns a known truth into a Tri.
func Is(b bool) Tri {
	if b {
		return Yes
	}
	return No
}

// Contradiction is one key with several values at the same time and place. Checks see it as
// unknown; screens show both values.
type Contradiction struct {
	Key   string
	Facts []Fact
}

// View is what is known of a case at its present moment, as checks read it: the latest fact of
// each key, other clients' facts left out, contradictions counted as unknown.
type View struct {
	now     time.Time
	uuid    string
	pid     string
	byKey   map[string][]Fact // in order of time, unknown values left out
	implied map[string]string // key -> key of the fact that it was read out of
	clashes []Contradiction
	present map[string][]Fact // key -> what its latest facts say, differing ones only
	each    map[string][]Fact // key -> the present fact of each thing that it tells apart
}

// NewView makes the view of facts. at is the moment of the diagnosis; it counts as now only when
// no known fact has a time.
func NewView(facts []Fact, at time.Time) *View {
	v := &View{now: moment(facts, at), byKey: map[string][]Fact{}, implied: map[string]string{}}
	for _, f := range facts {
		if f.Value == UnknownValue || f.Value == nil || f.Probe == Derived {
			continue
		}
		k, known := Lookup(f.Key)
		if !known {
			continue
		}
		if f.At.IsZero() {
			f.At = v.now
		}
		if f.Vantage == "" {
			f.Vantage = k.Side
		}
		v.byKey[f.Key] = append(v.byKey[f.Key], f)
	}
	for k := range v.byKey {
		slices.SortStableFunc(v.byKey[k], inOrder)
	}
	v.dropOthers()
	v.settle()
	v.findClashes()
	return v
}

// inOrder sorts facts by time. Facts of one moment stand in the order of their text, so that the
// order of the lines in a file never matters.
func inOrder(a, b Fact) int {
	if n := a.At.Compare(b.At); n != 0 {
		return n
	}
	if n := strings.Compare(string(a.Vantage), string(b.Vantage)); n != 0 || reflect.DeepEqual(a.Value, b.Value) {
		return n
	}
	ja, _ := json.Marshal(a.Value)
	jb, _ := json.Marshal(b.Value)
	return bytes.Compare(ja, jb)
}

func moment(facts []Fact, at time.Time) time.Time {
	var now time.Time
	for _, f := range facts {
		if _, known := Lookup(f.Key); known && f.Value != UnknownValue && f.At.After(now) {
			now = f.At
		}
	}
	if now.IsZero() {
		return at.UTC()
	}
	return now
}

// Now is the present moment of the case.
func (v *View) Now() time.Time { return v.now }

// UUID gives the client's UUID, empty while unknown.
func (v *View) UUID() string { return v.uuid }

// PID gives the client's PID, empty while unknown: what its hello carries, else what MEBx shows.
func (v *View) PID() string { return v.pid }

// Contradictions lists the keys whose latest facts contradict each other.
func (v *View) Contradictions() []Contradiction { return v.clashes }

// Get gives the present fact of a key at its own side. A key that is not known, or contradicts
// itself, gives false. Of several packets of one moment a packet outweighs a none.
func (v *View) Get(key string) (Fact, bool) {
	k, ok := Lookup(key)
	if !ok {
		return Fact{}, false
	}
	fs := v.latestOf(k)
	switch {
	case len(fs) == 0:
		return Fact{}, false
	case len(fs) == 1:
		return fs[0], true
	case !k.several:
		return Fact{}, false
	}
	for _, f := range slices.Backward(fs) {
		if f.Value != None {
			return f, true
		}
	}
	return fs[0], true
}

// At gives the present fact of a sided key from another vantage than its own.
func (v *View) At(key string, from Vantage) (Fact, bool) {
	for _, f := range slices.Backward(v.byKey[key]) {
		if f.Vantage == from {
			return f, true
		}
	}
	return Fact{}, false
}

// All gives every fact of a key at its own side, oldest first, history included.
func (v *View) All(key string) []Fact {
	k, _ := Lookup(key)
	return v.atSide(k)
}

// Each gives, of a key that tells several things apart (dns.* by qname), the present fact of each,
// in the order of time. What contradicts itself about one thing is left out.
func (v *View) Each(key string) []Fact {
	if out, ok := v.each[key]; ok {
		return slices.Clone(out)
	}
	k, _ := Lookup(key)
	return v.presentOfEach(k)
}

func (v *View) presentOfEach(k Key) []Fact {
	var out []Fact
	if k.by == "" {
		said := map[string]bool{}
		for _, f := range slices.Backward(v.atSide(k)) {
			if s := saying(f.Value); !said[s] {
				said[s] = true
				out = append(out, f)
			}
		}
		slices.Reverse(out)
		return out
	}
	for _, group := range v.groups(k) {
		if last := latestMoment(group); len(last) == 1 {
			out = append(out, last[0])
		}
	}
	slices.SortStableFunc(out, inOrder)
	return out
}

// Known reports whether a key is known at its own side.
func (v *View) Known(key string) bool { _, ok := v.Get(key); return ok }

// Str gives a text value, empty while unknown.
func (v *View) Str(key string) string {
	f, _ := v.Get(key)
	s, _ := f.Value.(string)
	return s
}

// Has reports whether the key is known with exactly one of these texts.
func (v *View) Has(key string, texts ...string) bool {
	f, ok := v.Get(key)
	s, isText := f.Value.(string)
	return ok && isText && slices.Contains(texts, s)
}

// Truth gives a bool value as a Tri.
func (v *View) Truth(key string) Tri {
	f, _ := v.Get(key)
	b, ok := f.Value.(bool)
	if !ok {
		return Dunno
	}
	return Is(b)
}

// Num gives a number.
func (v *View) Num(key string) (float64, bool) {
	f, _ := v.Get(key)
	n, ok := f.Value.(float64)
	return n, ok
}

// Texts gives a list of texts; ok is false while unknown, so that an empty list can be told apart.
func (v *View) Texts(key string) (list []string, ok bool) {
	f, found := v.Get(key)
	if !found {
		return nil, false
	}
	return texts(f.Value)
}

// Obj gives the fields of an object value, empty while unknown, none or row.
func (v *View) Obj(key string) Obj {
	f, _ := v.Get(key)
	return Obj{f.Value}
}

// Age is the time from the fact to now.
func (v *View) Age(f Fact) time.Duration { return v.now.Sub(f.At) }

// Imply adds a fact that follows from another key, where the key itself is unknown. Source gives
// the other key back.
func (v *View) Imply(key string, value any, from string) {
	if v.Known(key) {
		return
	}
	f, err := Make(Fact{Key: key, Value: value, At: v.now, Probe: Derived})
	if err != nil {
		return
	}
	if k, ok := Lookup(key); ok {
		f.Vantage = k.Side
	}
	v.byKey[key] = append(v.byKey[key], f)
	v.implied[key] = from
	k, _ := Lookup(key)
	v.present[key] = latestMoment(v.atSide(k))
	delete(v.each, key)
}

// Source gives the key whose fact stands behind key: itself, unless it was implied.
func (v *View) Source(key string) string {
	if s, ok := v.implied[key]; ok {
		return s
	}
	return key
}
