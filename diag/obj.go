package diag

import "strings"

// Obj reads the fields of a value that may be an object.
type Obj struct{ v any }

// ObjOf wraps the value of a fact.
func ObjOf(f Fact) Obj { return Obj{f.Value} }

// Is reports whether there is an object at all.
func (o Obj) Is() bool { _, ok := o.v.(map[string]any); return ok }

func (o Obj) field(name string) any {
	m, _ := o.v.(map[string]any)
	return m[name]
}

// Has reports whether the field was looked at.
func (o Obj) Has(name string) bool { return o.field(name) != nil }

// Any gives a field as it is, nil while unknown.
func (o Obj) Any(name string) any { return o.field(name) }

// Str gives a text field, empty while unknown.
func (o Obj) Str(name string) string { s, _ := o.field(name).(string); return s }

// Num gives a number field.
func (o Obj) Num(name string) (float64, bool) { n, ok := o.field(name).(float64); return n, ok }

// Truth gives a bool field as a Tri.
func (o Obj) Truth(name string) Tri {
	if b, ok := o.field(name).(bool); ok {
		return Is(b)
	}
	return Dunno
}

// Texts gives a list field; ok is false while unknown.
func (o Obj) Texts(name string) ([]string, bool) { return texts(o.field(name)) }

// Objs gives the objects of a list value.
func Objs(value any) []Obj {
	l, _ := value.([]any)
	var out []Obj
	for _, e := range l {
		out = append(out, Obj{e})
	}
	return out
}

func texts(value any) ([]string, bool) {
	l, ok := value.([]any)
	if !ok {
		return nil, false
	}
	out := make([]string, 0, len(l))
	for _, e := range l {
		switch e := e.(type) {
		case string:
			out = append(out, e)
		}
	}
	return out, true
}

// Host gives the address of address:port, or the text itself.
func Host(addrPort string) string {
	i := strings.LastIndexByte(addrPort, ':')
	if i < 0 {
		return addrPort
	}
	if strings.Count(addrPort, ":") > 1 && !strings.Contains(addrPort, "]") {
		return addrPort // a bare IPv6 address
	}
	return strings.Trim(addrPort[:i], "[]")
}
