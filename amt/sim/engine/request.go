package engine

import (
	"strconv"
	"strings"
)

// request is a WS-Man message that was read.
type request struct {
	action, uri, id string
	class           string // last part of uri
	selectors       []selector
	body            *node // first child of the body; nil for an empty one
	identify        bool
}

// known are the header blocks that the firmware understands, by namespace and name.
var known = map[string]bool{
	nsAddress + " To": true, nsAddress + " Action": true, nsAddress + " MessageID": true, nsAddress + " ReplyTo": true,
	nsAddress + " FaultTo": true, nsAddress + " From": true, nsAddress + " RelatesTo": true,
	nsWsman + " ResourceURI": true, nsWsman + " SelectorSet": true, nsWsman + " OperationTimeout": true,
	nsWsman + " MaxEnvelopeSize": true, nsWsman + " Locale": true, nsTrust + " IssuedTokens": true,
}

// leastEnvelope is the smallest answer limit that firmware accepts (Intel's guide on DSP0226, section 6).
const leastEnvelope = 50000

// read takes a message apart. A fault says why it is none; the request then holds what the fault needs.
func read(body []byte) (request, *wsFault) {
	var r request
	root, err := parse(body)
	if err != nil || root.name != "Envelope" {
		return r, &faultSchema
	}
	if root.space != nsSOAP12 {
		return r, &faultVersion
	}
	head, content := root.kid("Header"), root.kid("Body")
	if content == nil {
		return r, &faultSchema
	}
	r.body = content.first()
	r.identify = r.body != nil && r.body.space == nsIdentity && r.body.name == "Identify"
	if f := r.header(head); f != nil || r.identify {
		return r, f
	}
	if r.action == "" || r.id == "" {
		return r, &faultHeader
	}
	if r.uri == "" {
		return r, &faultNoRoute
	}
	r.class = r.uri[strings.LastIndexByte(r.uri, '/')+1:]
	return r, nil
}

// header reads the blocks. All are read before a fault is told, so that it can relate to the message.
func (r *request) header(head *node) (f *wsFault) {
	if head == nil {
		return nil
	}
	for _, h := range head.kids {
		text := strings.TrimSpace(h.text)
		if !known[h.space+" "+h.name] {
			if h.must() {
				f = &faultUnderstand
			}
			continue
		}
		switch h.name {
		case "Action":
			r.action = text
		case "MessageID":
			r.id = text
		case "ResourceURI":
			r.uri = text
		case "SelectorSet":
			var ok bool
			if r.selectors, ok = readSelectors(h, 0); !ok {
				f = &faultSelectors
			}
		case "MaxEnvelopeSize":
			if n, err := strconv.Atoi(text); err != nil || n < leastEnvelope {
				f = &faultSize
			}
		}
	}
	return f
}

// readSelectors reads a SelectorSet; __cimnamespace is passed over.
func readSelectors(set *node, depth int) (out []selector, ok bool) {
	if depth > 3 {
		return nil, false
	}
	for _, k := range set.kids {
		name := k.attr("Name")
		if k.name != "Selector" || name == "" {
			return nil, false
		}
		if name == "__cimnamespace" {
			continue
		}
		s := selector{name: name, text: strings.TrimSpace(k.text)}
		if epr := k.kid("EndpointReference"); epr != nil {
			ref, ok := readReference(epr, depth+1)
			if !ok {
				return nil, false
			}
			s.ref, s.text = &ref, ""
		}
		out = append(out, s)
	}
	return out, true
}

// readReference reads what stands in an endpoint reference.
func readReference(n *node, depth int) (reference, bool) {
	p := n.kid("ReferenceParameters")
	if p == nil {
		if epr := n.kid("EndpointReference"); epr != nil && depth < 3 {
			return readReference(epr, depth+1)
		}
		return reference{}, false
	}
	uri := p.value("ResourceURI")
	r := reference{class: uri[strings.LastIndexByte(uri, '/')+1:]}
	set := p.kid("SelectorSet")
	if r.class == "" || uri != uriOf(r.class) || set == nil {
		return r, false
	}
	var ok bool
	r.by, ok = readSelectors(set, depth)
	return r, ok
}
