package profile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Bounds of what is read.
const (
	MaxFile  = 64 << 10 // bytes
	maxDepth = 8
	maxNodes = 20_000
	// The parser takes time by the square of some things, of which a profile has few.
	maxSigns = 1000 // brackets, and what marks anchors, tags, keys and lists, in all
)

// Kinds of a node.
const (
	scalar  = 's'
	mapping = 'm'
	list    = 'l'
	null    = '0'
)

// node is a value of a file, whichever form it has. Scalars stay text: whether 12345678 is a number or a
// password is for the field to say.
type node struct {
	kind  byte
	text  string
	line  int // from 1; 0 where it is not known
	keys  []string
	at    []int // lines of the keys
	nodes []*node
}

// parseYAML gives the documents of a file. Anchors, aliases, tags and merged keys are refused: they
// hide what a profile says.
func parseYAML(b []byte) (docs []*node, err error) {
	if len(b) > MaxFile {
		return nil, fmt.Errorf("it has more than %d bytes; a profile has a few hundred", MaxFile)
	}
	if n := signs(b); n > maxSigns {
		return nil, fmt.Errorf("it has %d marks of lists, groups and texts, more than any profile", n)
	}
	defer func() { // the parser is not ours, and gets bytes of strangers
		if p := recover(); p != nil {
			docs, err = nil, errors.New("it is no YAML that can be read")
		}
	}()
	f, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, fmt.Errorf("it is no YAML: %s", firstLine(err))
	}
	y := &yamlTree{}
	for _, d := range f.Docs {
		if d.Body == nil {
			continue
		}
		n, err := y.node(d.Body, 0)
		if err != nil {
			return nil, err
		}
		docs = append(docs, n)
	}
	return docs, nil
}

// signs counts what nests or marks values.
func signs(b []byte) (n int) {
	for i, c := range b {
		switch c {
		case '[', '{', '&', '*', '!', '?', '"', '\'', '|', '>', '%', '#':
			n++
		case '-', ':':
			if i+1 == len(b) || b[i+1] == ' ' || b[i+1] == '\n' || b[i+1] == '-' {
				n++
			}
		}
	}
	return n
}

// firstLine leaves out the piece of the file that the parser shows: it may hold a password.
func firstLine(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	return s
}

type yamlTree struct{ count int }

func (y *yamlTree) node(n ast.Node, depth int) (*node, error) {
	out := &node{line: lineOf(n)}
	if y.count++; y.count > maxNodes || depth > maxDepth {
		return nil, fmt.Errorf("line %d: it is deeper or longer than any profile", out.line)
	}
	switch v := n.(type) {
	case *ast.MappingNode:
		out.kind = mapping
		for _, kv := range v.Values {
			if err := y.pair(out, kv, depth); err != nil {
				return nil, err
			}
		}
	case *ast.MappingValueNode:
		out.kind = mapping
		return out, y.pair(out, v, depth)
	case *ast.SequenceNode:
		out.kind = list
		for _, e := range v.Values {
			kid, err := y.node(e, depth+1)
			if err != nil {
				return nil, err
			}
			out.nodes = append(out.nodes, kid)
		}
	case *ast.StringNode:
		out.kind, out.text = scalar, v.Value
	case *ast.LiteralNode:
		out.kind, out.text = scalar, v.Value.Value
	case *ast.NullNode:
		out.kind = null
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = scalar, n.GetToken().Value
	default:
		return nil, fmt.Errorf("line %d: %s have no place in a profile", out.line, strings.ToLower(n.Type().String()))
	}
	return out, nil
}

func (y *yamlTree) pair(out *node, kv *ast.MappingValueNode, depth int) error {
	key, ok := kv.Key.(*ast.StringNode)
	if !ok {
		return fmt.Errorf("line %d: %q is no field of a profile", lineOf(kv.Key), clip(kv.Key.String()))
	}
	kid, err := y.node(kv.Value, depth+1)
	if err != nil {
		return err
	}
	return out.add(key.Value, lineOf(key), kid)
}

func (n *node) add(key string, line int, kid *node) error {
	for _, k := range n.keys {
		if k == key {
			return fmt.Errorf("line %d: %q stands there twice", line, clip(key))
		}
	}
	n.keys, n.at, n.nodes = append(n.keys, key), append(n.at, line), append(n.nodes, kid)
	return nil
}

func lineOf(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

// parseJSON gives the tree of one JSON object.
func parseJSON(s string) (*node, error) {
	if len(s) > MaxFile {
		return nil, fmt.Errorf("it has more than %d bytes", MaxFile)
	}
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	n, err := jsonNode(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something stands behind the object")
	}
	return n, nil
}

func jsonNode(dec *json.Decoder, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, errors.New("it is deeper than any profile")
	}
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch v := t.(type) {
	case json.Delim:
		n := &node{kind: list}
		if v == '{' {
			n.kind = mapping
		}
		for dec.More() {
			key := ""
			if n.kind == mapping {
				k, err := dec.Token()
				if err != nil {
					return nil, err
				}
				key, _ = k.(string)
			}
			kid, err := jsonNode(dec, depth+1)
			if err != nil {
				return nil, err
			}
			if n.kind == list {
				n.nodes = append(n.nodes, kid)
			} else if err := n.add(key, 0, kid); err != nil {
				return nil, err
			}
		}
		_, err := dec.Token()
		return n, err
	case nil:
		return &node{kind: null}, nil
	case bool:
		return &node{kind: scalar, text: fmt.Sprint(v)}, nil
	case json.Number:
		return &node{kind: scalar, text: v.String()}, nil
	case string:
		return &node{kind: scalar, text: v}, nil
	}
	return nil, errors.New("it is no JSON")
}
