package engine

import (
	"fmt"
	"math/bits"
	"strconv"
)

// maxContexts bounds the enumerations that are open at a time; the oldest goes.
const maxContexts = 16

// enumeration is one that was begun and not yet read to its end.
type enumeration struct {
	class string
	items []instance
	mode  string // EnumerationMode; empty is the objects themselves
	order uint32
}

// enumerate begins one. Items come with Pull only: the optimised form is not offered.
func (e *Engine) enumerate(k *class, r *request, w *writer, open func(...string)) *wsFault {
	if r.body == nil || r.body.name != "Enumerate" {
		return &faultSchema
	}
	if r.body.kid("Filter") != nil {
		return &faultFilter
	}
	mode := r.body.value("EnumerationMode")
	switch mode {
	case "", "EnumerateEPR", "EnumerateObjectAndEPR":
	default:
		return &faultFeature
	}
	if e.contexts == nil {
		e.contexts = map[string]*enumeration{}
	}
	if len(e.contexts) >= maxContexts {
		oldest := ""
		for id, c := range e.contexts {
			if oldest == "" || c.order < e.contexts[oldest].order {
				oldest = id
			}
		}
		delete(e.contexts, oldest)
	}
	e.opened++
	id := fmt.Sprintf("%08X-0000-0000-0000-000000000000", bits.ReverseBytes32(e.opened))
	e.contexts[id] = &enumeration{class: k.name, items: k.list(e), mode: mode, order: e.opened}
	open(nsEnum)
	w.WriteString("<g:EnumerateResponse>")
	w.element("g:EnumerationContext", id)
	w.WriteString("</g:EnumerateResponse>")
	return nil
}

// pull gives the next items: one, unless the message asks for more (DSP0226 section 8.7).
func (e *Engine) pull(k *class, r *request, w *writer, open func(...string)) *wsFault {
	if r.body == nil || r.body.name != "Pull" {
		return &faultSchema
	}
	id := r.body.value("EnumerationContext")
	c := e.contexts[id]
	if c == nil || c.class != k.name {
		return &faultContext
	}
	n := 1
	if s, ok := r.body.lookup("MaxElements"); ok {
		var err error
		if n, err = strconv.Atoi(s); err != nil || n < 1 {
			return &faultParameter
		}
	}
	n = min(n, len(c.items))
	items := c.items[:n]
	c.items = c.items[n:]
	done := len(c.items) == 0
	if done {
		delete(e.contexts, id)
	}
	open(append([]string{nsEnum}, k.spaces()...)...)
	w.WriteString("<g:PullResponse>")
	if !done {
		w.element("g:EnumerationContext", id)
	}
	w.WriteString("<g:Items>")
	for _, i := range items {
		w.item(k, i, c.mode)
	}
	w.WriteString("</g:Items>")
	if done {
		w.WriteString("<g:EndOfSequence></g:EndOfSequence>")
	}
	w.WriteString("</g:PullResponse>")
	return nil
}

func (w *writer) item(k *class, i instance, mode string) {
	both := mode == "EnumerateObjectAndEPR"
	if both {
		w.WriteString("<c:Item>")
	}
	if mode != "EnumerateEPR" {
		w.instance("h", "i", k.item(), i)
	}
	if mode != "" {
		w.WriteString("<b:EndpointReference>")
		w.reference(k.reference(i))
		w.WriteString("</b:EndpointReference>")
	}
	if both {
		w.WriteString("</c:Item>")
	}
}
