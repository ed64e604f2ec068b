package wsman

import (
	"bytes"
	"encoding/xml"
	"io"
	"slices"
	"strings"
	"testing"
)

// standard reads a document with the reader of the standard library, by the rules of ParseTree.
func standard(data []byte) (root Node, ok bool) {
	dec := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	open := []*Node{{}}
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			return open[0].one()
		}
		if err != nil {
			return Node{}, false
		}
		top := open[len(open)-1]
		switch tok := tok.(type) {
		case xml.StartElement:
			n := Node{Space: tok.Name.Space, Local: tok.Name.Local}
			for _, a := range tok.Attr {
				if a.Name.Space != "xmlns" && a.Name != (xml.Name{Local: "xmlns"}) {
					n.Attrs = append(n.Attrs, Attr{Space: a.Name.Space, Name: a.Name.Local, Value: a.Value})
				}
			}
			top.Nodes = append(top.Nodes, n)
			open = append(open, &top.Nodes[len(top.Nodes)-1])
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			top.Text += string(tok)
		case xml.Directive:
			return Node{}, false
		}
	}
}

// one gives the only child of what stands for the document.
func (n *Node) one() (Node, bool) {
	if len(n.Nodes) != 1 || strings.TrimSpace(n.Text) != "" {
		return Node{}, false
	}
	return n.Nodes[0], true
}

// alike compares what two readers found. White space around text does not count.
func alike(a, b *Node) bool {
	return a.Space == b.Space && a.Local == b.Local && strings.TrimSpace(a.Text) == strings.TrimSpace(b.Text) && slices.Equal(a.Attrs, b.Attrs) &&
		slices.EqualFunc(a.Nodes, b.Nodes, func(x, y Node) bool { return alike(&x, &y) })
}

// awkward are documents at the edges of what XML permits.
var awkward = []string{
	`<a/>`, `<a></a>`, "<a\n/>", `<a b="1"c='2'/>`, `<a b = "1" />`, `<a b="<"/>`, `<a b=1/>`, `<a b/>`, `< a/>`, `<a / >`, `<a></a >`, `<a></ a>`, `<a></b>`, `<a><b></a></b>`,
	`<a>]]></a>`, `<a>]] ></a>`, `<a><![CDATA[]]]]><![CDATA[>]]></a>`, `<a><![CDATA[<b>&amp;]]></a>`, `<a><![CDATA[x</a>`, `<![CDATA[x]]><a/>`, `<a/><![CDATA[x]]>`, `<a/><![CDATA[ ]]>`,
	`<a><!-- - --></a>`, `<a><!-- -- --></a>`, `<a><!--></a>-->`, `<a><!---></a>-->`, `<a><!----></a>`, `<a><!-- ---></a>`, `<!-- x --><a/><!-- y -->`, `<a/><!-- `,
	`<?xml version="1.0"?><a/>`, `<?xml version="1.1"?><a/>`, `<?xml version='1.0' encoding='Utf-8'?><a/>`, `<?xml version="1.0" encoding="latin1"?><a/>`, `<?x ?><a/>`, `<??><a/>`, `<?xml?><a/>`, `<a/><?b ?>`, `<?b`,
	`<a>&lt;&gt;&amp;&apos;&quot;</a>`, `<a>&#65;&#x41;&#x10FFFF;</a>`, `<a>&#0;</a>`, `<a>&#x110000;</a>`, `<a>&#xD800;</a>`, `<a>&#xFFFE;</a>`, `<a>&#;</a>`, `<a>&#x;</a>`, `<a>&;</a>`, `<a>&lt</a>`, `<a>&nbsp;</a>`,
	`<a>& </a>`, `<a>&#X41;</a>`, `<a>&#+65;</a>`, `<a>&#-65;</a>`, `<a>&#99999999999;</a>`, `<a b="&lt;&#10;"/>`, "<a b='1\r\n2\r3'>4\r\n5\r6</a>", "<a><![CDATA[1\r\n2\r3]]></a>", `<a>&#13;&#10;</a>`,
	`<x:a xmlns:x="urn:x"/>`, `<x:a xmlns:x="urn:x"></x:a>`, `<x:a xmlns:x="urn:x" xmlns:y="urn:x"></y:a>`, `<a xmlns="urn:x"><b xmlns=""/><c/></a>`, `<a xmlns:x="urn:x"><b xmlns:x="urn:y"><x:c/></b><x:c/></a>`,
	`<a xmlns="urn:x" b="1" xml:lang="en"/>`, `<a xmlns:x="urn:x" x:b="1" y:c="2"/>`, `<:a/>`, `<a:/>`, `<a:b:c xmlns:a="urn:x"/>`, `<a :b="1"/>`, `<xml:a/>`, `<a xmlns:x=""><x:b/></a>`, `<a xmlns="x"/>`,
	"<a>\u00e9\U0001F600</a>", "<\u00e9/>", "<a\u00e9/>", "<a>\uFFFE</a>", "<a>\x80</a>", "<a>\x00</a>", "<a><!-- \x01 --></a>", "\ufeff<a/>", "\ufeff\ufeff<a/>", " <a/> ", "x<a/>", "<a/>x", "<a/><a/>", "", "<", "<a", "<a>", "</a>", "<a/", "<a b", "<a b=", `<a b="`,
	"<a>1<b/>2<b/> <b/>3</a>", "<a> <b> </b> </a>", "<1/>", "<a-.1_:b/>", "<-a/>", "<!x><a/>", "<!DOCTYPE a><a/>", "<a><!x></a>", `<a b="1" b="2"/>`, `<a b="]]>"/>`, `<a b=">"/>`, `<a b='"'/>`,
}

// The reader of the standard library judges ours: what ours takes means the same there. What ours refuses
// beyond that is said in ParseTree: names beyond ASCII, colons at the ends of names, characters in comments.
func TestReadsAsTheStandardLibrary(t *testing.T) {
	stricter := map[string]bool{`<:a/>`: true, `<a:/>`: true, `<a :b="1"/>`: true, "<\u00e9/>": true, "<a\u00e9/>": true, "<a><!-- \x01 --></a>": true,
		`<a/><![CDATA[ ]]>`: true, `<a xmlns="x"/>`: true, `<a>&#xD800;</a>`: true, `<a-.1_:b/>`: true, `<a xmlns:x="urn:x" xmlns:y="urn:x"></y:a>`: true}
	for _, s := range awkward {
		ours, err := ParseTree([]byte(s))
		theirs, ok := standard([]byte(s))
		switch {
		case (err == nil) != ok && !(err != nil && stricter[s]):
			t.Errorf("%q: ours says %v, the standard library takes it: %v", s, err, ok)
		case err == nil && !alike(&ours, &theirs):
			t.Errorf("%q: ours reads %+v, the standard library %+v", s, ours, theirs)
		}
	}
}
