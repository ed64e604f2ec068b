package wsman

import (
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
// five of XML itself, document types, names beyond ASCII and encodings other than UTF-8 are refused.
func ParseTree(data []byte) (Node, error) {
	if len(data) > MaxSize {
		return Node{}, &ParseError{Err: ErrTooLarge}
	}
	// One copy: every text of the tree is a piece of it.
	p := &parser{scanner: scanner{s: strings.TrimPrefix(string(data), "\ufeff")}}
	root, err := p.document()
	if err != nil {
		return Node{}, &ParseError{Offset: int64(p.i), Err: err}
	}
	return root, nil
}

// parser builds the tree of one document from what its scanner finds. A session reads some thirty answers:
// the general reader of the standard library cost a fifth of the server's time.
type parser struct {
	scanner
	elements int
	spaces   []binding // declared, the innermost last
	attrs    []rawAttr // of the start tag that is read
}

// binding is a namespace declaration.
type binding struct{ prefix, uri string }

func (p *parser) document() (Node, error) {
	if err := p.characters(); err != nil {
		return Node{}, err
	}
	root, found := Node{}, false
	for {
		text, err := p.text()
		if err != nil {
			return Node{}, err
		}
		switch blank := strings.TrimSpace(text) == ""; {
		case !blank && found:
			return Node{}, ErrTrailing
		case !blank:
			return Node{}, errors.New("it begins with text")
		}
		if p.i == len(p.s) {
			if !found {
				return Node{}, ErrEmpty
			}
			return root, nil
		}
		switch kind, _, err := p.markup(); {
		case err != nil:
			return Node{}, err
		case kind == aside:
		case kind == literal && found:
			return Node{}, ErrTrailing
		case kind == literal, kind == end:
			return Node{}, errors.New("it does not begin with an element")
		case found:
			return Node{}, ErrTrailing
		default:
			if err := p.element(&root, 1); err != nil {
				return Node{}, err
			}
			found = true
		}
	}
}

// element reads from behind the '<' of a start tag to the end of its end tag.
func (p *parser) element(n *Node, depth int) error {
	if p.elements++; p.elements > MaxElements {
		return ErrTooMany
	}
	if depth > MaxDepth {
		return ErrTooDeep
	}
	outer := len(p.spaces)
	name, empty, err := p.begin(n)
	if err == nil && !empty {
		err = p.content(n, name, depth)
	}
	p.spaces = p.spaces[:outer]
	return err
}

// content reads what lies between a start tag and its end tag, which has to have the same name.
func (p *parser) content(n *Node, name string, depth int) error {
	var text gathered
	for {
		piece, err := p.text()
		if err != nil {
			return err
		}
		if p.i == len(p.s) {
			return io.ErrUnexpectedEOF
		}
		kind, cdata, err := p.markup()
		if err != nil {
			return err
		}
		text.add(piece)
		text.add(cdata)
		switch kind {
		case start:
			if len(n.Nodes) > 0 && !text.solid {
				text = gathered{} // white space between children counts for nothing
			}
			n.Nodes = append(n.Nodes, Node{})
			if err := p.element(&n.Nodes[len(n.Nodes)-1], depth+1); err != nil {
				return err
			}
		case end:
			if got, err := p.endTag(); err != nil || got != name {
				return errors.Join(err, fmt.Errorf("<%s> ends with </%s>", clip(name, 40), clip(got, 40)))
			}
			if len(n.Nodes) == 0 || text.solid {
				n.Text = text.String()
			}
			return nil
		}
	}
}

// gathered is the text of an element, in one piece nearly always.
type gathered struct {
	first string
	all   []byte // first and what came after it; nil while there is one piece
	solid bool   // it has more than white space
}

func (g *gathered) add(s string) {
	switch {
	case s == "":
		return
	case g.first == "":
		g.first = s
	default:
		if g.all == nil {
			g.all = []byte(g.first)
		}
		g.all = append(g.all, s...)
	}
	g.solid = g.solid || strings.TrimSpace(s) != ""
}

// String gives the pieces as one.
func (g *gathered) String() string {
	if g.all != nil {
		return string(g.all)
	}
	return g.first
}

// begin reads a start tag with its attributes, and gives its name as it stands there.
func (p *parser) begin(n *Node) (name string, empty bool, err error) {
	if name, p.attrs, empty, err = p.startTag(p.attrs[:0]); err != nil {
		return name, empty, err
	}
	own := 0
	for i := range p.attrs {
		switch a := &p.attrs[i]; {
		case a.prefix == "xmlns":
			p.spaces = append(p.spaces, binding{a.local, a.value})
		case a.prefix == "" && a.local == "xmlns":
			p.spaces = append(p.spaces, binding{"", a.value})
		default:
			own++
		}
	}
	prefix, local, err := parted(name)
	if err != nil {
		return name, empty, err
	}
	space, ok := p.space(prefix)
	// A namespace that AMT uses always has a colon or a slash.
	if !ok && prefix != "" || space != "" && !strings.ContainsAny(space, ":/") {
		return name, empty, fmt.Errorf("%w: %s", errNamespace, clip(prefix, 40))
	}
	n.Space, n.Local = space, local
	if own > 0 {
		n.Attrs = make([]Attr, 0, own)
	}
	for _, a := range p.attrs {
		if a.prefix == "xmlns" || a.prefix == "" && a.local == "xmlns" {
			continue
		}
		space := ""
		if a.prefix != "" { // an attribute without a prefix is in no namespace
			if space, ok = p.space(a.prefix); !ok {
				space = a.prefix
			}
		}
		n.Attrs = append(n.Attrs, Attr{Space: space, Name: a.local, Value: a.value})
	}
	return name, empty, nil
}

// space gives the namespace of a prefix.
func (p *parser) space(prefix string) (uri string, ok bool) {
	for i := len(p.spaces) - 1; i >= 0; i-- {
		if p.spaces[i].prefix == prefix {
			return p.spaces[i].uri, true
		}
	}
	if prefix == "xml" {
		return "http://www.w3.org/XML/1998/namespace", true
	}
	return "", false
}
