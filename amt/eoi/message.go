// Package eoi builds the SOAP messages of AMT before WS-Man (the "external operations interface" of 2.x,
// served until 8.x) and reads their answers. It is pure: package device carries the bytes. Start with
// the functions of ops.go for requests and with Parse for answers.
//
// No sample of a setup over this interface is public. What is known, and from whom, stands at each Op;
// what nobody states is left out.
package eoi

import (
	"errors"
	"fmt"

	"amtmedic/amt/wsman"
)

const (
	nsSOAP   = "http://schemas.xmlsoap.org/soap/envelope/"
	nsClient = "http://schemas.intel.com/platform/client/"
)

// Service is one of the services of the interface: the path of its requests, and the name in its
// namespace (amttool; the list of namespaces is that of a public firmware that answers the interface).
type Service struct {
	Path  string // "/SecurityAdministrationService"
	Space string // namespace of its methods and their parameters
}

// The services that a setup uses.
func security() Service { return service("SecurityAdministration") }
func network() Service  { return service("NetworkAdministration") }
func clock() Service    { return service("NetworkTime") }

func service(name string) Service {
	return Service{Path: "/" + name + "Service", Space: nsClient + name + "/2004/01"}
}

// Request is one call. Its form is that of amttool, which works with real firmware: parameters in the
// namespace of the service, without types.
type Request struct {
	Op     Op
	Params []wsman.Node // names and texts; namespaces are filled in
}

// Action is what SOAPAction says: whether firmware looks at it is not known.
func (r Request) Action() string { return `"` + r.Op.Service.Space + "#" + r.Op.Method + `"` }

// Encode gives the bytes of a request. What XML cannot hold becomes U+FFFD.
func (r Request) Encode() []byte {
	b := []byte(`<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="` + nsSOAP + `"><soap:Body><` +
		r.Op.Method + ` xmlns="` + r.Op.Service.Space + `">`)
	for _, p := range r.Params {
		b = appendParam(b, p)
	}
	return append(b, "</"+r.Op.Method+"></soap:Body></soap:Envelope>"...)
}

func appendParam(b []byte, n wsman.Node) []byte {
	b = append(b, "<"+n.Local+">"+wsman.Escape(n.Text)...)
	for _, c := range n.Nodes {
		b = appendParam(b, c)
	}
	return append(b, "</"+n.Local+">"...)
}

// The names that the first element of an answer has: in Intel's sample program and in a public firmware.
var statusNames = []string{"Status", "StatusCode"}

// ErrNoStatus says that an answer does not begin with a number: it is none of this interface.
var ErrNoStatus = errors.New("the answer does not begin with a status")

// ErrForeign says that an answer is that of another method.
var ErrForeign = errors.New("this is the answer of another method")

// Parse reads the answer to a request. Its values are children of the node. The error is a
// *wsman.ParseError, a *wsman.Fault, a *wsman.ReturnError for a status other than success, ErrForeign
// or ErrNoStatus. With a ReturnError the node is there too.
func Parse(data []byte, r Request) (*wsman.Node, error) {
	a, err := wsman.Parse(data)
	if err != nil {
		return nil, err
	}
	if f := a.Fault(); f != nil {
		return nil, f
	}
	n := a.Content()
	if n == nil || n.Local != r.Op.Method+"Response" {
		got := "an empty body"
		if n != nil {
			got = "<" + n.Local + ">"
		}
		return nil, fmt.Errorf("%w: %s instead of <%sResponse>", ErrForeign, got, r.Op.Method)
	}
	code, err := status(n)
	if err != nil {
		return nil, err
	}
	if code != 0 {
		return n, &wsman.ReturnError{Class: r.Op.Service.Path[1:], Method: r.Op.Method, Code: code}
	}
	return n, nil
}

// status reads the first value of an answer. Only the order is certain (amttool takes the first one),
// so a name that is not known is taken too when it holds a number.
func status(n *wsman.Node) (int, error) {
	for _, name := range statusNames {
		if n.Child(name) != nil {
			return n.Int(name)
		}
	}
	if len(n.Nodes) == 0 {
		return 0, ErrNoStatus
	}
	code, err := n.Nodes[0].Int()
	if err != nil {
		return 0, fmt.Errorf("%w: <%s>", ErrNoStatus, n.Nodes[0].Local)
	}
	return code, nil
}
