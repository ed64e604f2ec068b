package engine

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// What a request may hold. Firmware has some tens of kilobytes for a message; nothing that setup sends
// comes near these.
const (
	maxBody  = 128 << 10
	maxDepth = 40
	maxNodes = 4000
)

// The namespaces of the messages.
const (
	nsSOAP12    = "http://www.w3.org/2003/05/soap-envelope"
	nsSOAP11    = "http://schemas.xmlsoap.org/soap/envelope/"
	nsAddress   = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
	nsWsman     = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
	nsTrust     = "http://schemas.xmlsoap.org/ws/2005/02/trust"
	nsSecurity  = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	nsBinding   = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd"
	nsEnum      = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
	nsTransfer  = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
	nsEventing  = "http://schemas.xmlsoap.org/ws/2004/08/eventing"
	nsCommon    = "http://schemas.dmtf.org/wbem/wscim/1/common"
	nsIdentity  = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
	nsXSI       = "http://www.w3.org/2001/XMLSchema-instance"
	uriAMT      = "http://intel.com/wbem/wscim/1/amt-schema/1/"
	uriIPS      = "http://intel.com/wbem/wscim/1/ips-schema/1/"
	uriCIM      = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
	anonymous   = nsAddress + "/role/anonymous"
	uriPlatform = "http://schemas.intel.com/platform/client/"
)

// node is an element of a request.
type node struct {
	space, name string
	text        string // directly in it, as it was sent
	attrs       []xml.Attr
	kids        []*node
}

var (
	errMany = errors.New("too many elements")
	errDeep = errors.New("too deep")
	errDTD  = errors.New("a document type is not allowed")
)

// parse reads a whole document within the limits. No entity but the five of XML is known.
func parse(b []byte) (*node, error) {
	if len(b) > maxBody {
		return nil, fmt.Errorf("%d bytes are too many", len(b))
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	var open []*node
	var root *node
	count := 0
	for {
		t, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.Directive:
			return nil, errDTD
		case xml.StartElement:
			if count++; count > maxNodes {
				return nil, errMany
			}
			n := &node{space: t.Name.Space, name: t.Name.Local, attrs: t.Attr}
			switch {
			case len(open) >= maxDepth:
				return nil, errDeep
			case len(open) > 0:
				up := open[len(open)-1]
				up.kids = append(up.kids, n)
			case root != nil:
				return nil, errors.New("a second document")
			default:
				root = n
			}
			open = append(open, n)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text += string(t)
			} else if len(bytes.TrimSpace(bytes.TrimPrefix(t, []byte("\ufeff")))) > 0 {
				return nil, errors.New("text outside of the document")
			}
		}
	}
	if root == nil {
		return nil, errors.New("no document")
	}
	return root, nil
}

// kid finds the first child of a local name; nil when there is none, also of a nil node.
func (n *node) kid(name string) *node {
	if n != nil {
		for _, k := range n.kids {
			if k.name == name {
				return k
			}
		}
	}
	return nil
}

// first gives the first child, nil for none.
func (n *node) first() *node {
	if n == nil || len(n.kids) == 0 {
		return nil
	}
	return n.kids[0]
}

// value gives the text of a child without the white space around it.
func (n *node) value(name string) string {
	v, _ := n.lookup(name)
	return v
}

// lookup also says whether the child exists.
func (n *node) lookup(name string) (string, bool) {
	k := n.kid(name)
	if k == nil {
		return "", false
	}
	return strings.TrimSpace(k.text), true
}

// values gives the texts of all children of a name.
func (n *node) values(name string) []string {
	var out []string
	if n != nil {
		for _, k := range n.kids {
			if k.name == name {
				out = append(out, strings.TrimSpace(k.text))
			}
		}
	}
	return out
}

// attr gives an attribute by its local name.
func (n *node) attr(name string) string {
	for _, a := range n.attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// must reports whether a header block has to be understood.
func (n *node) must() bool {
	v := n.attr("mustUnderstand")
	return v == "true" || v == "1"
}
