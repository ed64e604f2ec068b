package engine

import (
	"amtmedic/amt"
)

// class is what the firmware knows about a CIM class.
type class struct {
	name   string
	since  [2]int // first release, major and minor
	before int    // major release in which it is gone; 0: never
	keys   []string
	as     string // the class of its instances when that is a derived one
	common bool   // answers declare the common namespace too, as recorded ones of this class do
	// list gives the instances; the lock is held.
	list func(e *Engine) []instance
	// put changes an instance; it gives a PT_STATUS. nil: Put is not supported.
	put func(e *Engine, c *call, old instance, body *node) int
	// create makes one and refers to it.
	create func(e *Engine, c *call, body *node) (reference, int)
	remove func(e *Engine, c *call, old instance) int
	does   map[string]method
}

// instance is the fields of an instance, in the order in which firmware gives them.
type instance []field

// get gives the text of a field.
func (i instance) get(name string) string {
	for _, f := range i {
		if f.name == name {
			return f.text
		}
	}
	return ""
}

// method carries out a method of a class. Its answer ends with ReturnValue.
type method struct {
	since  [2]int
	before int
	do     func(e *Engine, c *call) result
}

// result is a method's answer.
type result struct {
	ret    int
	fields []field
	fault  *wsFault // instead of an answer
}

func ret(pt int) result { return result{ret: pt} }

// call is one request on its way through the engine.
type call struct {
	engine  *Engine
	s       Session
	r       *request
	in      *node // the method's input
	user    *user // nil: nobody is logged in, but the session needs no log-in
	changes []Change
	do      Action
}

// in says whether a release has something that came with since and went with before.
func within(v amt.Version, since [2]int, before int) bool {
	return v.AtLeast(since[0], since[1]) && (before == 0 || v.Major() < before)
}

// classes lists what is known, by name.
var classes = func() map[string]*class {
	all := map[string]*class{}
	for _, group := range [][]class{setupClasses, generalClasses, aclClasses, keyClasses, tlsClasses, networkClasses, powerClasses,
		identityClasses, hostSetupClasses, logClasses, assetClasses, bootClasses, moreClasses} {
		for i := range group {
			all[group[i].name] = &group[i]
		}
	}
	return all
}()

// find gives a class that this release has. The whole URI must fit.
func (e *Engine) find(r *request) *class {
	c := classes[r.class]
	if c == nil || r.uri != uriOf(r.class) || !within(e.cfg.Version, c.since, c.before) {
		return nil
	}
	return c
}

// item is the class of the instances themselves.
func (c *class) item() string {
	if c.as != "" {
		return c.as
	}
	return c.name
}

// reference refers to an instance of the class by its keys.
func (c *class) reference(i instance) reference {
	r := reference{class: c.item()}
	for _, k := range c.keys {
		for _, f := range i {
			if f.name == k {
				r.by = append(r.by, selector{name: k, text: f.text, ref: f.ref})
			}
		}
	}
	return r
}

// pick finds the one instance that selectors name. Without selectors a class with one instance gives
// that (public programs read services of four keys so).
func (c *class) pick(all []instance, by []selector) (instance, *wsFault) {
	for _, s := range by {
		if !c.hasKey(s.name) {
			return nil, &faultSelectors
		}
	}
	var found []instance
	for _, i := range all {
		if i.matches(by) {
			found = append(found, i)
		}
	}
	if len(found) != 1 {
		return nil, &faultSelectors
	}
	return found[0], nil
}

func (c *class) hasKey(name string) bool {
	for _, k := range c.keys {
		if k == name {
			return true
		}
	}
	return false
}

func (i instance) matches(by []selector) bool {
	for _, s := range by {
		ok := false
		for _, f := range i {
			if f.name == s.name {
				ok = f.text == s.text && (f.ref == nil) == (s.ref == nil) && (f.ref == nil || f.ref.same(*s.ref))
			}
		}
		if !ok {
			return false
		}
	}
	return true
}
