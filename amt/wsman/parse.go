package wsman

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits of what Parse reads. Recorded answers stay below 8 kB, a depth of 12 and 200 elements; a
// full certificate store is larger.
const (
	MaxSize     = 1 << 20 // bytes of a message
	MaxDepth    = 40      // elements within elements
	MaxElements = 20000
	MaxAttrs    = 64 // of one element, namespace declarations included
)

// ParseError says that bytes are not a message that this package reads.
type ParseError struct {
	Offset int64 // in bytes, about where it was seen
	Err    error
}

// Error names the place and the cause.
func (e *ParseError) Error() string {
	return fmt.Sprintf("not a SOAP message (byte %d): %v", e.Offset, e.Err)
}

// Unwrap gives the cause.
func (e *ParseError) Unwrap() error { return e.Err }

// The causes of a ParseError that are not faults of the XML itself.
var (
	ErrTooLarge  = fmt.Errorf("it is larger than %d bytes", MaxSize)
	ErrTooDeep   = fmt.Errorf("elements lie more than %d deep", MaxDepth)
	ErrTooMany   = fmt.Errorf("it has more than %d elements", MaxElements)
	ErrAttrs     = fmt.Errorf("an element has more than %d attributes", MaxAttrs)
	ErrDTD       = errors.New("it has a document type or entity declaration")
	ErrNoSOAP    = errors.New("its outermost element is not a SOAP envelope")
	ErrNoBody    = errors.New("the envelope has no body")
	ErrTrailing  = errors.New("something follows the envelope")
	ErrEmpty     = errors.New("it is empty")
	errNamespace = errors.New("a namespace prefix is not declared")
)

// ParseTree reads one XML document of any kind, within the limits above. Entities other than the
// five of XML itself, document types and encodings other than UTF-8 are refused.
func ParseTree(data []byte) (Node, error) {
	if len(data) > MaxSize {
		return Node{}, &ParseError{Err: ErrTooLarge}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	p := &parser{dec: xml.NewDecoder(bytes.NewReader(data))}
	root, err := p.document()
	if err != nil {
		return Node{}, &ParseError{Offset: p.dec.InputOffset(), Err: err}
	}
	return root, nil
}

// parser reads the tokens of one document.
type parser struct {
	dec      *xml.Decoder
	elements int
}

func (p *parser) document() (Node, error) {
	var root *Node
	for {
		tok, err := p.dec.Token()
		if err == io.EOF {
			if root == nil {
				return Node{}, ErrEmpty
			}
			return *root, nil
		}
		if err != nil {
			return Node{}, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if root != nil {
				return Node{}, ErrTrailing
			}
			n, err := p.element(tok, 1)
			if err != nil {
				return Node{}, err
			}
			root = &n
		case xml.CharData:
			if len(bytes.TrimSpace(tok)) > 0 {
				if root != nil {
					return Node{}, ErrTrailing
				}
				return Node{}, errors.New("it begins with text")
			}
		case xml.Directive:
			return Node{}, ErrDTD
		}
	}
}

// element reads what lies between a start tag and its end.
func (p *parser) element(start xml.StartElement, depth int) (Node, error) {
	if p.elements++; p.elements > MaxElements {
		return Node{}, ErrTooMany
	}
	if depth > MaxDepth {
		return Node{}, ErrTooDeep
	}
	n, err := begin(start)
	if err != nil {
		return n, err
	}
	var text []byte
	for {
		tok, err := p.dec.Token()
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			child, err := p.element(tok, depth+1)
			if err != nil {
				return n, err
			}
			n.Nodes = append(n.Nodes, child)
		case xml.EndElement:
			if len(n.Nodes) == 0 || len(bytes.TrimSpace(text)) > 0 {
				n.Text = string(text)
			}
			return n, nil
		case xml.CharData:
			text = append(text, tok...)
		case xml.Directive:
			return n, ErrDTD
		}
	}
}

func begin(start xml.StartElement) (Node, error) {
	n := Node{Space: start.Name.Space, Local: start.Name.Local}
	if len(start.Attr) > MaxAttrs {
		return n, ErrAttrs
	}
	for _, a := range start.Attr {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			continue
		}
		n.Attrs = append(n.Attrs, Attr{Space: a.Name.Space, Name: a.Name.Local, Value: a.Value})
	}
	// The decoder gives a prefix that nobody declared as if it were a namespace; a namespace that AMT
	// uses always has a colon or a slash.
	if n.Space != "" && !strings.ContainsAny(n.Space, ":/") {
		return n, fmt.Errorf("%w: %s", errNamespace, clip(n.Space, 40))
	}
	return n, nil
}
