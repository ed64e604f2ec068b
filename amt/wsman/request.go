package wsman

import (
	"strconv"
	"strings"
)

// Request is one request to a class or an instance.
type Request struct {
	Op        string // "AMT_GeneralSettings.Get", for errors and logs
	Action    string // URI
	Resource  string // URI of the class
	Selectors []Selector
	Body      *Node // nil: an empty body
}

// Selector names one key of an instance: a text, or a reference to another instance.
type Selector struct {
	Name  string
	Value string
	Ref   *Reference // when the key is a reference
}

// Reference points to an instance (an endpoint reference).
type Reference struct {
	Resource  string // URI of the class
	Selectors []Selector
}

// URI gives the resource URI of a class by the prefix of its name (provisioning-protocol 3.3).
func URI(class string) string {
	switch {
	case strings.HasPrefix(class, "CIM_"):
		return "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/" + class
	case strings.HasPrefix(class, "IPS_"):
		return "http://intel.com/wbem/wscim/1/ips-schema/1/" + class
	}
	return "http://intel.com/wbem/wscim/1/amt-schema/1/" + class
}

// Get asks for an instance. Without selectors it is the only one of its class.
func Get(class string, selectors ...Selector) Request {
	return Request{Op: class + ".Get", Action: nsTransfer + "/Get", Resource: URI(class), Selectors: selectors}
}

// Put replaces an instance by one that was read and changed.
func Put(class string, instance Node, selectors ...Selector) Request {
	return Request{Op: class + ".Put", Action: nsTransfer + "/Put", Resource: URI(class), Selectors: selectors, Body: &instance}
}

// Create makes an instance. Its answer holds a reference to it.
func Create(class string, fields ...Node) Request {
	body := Node{Space: URI(class), Local: class, Nodes: fields}
	return Request{Op: class + ".Create", Action: nsTransfer + "/Create", Resource: URI(class), Body: &body}
}

// Delete removes an instance.
func Delete(class string, selectors ...Selector) Request {
	return Request{Op: class + ".Delete", Action: nsTransfer + "/Delete", Resource: URI(class), Selectors: selectors}
}

// Enumerate begins to list the instances of a class. Its answer holds the context for Pull.
func Enumerate(class string) Request {
	return Request{Op: class + ".Enumerate", Action: nsEnum + "/Enumerate", Resource: URI(class),
		Body: &Node{Space: nsEnum, Local: "Enumerate"}}
}

// Pull asks for the next instances of a list.
func Pull(class, context string) Request {
	field := func(name, text string) Node { return Node{Space: nsEnum, Local: name, Text: text} }
	return Request{Op: class + ".Pull", Action: nsEnum + "/Pull", Resource: URI(class),
		Body: &Node{Space: nsEnum, Local: "Pull", Nodes: []Node{
			field("EnumerationContext", context), field("MaxElements", "999"), field("MaxCharacters", "99999")}}}
}

// Invoke calls a method of a class, or with selectors of an instance. Parameters are made by Param,
// ParamInt and ParamRef and keep their order.
func Invoke(class, method string, params []Node, selectors ...Selector) Request {
	uri := URI(class)
	body := Node{Space: uri, Local: method + "_INPUT", Nodes: make([]Node, len(params))}
	for i, p := range params {
		p.Space = uri
		body.Nodes[i] = p
	}
	return Request{Op: class + "." + method, Action: uri + "/" + method, Resource: uri, Selectors: selectors, Body: &body}
}

// Param is a parameter that is text.
func Param(name, text string) Node { return Node{Local: name, Text: text} }

// ParamInt is a parameter that is a number.
func ParamInt(name string, v int64) Node { return Param(name, strconv.FormatInt(v, 10)) }

// ParamBool is a parameter that is true or false.
func ParamBool(name string, v bool) Node { return Param(name, strconv.FormatBool(v)) }

// ParamRef is a parameter, or a field of Create, that is a reference; class is that of the request.
func ParamRef(class, name string, r Reference) Node {
	return Node{Space: URI(class), Local: name, Nodes: r.nodes()}
}

func (r Reference) nodes() []Node {
	set := Node{Space: nsWSMan, Local: "SelectorSet"}
	for _, s := range r.Selectors {
		set.Nodes = append(set.Nodes, s.node())
	}
	return []Node{
		{Space: nsAddressing, Local: "Address", Text: anonymous},
		{Space: nsAddressing, Local: "ReferenceParameters", Nodes: []Node{
			{Space: nsWSMan, Local: "ResourceURI", Text: r.Resource}, set}},
	}
}

func (s Selector) node() Node {
	n := Node{Space: nsWSMan, Local: "Selector", Attrs: []Attr{{Name: "Name", Value: s.Name}}, Text: s.Value}
	if s.Ref != nil {
		n.Text = ""
		n.Nodes = []Node{{Space: nsAddressing, Local: "EndpointReference", Nodes: s.Ref.nodes()}}
	}
	return n
}

// ReadReference reads a reference from the element that holds it. ok is false when it is none.
func ReadReference(n *Node) (r Reference, ok bool) {
	if e := n.Child("EndpointReference"); e != nil {
		n = e
	}
	params := n.Child("ReferenceParameters")
	if params == nil {
		return r, false
	}
	r.Resource = params.Value("ResourceURI")
	for _, s := range params.Child("SelectorSet").All("Selector") {
		sel := Selector{Name: s.Attr("Name"), Value: strings.TrimSpace(s.Text)}
		if len(s.Nodes) > 0 {
			inner, ok := ReadReference(s)
			if !ok {
				return r, false
			}
			sel.Value, sel.Ref = "", &inner
		}
		r.Selectors = append(r.Selectors, sel)
	}
	return r, r.Resource != ""
}

// Key gives the text of the reference's only or named selector, empty when there is none.
func (r Reference) Key(name string) string {
	for _, s := range r.Selectors {
		if s.Name == name {
			return s.Value
		}
	}
	return ""
}
