// Package wsman builds the WS-Management requests that a setup needs and reads the answers that AMT
// gives to them. It is pure: requests become bytes, bytes become answers, and package device carries
// them. Start with Get, Put, Invoke and the like for requests, and with Parse for answers.
//
// The form of requests is that of programs which configure real firmware (provisioning-protocol
// 3.3); the form of answers is that of recorded ones, all of which are read.
package wsman

// The namespaces of a message.
const (
	nsSOAP12     = "http://www.w3.org/2003/05/soap-envelope"
	nsSOAP11     = "http://schemas.xmlsoap.org/soap/envelope/"
	nsAddressing = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
	nsWSMan      = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
	nsEnum       = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
	nsTransfer   = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
	anonymous    = nsAddressing + "/role/anonymous"
)

// Answer is what came back.
type Answer struct {
	Header Node // its children are the header's blocks
	Body   Node // its child is the answer; none after a Delete
}

// Parse reads an answer. An error is a *ParseError. A fault is an answer: see Fault.
func Parse(data []byte) (*Answer, error) {
	root, err := ParseTree(data)
	if err != nil {
		return nil, err
	}
	if root.Local != "Envelope" || root.Space != nsSOAP12 && root.Space != nsSOAP11 {
		return nil, &ParseError{Err: ErrNoSOAP}
	}
	a := &Answer{}
	if h := root.Child("Header"); h != nil {
		a.Header = *h
	}
	b := root.Child("Body")
	if b == nil {
		return nil, &ParseError{Err: ErrNoBody}
	}
	a.Body = *b
	return a, nil
}

// Content gives the element in the body, nil when the body is empty.
func (a *Answer) Content() *Node {
	if len(a.Body.Nodes) == 0 {
		return nil
	}
	return &a.Body.Nodes[0]
}

// Action gives the URI that says what kind of answer it is.
func (a *Answer) Action() string { return a.Header.Value("Action") }

// Resource gives the URI of the class that answered.
func (a *Answer) Resource() string { return a.Header.Value("ResourceURI") }

// RelatesTo gives the MessageID of the request.
func (a *Answer) RelatesTo() string { return a.Header.Value("RelatesTo") }

// Items gives the instances of an answer to Pull, and the context for the next Pull, which is empty
// when there are no more.
func (a *Answer) Items() (items []Node, next string) {
	c := a.Content()
	if c == nil {
		return nil, ""
	}
	if list := c.Child("Items"); list != nil {
		items = list.Nodes
	}
	if c.Child("EndOfSequence") == nil {
		next = c.Value("EnumerationContext")
	}
	return items, next
}
