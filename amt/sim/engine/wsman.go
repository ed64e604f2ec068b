package engine

import (
	"fmt"
	"strconv"
	"strings"
)

// The actions of WS-Transfer and WS-Enumeration.
const (
	actGet       = nsTransfer + "/Get"
	actPut       = nsTransfer + "/Put"
	actCreate    = nsTransfer + "/Create"
	actDelete    = nsTransfer + "/Delete"
	actEnumerate = nsEnum + "/Enumerate"
	actPull      = nsEnum + "/Pull"
	actRelease   = nsEnum + "/Release"
)

// step names what a message asks, for faults and logs: class.method.
func (r *request) step() string {
	name := r.action[strings.LastIndexByte(r.action, '/')+1:]
	if r.identify {
		return "Identify"
	}
	return r.class + "." + name
}

// wsman answers a message to /wsman. The lock is held.
func (e *Engine) wsman(c *call, r *request, omit string) Answer {
	w := &writer{omit: omit}
	ans := Answer{Status: 200, Step: r.step()}
	f := e.dispatch(c, r, w, &ans)
	if f != nil {
		ans.Status, ans.Body = f.status, f.encode(r.id, e.message())
	} else {
		w.close()
		ans.Body = w.Bytes()
	}
	ans.Header = map[string]string{"Content-Type": "application/soap+xml; charset=UTF-8"}
	ans.Do = c.do
	return ans
}

// message makes the next MessageID in the form of firmware, which counts.
func (e *Engine) message() string {
	e.messages++
	return fmt.Sprintf("uuid:00000000-8086-8086-8086-%012X", e.messages)
}

func (e *Engine) dispatch(c *call, r *request, w *writer, ans *Answer) *wsFault {
	if r.identify {
		e.identify(r, w)
		return nil
	}
	k := e.find(r)
	if k == nil {
		return &faultNoRoute
	}
	c.r = r
	if !c.may(k, r) {
		return &faultDenied
	}
	open := func(spaces ...string) { w.open(r.action+"Response", r.id, e.message(), r.uri, spaces...) }
	switch r.action {
	case actGet:
		i, f := k.pick(k.list(e), r.selectors)
		if f != nil {
			return f
		}
		open(k.spaces()...)
		w.instance("g", "h", k.item(), i)
	case actPut:
		return e.doPut(c, k, r, w, open)
	case actCreate:
		return e.doCreate(c, k, r, w, open)
	case actDelete:
		if k.remove == nil {
			return &faultAction
		}
		i, f := k.pick(k.list(e), r.selectors)
		if f != nil {
			return f
		}
		if pt := k.remove(e, c, i); pt != 0 {
			return internal(pt)
		}
		open()
	case actEnumerate:
		return e.enumerate(k, r, w, open)
	case actPull:
		return e.pull(k, r, w, open)
	case actRelease:
		id := r.body.value("EnumerationContext")
		if _, ok := e.contexts[id]; !ok {
			return &faultContext
		}
		delete(e.contexts, id)
		open()
	default:
		return e.invoke(c, k, r, w, ans, open)
	}
	return nil
}

// spaces are the namespaces that an answer with an instance in it declares.
func (k *class) spaces() []string {
	if k.common {
		return []string{uriOf(k.item()), nsCommon}
	}
	return []string{uriOf(k.item())}
}

func (w *writer) instance(prefix, common, name string, i instance) {
	w.WriteString("<" + prefix + ":" + name + ">")
	w.fields(prefix, common, i)
	w.WriteString("</" + prefix + ":" + name + ">")
}

func (e *Engine) doPut(c *call, k *class, r *request, w *writer, open func(...string)) *wsFault {
	if k.put == nil {
		return &faultAction
	}
	if r.body == nil || r.body.name != k.name || r.body.space != r.uri {
		return &faultSchema
	}
	i, f := k.pick(k.list(e), r.selectors)
	if f != nil {
		return f
	}
	// A key cannot be changed.
	for _, key := range k.keys {
		if v, ok := r.body.lookup(key); ok && i.get(key) != "" && v != i.get(key) {
			return &faultShape
		}
	}
	if pt := k.put(e, c, i, r.body); pt != 0 {
		return internal(pt)
	}
	now := i
	for _, n := range k.list(e) { // as it stands now
		if k.reference(n).same(k.reference(i)) {
			now = n
		}
	}
	if len(k.list(e)) == 1 {
		now = k.list(e)[0]
	}
	open(k.spaces()...)
	w.instance("g", "h", k.item(), now)
	return nil
}

func (e *Engine) doCreate(c *call, k *class, r *request, w *writer, open func(...string)) *wsFault {
	if k.create == nil {
		return &faultAction
	}
	if r.body == nil || r.body.name != k.name || r.body.space != r.uri {
		return &faultSchema
	}
	ref, pt := k.create(e, c, r.body)
	switch {
	case pt == ptDuplicate:
		return &faultExists
	case pt != 0:
		return internal(pt)
	}
	open(nsTransfer)
	w.WriteString("<g:ResourceCreated>")
	w.reference(ref)
	w.WriteString("</g:ResourceCreated>")
	return nil
}

// invoke carries out a method.
func (e *Engine) invoke(c *call, k *class, r *request, w *writer, ans *Answer, open func(...string)) *wsFault {
	name, ok := strings.CutPrefix(r.action, r.uri+"/")
	m, known := k.does[name]
	if !ok || !known || !within(e.cfg.Version, m.since, m.before) {
		return &faultAction
	}
	if r.body != nil && (r.body.name != name+"_INPUT" || r.body.space != r.uri) {
		return &faultSchema
	}
	if _, f := k.pick(k.list(e), r.selectors); f != nil {
		return f
	}
	c.in = r.body
	out := m.do(e, c)
	if out.fault != nil {
		return out.fault
	}
	ans.Return = out.ret
	w.output(open, r.uri, name, out.fields, out.ret)
	return nil
}

// output writes the answer of a method.
func (w *writer) output(open func(...string), uri, name string, fields []field, ret int) {
	open(uri)
	w.WriteString("<g:" + name + "_OUTPUT>")
	w.fields("g", "g", append(fields, str("ReturnValue", strconv.Itoa(ret))))
	w.WriteString("</g:" + name + "_OUTPUT>")
}

// identify answers what needs no log-in (DSP0226 section 11). No recorded answer of firmware was found:
// the vendor's and product's words are a guess.
func (e *Engine) identify(r *request, w *writer) {
	w.WriteString(xmlHead + `<a:Envelope xmlns:a="` + nsSOAP12 + `" xmlns:b="` + nsIdentity + `"><a:Header></a:Header><a:Body><b:IdentifyResponse>`)
	w.element("b:ProtocolVersion", nsWsman)
	w.element("b:ProductVendor", "Intel(R)")
	w.element("b:ProductVersion", "AMT "+e.version())
	w.WriteString("<b:SecurityProfiles>")
	w.element("b:SecurityProfileName", "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/http/digest")
	w.WriteString("</b:SecurityProfiles></b:IdentifyResponse>")
}
