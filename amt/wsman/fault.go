package wsman

import (
	"fmt"
	"strings"
)

// Fault is an answer that says a request was not carried out. The parts are without prefixes.
type Fault struct {
	Code    string // "Sender", "Receiver"
	Subcode string // "AccessDenied", "InvalidSelectors": the innermost one
	Reason  string // for people
	Detail  string // all text of the detail, or the last part of its URI
}

// Error gives the parts that are there.
func (f *Fault) Error() string {
	parts := []string{"fault"}
	for _, p := range []string{f.Code, f.Subcode} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	s := strings.Join(parts, " ")
	if f.Reason != "" {
		s += ": " + f.Reason
	}
	if f.Detail != "" {
		s += " (" + f.Detail + ")"
	}
	return s
}

// Unsupported reports whether the fault says that the class, method or instance does not exist in
// this firmware (the subcodes of WS-Addressing, WS-Transfer and WS-Management for it).
func (f *Fault) Unsupported() bool {
	switch f.Subcode {
	case "DestinationUnreachable", "ActionNotSupported", "UnsupportedFeature", "InvalidResourceURI":
		return true
	}
	return false
}

// Fault gives the fault in an answer, nil when it is none. SOAP 1.1 and 1.2 are read.
func (a *Answer) Fault() *Fault {
	n := a.Content()
	if n == nil || n.Local != "Fault" {
		return nil
	}
	if n.Child("Code") == nil { // SOAP 1.1
		return &Fault{Code: local(n.Value("faultcode")), Reason: clip(n.Value("faultstring"), 400), Detail: detail(n.Child("detail"))}
	}
	f := &Fault{Code: local(n.Value("Code", "Value")), Reason: clip(n.Value("Reason", "Text"), 400), Detail: detail(n.Child("Detail"))}
	for sub := n.At("Code", "Subcode"); sub != nil; sub = sub.Child("Subcode") {
		f.Subcode = local(sub.Value("Value"))
	}
	return f
}

// detail joins the texts below a node.
func detail(n *Node) string {
	if n == nil {
		return ""
	}
	var parts []string
	var walk func(*Node)
	walk = func(n *Node) {
		if t := strings.TrimSpace(n.Text); t != "" {
			parts = append(parts, t)
		}
		for i := range n.Nodes {
			walk(&n.Nodes[i])
		}
	}
	walk(n)
	return clip(strings.Join(parts, " "), 400)
}

// local takes the prefix off a qualified name.
func local(qname string) string {
	if i := strings.LastIndexByte(qname, ':'); i >= 0 {
		return qname[i+1:]
	}
	return qname
}

// Output gives the answer of a method call whose return value is success. An error is a *Fault, a
// *ReturnError, or tells that the answer is not one to this request.
func (a *Answer) Output(class, method string) (*Node, error) {
	if f := a.Fault(); f != nil {
		return nil, f
	}
	n := a.Content()
	if n == nil || n.Local != method+"_OUTPUT" {
		return nil, a.unexpected(method + "_OUTPUT")
	}
	if n.Child("ReturnValue") == nil {
		if len(n.Nodes) > 0 { // GetUuid is recorded without one
			return n, nil
		}
		return nil, fmt.Errorf("the answer %s has no return value", n.Local)
	}
	code, err := n.Int("ReturnValue")
	if err != nil {
		return nil, err
	}
	if code != 0 {
		return nil, &ReturnError{Class: class, Method: method, Code: code}
	}
	return n, nil
}

// Instance gives the instance that a Get or Put answered with. Errors as of Output.
func (a *Answer) Instance(class string) (*Node, error) { return a.expect(class) }

// Created gives the reference to what a Create made. Errors as of Output.
func (a *Answer) Created() (Reference, error) {
	n, err := a.expect("ResourceCreated")
	if err != nil {
		return Reference{}, err
	}
	r, ok := ReadReference(n)
	if !ok {
		return r, fmt.Errorf("the answer %s holds no reference", n.Local)
	}
	return r, nil
}

// Context gives the context that an Enumerate answered with. Errors as of Output.
func (a *Answer) Context() (string, error) {
	n, err := a.expect("EnumerateResponse")
	if err != nil {
		return "", err
	}
	if c := n.Value("EnumerationContext"); c != "" {
		return c, nil
	}
	return "", fmt.Errorf("the answer %s holds no context", n.Local)
}

// Pulled gives the instances that a Pull answered with. Errors as of Output.
func (a *Answer) Pulled() (items []Node, next string, err error) {
	if _, err := a.expect("PullResponse"); err != nil {
		return nil, "", err
	}
	items, next = a.Items()
	return items, next, nil
}

func (a *Answer) expect(name string) (*Node, error) {
	if f := a.Fault(); f != nil {
		return nil, f
	}
	if n := a.Content(); n != nil && n.Local == name {
		return n, nil
	}
	return nil, a.unexpected(name)
}

func (a *Answer) unexpected(wanted string) error {
	if n := a.Content(); n != nil {
		return fmt.Errorf("the answer is %s, not %s", clip(n.Local, 60), wanted)
	}
	return fmt.Errorf("the answer is empty, not %s", wanted)
}
