// Package facts puts facts into words for the screen: what was observed, and where.
package facts

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"amtmedic/diag"
	"amtmedic/tui/part/text"
)

// Words gives what a fact says in one line, and the place that it names (a DNS server), if any.
func Words(f diag.Fact) (what, where string) {
	o := diag.ObjOf(f)
	switch {
	case !o.Is():
		return plain(f), ""
	case strings.HasPrefix(f.Key, "dns.") && o.Str("qname") != "", f.Key == "wire.client.dns":
		return o.Str("qname") + " → " + answer(o), o.Str("server")
	case f.Key == "dns.forward":
		return o.Str("name") + " → " + listOr(o, "addr", "no address"), ""
	case f.Key == "dns.reverse":
		return o.Str("addr") + " → " + listOr(o, "name", "no name"), ""
	case o.Str("dst") != "" && strings.HasPrefix(f.Key, "wire."):
		kind := f.Key[strings.LastIndexByte(f.Key, '.')+1:]
		what := strings.ToUpper(kind)
		if carries := hello(o); carries != "" {
			what += " " + carries + ","
		}
		if src := o.Str("src"); src != "" {
			what += " " + src
		}
		return strings.TrimSuffix(what, ",") + arrow + o.Str("dst"), ""
	}
	return plain(f), ""
}

// arrow stands between what was asked and what came out.
const arrow = " → "

// Cut shortens the words of a fact to w columns. What came out is kept, as long as there is room
// for a little of what was asked.
func Cut(what string, w int) string {
	left, right, ok := strings.Cut(what, arrow)
	room := w - text.Width(arrow+right)
	if !ok || text.Width(what) <= w || room < 8 {
		return text.Cut(what, w)
	}
	return text.Cut(left, room) + arrow + right
}

// answer puts a DNS answer into words.
func answer(o diag.Obj) string {
	if o.Truth("timeout") == diag.Yes {
		return "no answer"
	}
	addrs, _ := o.Texts("addr")
	if len(addrs) > 0 {
		return strings.Join(addrs, ", ")
	}
	if cname, _ := o.Texts("cname"); len(cname) > 0 {
		return strings.Join(cname, " → ") + ", no address"
	}
	if rcode := o.Str("rcode"); rcode != "" && rcode != "NOERROR" {
		return rcode
	}
	return "no address"
}

func listOr(o diag.Obj, field, none string) string {
	if l, _ := o.Texts(field); len(l) > 0 {
		return strings.Join(l, ", ")
	}
	return none
}

// hello says what a hello carries; it goes before the addresses, since lines are cut at the end.
func hello(o diag.Obj) string {
	var parts []string
	if pid := o.Str("pid"); pid != "" {
		parts = append(parts, "PID "+pid)
	}
	if n, ok := o.Num("version"); ok {
		parts = append(parts, "version "+number(n))
	}
	if n, ok := o.Num("retry"); ok {
		parts = append(parts, "retry "+number(n))
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, ", ")
}

// Value gives the value of a fact in one line: yes and no, lists with commas, objects as
// "field value" in the order of their names.
func Value(v any) string {
	switch v := v.(type) {
	case nil:
		return diag.UnknownValue
	case string:
		if v == "" {
			return "(empty)"
		}
		return v
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case float64:
		return number(v)
	case []any:
		if len(v) == 0 {
			return "(nothing)"
		}
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = Value(v[i])
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, k+" "+Value(v[k]))
		}
		return strings.Join(parts, " · ")
	}
	return fmt.Sprint(v)
}

// number writes at most three decimals: more are noise of the arithmetic.
func number(n float64) string { return strconv.FormatFloat(math.Round(n*1000)/1000, 'f', -1, 64) }

// Latest gives the newest fact of each key, in the order of keys. Keys without a fact are left out.
func Latest(facts []diag.Fact, keys []string) []diag.Fact {
	var out []diag.Fact
	for _, k := range keys {
		for _, f := range slices.Backward(facts) {
			if f.Key == k && f.Value != diag.UnknownValue {
				out = append(out, f)
				break
			}
		}
	}
	return out
}
