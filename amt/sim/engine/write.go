package engine

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// field is an element of an instance or of a method's answer: text, a reference, a date, or other fields.
type field struct {
	name string
	text string
	ref  *reference
	date time.Time
	kids []field
}

func str(name, text string) field { return field{name: name, text: text} }
func num[T ~int | ~int64 | ~uint32](name string, n T) field {
	return field{name: name, text: strconv.FormatInt(int64(n), 10)}
}
func yes(name string, b bool) field       { return field{name: name, text: strconv.FormatBool(b)} }
func to(name string, r reference) field   { return field{name: name, ref: &r} }
func when(name string, t time.Time) field { return field{name: name, date: t} }

// reference is an endpoint reference to an instance.
type reference struct {
	class string
	by    []selector
}

// selector names a key; its value is a text or again a reference.
type selector struct {
	name, text string
	ref        *reference
}

// same reports whether two references name the same instance.
func (r reference) same(o reference) bool {
	if r.class != o.class || len(r.by) != len(o.by) {
		return false
	}
	for _, s := range r.by {
		if v, ok := o.value(s.name); !ok || v != s.text {
			return false
		}
	}
	return true
}

// value gives the text of a selector.
func (r reference) value(name string) (string, bool) {
	for _, s := range r.by {
		if s.name == name {
			return s.text, true
		}
	}
	return "", false
}

// byInstance refers to the instance of a class whose only key is InstanceID.
func byInstance(class, id string) reference {
	return reference{class: class, by: []selector{{name: "InstanceID", text: id}}}
}

// writer writes a message. Elements named omit are left out (FaultMissing).
type writer struct {
	bytes.Buffer
	omit string
}

// escape writes text in the form that firmware gives it: only what XML demands.
func (w *writer) escape(s string) {
	for _, r := range s {
		switch {
		case r == '&':
			w.WriteString("&amp;")
		case r == '<':
			w.WriteString("&lt;")
		case r == '>':
			w.WriteString("&gt;")
		case r == '"':
			w.WriteString("&quot;")
		case r < 0x20 && r != '\t' && r != '\n' && r != '\r', r == 0xFFFE, r == 0xFFFF, r == '\uFFFD':
			w.WriteByte('?') // not allowed in XML
		default:
			w.WriteRune(r)
		}
	}
}

func (w *writer) element(name, text string) {
	w.WriteString("<" + name + ">")
	w.escape(text)
	w.WriteString("</" + name + ">")
}

// fields writes fields with a prefix; dates have the prefix of the common namespace.
func (w *writer) fields(prefix, common string, fs []field) {
	for _, f := range fs {
		if w.omit != "" && f.name == w.omit {
			continue
		}
		name := prefix + ":" + f.name
		switch {
		case f.ref != nil:
			w.WriteString("<" + name + ">")
			w.reference(*f.ref)
			w.WriteString("</" + name + ">")
		case !f.date.IsZero():
			w.WriteString("<" + name + ">")
			w.element(common+":Datetime", f.date.UTC().Format("2006-01-02T15:04:05Z"))
			w.WriteString("</" + name + ">")
		case f.kids != nil:
			w.WriteString("<" + name + ">")
			w.fields(prefix, common, f.kids)
			w.WriteString("</" + name + ">")
		default:
			w.element(name, f.text)
		}
	}
}

// reference writes the content of an endpoint reference.
func (w *writer) reference(r reference) {
	w.element("b:Address", anonymous)
	w.WriteString("<b:ReferenceParameters>")
	w.element("c:ResourceURI", uriOf(r.class))
	w.WriteString("<c:SelectorSet>")
	for _, s := range r.by {
		w.WriteString(`<c:Selector Name="`)
		w.escape(s.name)
		w.WriteString(`">`)
		if s.ref != nil {
			w.WriteString("<b:EndpointReference>")
			w.reference(*s.ref)
			w.WriteString("</b:EndpointReference>")
		} else {
			w.escape(s.text)
		}
		w.WriteString("</c:Selector>")
	}
	w.WriteString("</c:SelectorSet></b:ReferenceParameters>")
}

const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>`

// open begins an answer as recorded firmware begins it: the same six prefixes, then those that the
// body needs from g on.
func (w *writer) open(action, relates, message, uri string, spaces ...string) {
	w.WriteString(xmlHead + `<a:Envelope`)
	for i, ns := range append([]string{nsSOAP12, nsAddress, nsWsman, nsTrust, nsSecurity, nsBinding}, spaces...) {
		fmt.Fprintf(w, ` xmlns:%c="%s"`, 'a'+i, ns)
	}
	w.WriteString(` xmlns:xsi="` + nsXSI + `"><a:Header>`)
	w.header(action, relates, message)
	if uri != "" {
		w.element("c:ResourceURI", uri)
	}
	w.WriteString("</a:Header><a:Body>")
}

func (w *writer) header(action, relates, message string) {
	w.element("b:To", anonymous)
	w.element("b:RelatesTo", relates)
	w.WriteString(`<b:Action a:mustUnderstand="true">`)
	w.escape(action)
	w.WriteString("</b:Action>")
	w.element("b:MessageID", message)
}

func (w *writer) close() { w.WriteString("</a:Body></a:Envelope>") }

// uriOf gives the resource URI of a class by its schema's prefix.
func uriOf(class string) string {
	switch {
	case strings.HasPrefix(class, "CIM_"):
		return uriCIM + class
	case strings.HasPrefix(class, "IPS_"):
		return uriIPS + class
	}
	return uriAMT + class
}
