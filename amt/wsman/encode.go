package wsman

import (
	"strconv"
	"unicode/utf8"
)

// The frame of a request, as programs that configure real firmware send it: prefixes, order of the
// header and time-out included (provisioning-protocol 3.3).
const (
	frameOpen = `<?xml version="1.0" encoding="utf-8"?><Envelope xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"` +
		` xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:a="` + nsAddressing + `" xmlns:w="` + nsWSMan + `" xmlns="` + nsSOAP12 + `">`
	frameClose = `</Envelope>`
	timeout    = "PT60S"
)

// Encode gives the bytes of the request. The answer's RelatesTo is the id.
func (r Request) Encode(id int) []byte {
	b := make([]byte, 0, 1024)
	b = append(b, frameOpen+"<Header><a:Action>"...)
	b = appendText(b, r.Action)
	b = append(b, "</a:Action><a:To>/wsman</a:To><w:ResourceURI>"...)
	b = appendText(b, r.Resource)
	b = append(b, "</w:ResourceURI><a:MessageID>"...)
	b = strconv.AppendInt(b, int64(id), 10)
	b = append(b, "</a:MessageID><a:ReplyTo><a:Address>"+anonymous+"</a:Address></a:ReplyTo><w:OperationTimeout>"+timeout+"</w:OperationTimeout>"...)
	if len(r.Selectors) > 0 {
		set := Node{Space: nsWSMan, Local: "SelectorSet"}
		for _, s := range r.Selectors {
			set.Nodes = append(set.Nodes, s.node())
		}
		b = appendNode(b, &set, scope{def: nsSOAP12})
	}
	b = append(b, "</Header>"...)
	if r.Body == nil {
		return append(b, "<Body></Body>"+frameClose...)
	}
	b = append(b, "<Body>"...)
	b = appendNode(b, r.Body, scope{resource: r.Resource, def: nsSOAP12})
	return append(b, "</Body>"+frameClose...)
}

// scope is what is declared where an element is written.
type scope struct {
	resource string // namespace that gets the prefix r
	declared bool   // r is declared
	def      string // namespace of elements without a prefix
}

func appendNode(b []byte, n *Node, s scope) []byte {
	prefix, declare := "", ""
	switch n.Space {
	case nsAddressing:
		prefix = "a:"
	case nsWSMan:
		prefix = "w:"
	case s.def:
	case s.resource:
		prefix = "r:"
		if !s.declared {
			declare, s.declared = ` xmlns:r="`, true
		}
	default:
		declare, s.def = ` xmlns="`, n.Space
	}
	b = append(append(append(b, '<'), prefix...), n.Local...)
	if declare != "" {
		b = append(appendText(append(b, declare...), n.Space), '"')
	}
	for _, a := range n.Attrs {
		if a.Space != "" {
			continue // xsi:type and the like are not sent back
		}
		b = append(append(append(b, ' '), a.Name...), `="`...)
		b = append(appendText(b, a.Value), '"')
	}
	b = append(b, '>')
	b = appendText(b, n.Text)
	for i := range n.Nodes {
		b = appendNode(b, &n.Nodes[i], s)
	}
	return append(append(append(append(b, "</"...), prefix...), n.Local...), '>')
}

// appendText escapes with the five names of XML itself: the reader in firmware need not know more.
// What XML cannot hold becomes U+FFFD.
func appendText(b []byte, s string) []byte {
	for _, r := range s {
		switch {
		case r == '&':
			b = append(b, "&amp;"...)
		case r == '<':
			b = append(b, "&lt;"...)
		case r == '>':
			b = append(b, "&gt;"...)
		case r == '"':
			b = append(b, "&quot;"...)
		case r == '\'':
			b = append(b, "&apos;"...)
		case r == '\t', r == '\n', r == '\r', r >= 0x20 && r != 0xFFFE && r != 0xFFFF:
			b = utf8.AppendRune(b, r)
		default:
			b = utf8.AppendRune(b, utf8.RuneError)
		}
	}
	return b
}

// Escape gives text as it stands in a request.
func Escape(s string) string { return string(appendText(nil, s)) }
