package wsman

import (
	"errors"
	"strings"
	"testing"
)

const head = `<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body>`
const tail = `</s:Body></s:Envelope>`

func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat("<x>", MaxDepth) + strings.Repeat("</x>", MaxDepth)
	attrs := "<x"
	for i := range MaxAttrs + 1 {
		attrs += ` a` + string(rune('a'+i%26)) + string(rune('a'+i/26)) + `="1"`
	}
	cases := map[string]struct {
		data string
		want error // nil: any
	}{
		"nothing":            {"", ErrEmpty},
		"white space":        {" \r\n", ErrEmpty},
		"text":               {"<html", nil},
		"a web page":         {"<html><head><title>Not here</title></head></html>", ErrNoSOAP},
		"another envelope":   {`<Envelope xmlns="urn:x"><Body/></Envelope>`, ErrNoSOAP},
		"no body":            {`<Envelope xmlns="http://www.w3.org/2003/05/soap-envelope"/>`, ErrNoBody},
		"cut off":            {head + "<x>1</x", nil},
		"cut off body":       {head + "<x>1</x>", nil},
		"two documents":      {head + tail + head + tail, ErrTrailing},
		"text after it":      {head + tail + "HTTP/1.1 200 OK", ErrTrailing},
		"document type":      {`<!DOCTYPE a [<!ENTITY b "c">]>` + head + tail, ErrDTD},
		"inner declaration":  {head + `<!ELEMENT x ANY>` + tail, ErrDTD},
		"own entity":         {head + "<x>&b;</x>" + tail, nil},
		"external entity":    {`<!DOCTYPE a SYSTEM "file:///etc/passwd">` + head + tail, ErrDTD},
		"billion laughs":     {`<!DOCTYPE l [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;">]>` + head + "<x>&b;</x>" + tail, ErrDTD},
		"too deep":           {head + deep + tail, ErrTooDeep},
		"too many":           {head + strings.Repeat("<x/>", MaxElements) + tail, ErrTooMany},
		"too many attrs":     {head + attrs + "/>" + tail, ErrAttrs},
		"too large":          {head + strings.Repeat(" ", MaxSize) + tail, ErrTooLarge},
		"crossed tags":       {head + "<a><b></a></b>" + tail, nil},
		"undeclared prefix":  {head + "<q:x/>" + tail, errNamespace},
		"another encoding":   {`<?xml version="1.0" encoding="UTF-16"?><x/>`, nil},
		"not UTF-8":          {head + "<x>\xff\xfe</x>" + tail, nil},
		"control characters": {head + "<x>\x01</x>" + tail, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a, err := Parse([]byte(c.data))
			var p *ParseError
			if !errors.As(err, &p) {
				t.Fatalf("got %+v, %v", a, err)
			}
			if c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestParseTakes(t *testing.T) {
	cases := map[string]struct{ data, path, want string }{
		"byte order mark": {"\ufeff" + head + "<x>1</x>" + tail, "x", "1"},
		"empty line":      {"\n" + head + "<x>1</x>" + tail, "x", "1"},
		"CDATA":           {head + "<x><![CDATA[a<b]]></x>" + tail, "x", "a<b"},
		"comment":         {head + "<x>1<!-- 2 -->3</x>" + tail, "x", "13"},
		"entities":        {head + "<x>&lt;&amp;&#65;</x>" + tail, "x", "<&A"},
		"SOAP 1.1":        {`<E:Envelope xmlns:E="http://schemas.xmlsoap.org/soap/envelope/"><E:Body><x>1</x></E:Body></E:Envelope>`, "x", "1"},
		"no namespace":    {head + `<x xmlns="">1</x>` + tail, "x", "1"},
		"white space":     {head + "<x>\r\n 1\t</x>" + tail, "x", "1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a, err := Parse([]byte(c.data))
			if err != nil {
				t.Fatal(err)
			}
			if got := a.Body.Value(c.path); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestNilNodesAnswer(t *testing.T) {
	var n *Node
	if n.Child("x") != nil || n.Value("x", "y") != "" || n.All("x") != nil || n.Attr("x") != "" || n.At("x") != nil {
		t.Error("a nil node has something")
	}
	if _, err := n.Int("x"); err == nil {
		t.Error("a missing number is one")
	}
	if v, err := n.Bool("x"); v || err != nil {
		t.Error("a missing truth value is not false")
	}
	if _, ok := ReadReference(n); ok {
		t.Error("a nil node is a reference")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{head + tail, head + "<x a='1'>1</x>" + tail, meshSetMEBx, fault12, fault11, "<a>", "<!DOCTYPE a>"} {
		f.Add([]byte(s))
	}
	for _, s := range awkward {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if tree, err := ParseTree(data); err == nil {
			if theirs, ok := standard(data); !ok || !alike(&tree, &theirs) {
				t.Fatalf("ours reads %+v, the standard library %v %+v", tree, ok, theirs)
			}
		}
		a, err := Parse(data)
		if err != nil {
			var p *ParseError
			if !errors.As(err, &p) || a != nil {
				t.Fatalf("%v, %v", a, err)
			}
			return
		}
		_ = a.Fault()
		_, _ = a.Output(ClassSetup, "CommitChanges")
		_, _, _ = a.Pulled()
		_, _ = a.Created()
		n := a.Content()
		if n == nil {
			return
		}
		readAll(n)
		// What can be read can be sent, and comes back with the same names and values.
		r := Put(n.Local, *n)
		back, err := Parse(r.Encode(1))
		if err != nil {
			t.Fatalf("own request cannot be read: %v\n%q", err, r.Encode(1))
		}
		if c := back.Content(); c == nil || c.Local != n.Local || c.Space != n.Space || len(c.Nodes) != len(n.Nodes) {
			t.Fatalf("sent %+v, read %+v", n, c)
		}
	})
}

// readAll reads a node as everything that it could be.
func readAll(n *Node) {
	_ = ReadGeneral(n)
	_, _ = ReadSetup(n)
	_, _ = ReadKeyPair(n)
	_, _ = ReadCertificate(n)
	_, _ = ReadTLSSetting(n)
	_, _ = ContextCertificate(n)
	_, _ = ReadHostSetup(n)
	_, _ = ReadACLEntry(n)
	_ = ReadPower(n)
	_ = Software(n.Nodes)
}
