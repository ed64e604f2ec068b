package wsman

import (
	"fmt"
	"strconv"
	"strings"
)

// Node is an element of a message: of what is asked and of what is answered.
type Node struct {
	Space string // namespace; empty for none
	Local string // name without prefix
	Attrs []Attr // without namespace declarations
	// Text is the character data directly in the element, in one piece. White space between child
	// elements is left out.
	Text  string
	Nodes []Node // child elements in order
}

// Attr is an attribute.
type Attr struct{ Space, Name, Value string }

// Child gives the first child of that name in any namespace, nil when there is none; of a nil node
// too.
func (n *Node) Child(local string) *Node {
	if n == nil {
		return nil
	}
	for i := range n.Nodes {
		if n.Nodes[i].Local == local {
			return &n.Nodes[i]
		}
	}
	return nil
}

// At follows a path of names from the node downwards; nil when a step is missing.
func (n *Node) At(path ...string) *Node {
	for _, local := range path {
		n = n.Child(local)
	}
	return n
}

// All gives every child of that name.
func (n *Node) All(local string) []*Node {
	if n == nil {
		return nil
	}
	var out []*Node
	for i := range n.Nodes {
		if n.Nodes[i].Local == local {
			out = append(out, &n.Nodes[i])
		}
	}
	return out
}

// Value gives the text at the end of a path without white space around it; empty when there is none.
func (n *Node) Value(path ...string) string {
	if n = n.At(path...); n == nil {
		return ""
	}
	return strings.TrimSpace(n.Text)
}

// Int reads a whole number at the end of a path. A missing one is an error.
func (n *Node) Int(path ...string) (int, error) {
	text := n.Value(path...)
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is %q, not a number", strings.Join(path, "/"), clip(text, 40))
	}
	return int(v), nil
}

// Bool reads true, false, 1 or 0 at the end of a path. A missing one is false.
func (n *Node) Bool(path ...string) (bool, error) {
	switch text := n.Value(path...); strings.ToLower(text) {
	case "true", "1":
		return true, nil
	case "false", "0", "":
		return false, nil
	default:
		return false, fmt.Errorf("%s is %q, not true or false", strings.Join(path, "/"), clip(text, 40))
	}
}

// Attr gives the value of an attribute in any namespace, empty when there is none.
func (n *Node) Attr(name string) string {
	if n == nil {
		return ""
	}
	for _, a := range n.Attrs {
		if a.Name == name {
			return a.Value
		}
	}
	return ""
}

// Set gives a copy of the node in which the child of that name has the text, at its place or at the
// end. The node itself stays as it is.
func (n Node) Set(local, text string) Node {
	nodes := make([]Node, len(n.Nodes), len(n.Nodes)+1)
	copy(nodes, n.Nodes)
	n.Nodes = nodes
	for i := range n.Nodes {
		if n.Nodes[i].Local == local {
			n.Nodes[i] = Node{Space: n.Nodes[i].Space, Local: local, Text: text}
			return n
		}
	}
	n.Nodes = append(n.Nodes, Node{Space: n.Space, Local: local, Text: text})
	return n
}

// SetAll gives a copy of the node in which the children of that name have these texts, at the place of
// the first or at the end; none of them without texts.
func (n Node) SetAll(local string, texts []string) Node {
	var out []Node
	put := func() {
		for _, t := range texts {
			out = append(out, Node{Space: n.Space, Local: local, Text: t})
		}
		texts = nil
	}
	for _, kid := range n.Nodes {
		if kid.Local == local {
			put()
			continue
		}
		out = append(out, kid)
	}
	put()
	n.Nodes = out
	return n
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n] + "..."
	}
	return s
}
