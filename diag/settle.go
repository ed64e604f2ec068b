package diag

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// dropOthers settles whose case this is, and leaves out facts about other clients.
func (v *View) dropOthers() {
	v.uuid = v.settled("client.uuid")
	for _, k := range []string{"wire.client.hello", "wire.server.hello", "db.amts", "db.queue", "db.delayed", "db.uuid_map"} {
		if v.uuid == "" {
			v.uuid = v.latestField("uuid", k)
		}
	}
	v.keep(func(f Fact) bool {
		u := Obj{f.Value}.Str("uuid")
		return u == "" || v.uuid == "" || u == v.uuid
	})
	// A hello of this UUID is this client's, whatever PID MEBx or the label shows.
	v.pid = v.latestField("pid", "wire.client.hello", "wire.server.hello")
	if stated := v.settled("client.pid"); v.pid == "" || stated != "" && !v.helloOfThisUUID() {
		v.pid = stated
	}
	v.keep(func(f Fact) bool {
		p := Obj{f.Value}.Str("pid")
		ours := v.uuid != "" && Obj{f.Value}.Str("uuid") == v.uuid // its own UUID says whose it is
		return p == "" || v.pid == "" || p == v.pid || ours
	})
}

func (v *View) helloOfThisUUID() bool {
	return v.uuid != "" && v.latestField("uuid", "wire.client.hello", "wire.server.hello") == v.uuid
}

// settled gives the present text of a key without a side, empty while unknown or contradicted.
func (v *View) settled(key string) string {
	k, _ := Lookup(key)
	fs := v.latestOf(k)
	if len(fs) != 1 {
		return ""
	}
	s, _ := fs[0].Value.(string)
	return s
}

// latestField gives a field of the latest fact of these keys that has it.
func (v *View) latestField(field string, keys ...string) string {
	var last Fact
	for _, k := range keys {
		for _, f := range v.byKey[k] {
			if (Obj{f.Value}).Str(field) != "" && !f.At.Before(last.At) {
				last = f
			}
		}
	}
	return Obj{last.Value}.Str(field)
}

func (v *View) keep(ok func(Fact) bool) {
	for k, fs := range v.byKey {
		if len(fs) > 0 {
			v.byKey[k] = slices.DeleteFunc(slices.Clone(fs), func(f Fact) bool { return !ok(f) })
		}
	}
}

func (v *View) findClashes() {
	for _, k := range keyTable {
		switch fs := v.latestOf(k); {
		case k.by != "":
			for _, group := range v.groups(k) {
				if last := latestMoment(group); len(last) > 1 {
					v.clashes = append(v.clashes, Contradiction{k.Name, last})
				}
			}
		case !k.several && len(fs) > 1:
			v.clashes = append(v.clashes, Contradiction{k.Name, fs})
		}
	}
}

// latestOf gives the facts of the latest moment at the key's own side that differ from each other.
func (v *View) latestOf(k Key) []Fact {
	if v.present == nil {
		return latestMoment(v.atSide(k))
	}
	return v.present[k.Name]
}

// settle works out, once, the present facts of every key; checks ask for them many times.
func (v *View) settle() {
	present, each := map[string][]Fact{}, map[string][]Fact{}
	for name := range v.byKey {
		k, _ := Lookup(name)
		present[name] = latestMoment(v.atSide(k))
		if k.by != "" {
			each[name] = v.presentOfEach(k)
		}
	}
	v.present, v.each = present, each
}

// atSide gives the facts of a key at its own side, oldest first.
func (v *View) atSide(k Key) []Fact {
	var out []Fact
	for _, f := range v.byKey[k.Name] {
		if !k.Sided() || f.Vantage == k.Side {
			out = append(out, f)
		}
	}
	return out
}

// latestMoment gives, of facts in the order of time, those of the last moment that differ.
func latestMoment(fs []Fact) []Fact {
	n := len(fs)
	if n < 2 || !fs[n-2].At.Equal(fs[n-1].At) {
		return slices.Clone(fs[max(0, n-1):])
	}
	var last []Fact
	said := map[string]bool{}
	for _, f := range slices.Backward(fs) {
		if len(last) > 0 && !f.At.Equal(last[0].At) {
			break
		}
		if s := saying(f.Value); !said[s] {
			said[s] = true
			last = append(last, f)
		}
	}
	slices.Reverse(last)
	return last
}

// saying is a value as text, to be compared. Which of several resolvers answered is no difference of
// the answer.
func saying(value any) string {
	if o, ok := value.(map[string]any); ok && o["qname"] != nil && o["server"] != nil {
		o = maps.Clone(o)
		delete(o, "server")
		value = o
	}
	b, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(b)
}

// groups sorts the facts of a key that tells several things apart by what they are about.
func (v *View) groups(k Key) [][]Fact {
	var names []string
	about := map[string][]Fact{}
	for _, f := range v.atSide(k) {
		n := Obj{f.Value}.Str(k.by)
		if len(about[n]) == 0 {
			names = append(names, n)
		}
		about[n] = append(about[n], f)
	}
	slices.Sort(names)
	out := make([][]Fact, len(names))
	for i, n := range names {
		out[i] = about[n]
	}
	return out
}
