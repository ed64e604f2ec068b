package wsman

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// scanner finds the pieces of an XML 1.0 document. It reads a subset, no document types, and is in no point
// more lenient than the reader of the standard library, against which the tests hold it.
type scanner struct {
	s string
	i int // next byte
}

// markupKind says what follows a '<'.
type markupKind int

const (
	start   markupKind = iota // a start tag: scanner stands at its name
	end                       // an end tag: scanner stands at its name
	literal                   // a CDATA section, read
	aside                     // a comment or processing instruction, read
)

// rawAttr is an attribute before its prefix has a meaning.
type rawAttr struct{ prefix, local, value string }

var (
	errChar   = errors.New("it has a byte or character that XML does not permit")
	errSyntax = errors.New("its tags are not well formed")
	errEntity = errors.New("it names an entity that is none of the five of XML")
)

// characters looks for what may stand nowhere in a document.
func (c *scanner) characters() error {
	wide := false
	for i := 0; i < len(c.s); i++ {
		switch b := c.s[i]; {
		case b >= utf8.RuneSelf:
			wide = true
		case b < ' ' && b != '\t' && b != '\n' && b != '\r':
			c.i = i
			return errChar
		}
	}
	if wide && (!utf8.ValidString(c.s) || strings.Contains(c.s, "\uFFFE") || strings.Contains(c.s, "\uFFFF")) {
		return errChar
	}
	return nil
}

// text reads up to the next '<' or the end.
func (c *scanner) text() (string, error) {
	piece := c.s[c.i:]
	if n := strings.IndexByte(piece, '<'); n >= 0 {
		piece = piece[:n]
	}
	if strings.Contains(piece, "]]>") {
		return "", errSyntax
	}
	c.i += len(piece)
	return plainText(piece)
}

// markup reads what begins with a '<', where the scanner stands: comments, processing instructions and
// CDATA sections whole, of a tag the bracket alone.
func (c *scanner) markup() (kind markupKind, cdata string, err error) {
	c.i++
	rest := c.s[c.i:]
	switch {
	case strings.HasPrefix(rest, "/"):
		c.i++
		return end, "", nil
	case strings.HasPrefix(rest, "?"):
		return aside, "", c.instruction()
	case strings.HasPrefix(rest, "!--"):
		c.i += 3
		inner, err := c.upTo("--")
		if err == nil && !strings.HasPrefix(c.s[c.i:], ">") || strings.HasPrefix(inner, ">") {
			err = errSyntax // two hyphens end a comment
		}
		c.i++
		return aside, "", err
	case strings.HasPrefix(rest, "![CDATA["):
		c.i += len("![CDATA[")
		cdata, err = c.upTo("]]>")
		return literal, newlines(cdata), err
	case strings.HasPrefix(rest, "!"):
		return aside, "", ErrDTD
	}
	return start, "", nil
}

// upTo gives what stands before mark, and goes behind it.
func (c *scanner) upTo(mark string) (string, error) {
	n := strings.Index(c.s[c.i:], mark)
	if n < 0 {
		c.i = len(c.s)
		return "", io.ErrUnexpectedEOF
	}
	piece := c.s[c.i : c.i+n]
	c.i += n + len(mark)
	return piece, nil
}

// instruction passes over a processing instruction. The XML declaration may name version 1.0 and UTF-8 only.
func (c *scanner) instruction() error {
	c.i++
	name, err := c.name()
	if err != nil {
		return err
	}
	inner, err := c.upTo("?>")
	if err != nil || name != "xml" {
		return err
	}
	if v := pseudo(inner, "version"); v != "" && v != "1.0" {
		return fmt.Errorf("XML version %q", clip(v, 40))
	}
	if v := pseudo(inner, "encoding"); v != "" && !strings.EqualFold(v, "utf-8") {
		return fmt.Errorf("encoding %q", clip(v, 40))
	}
	return nil
}

// pseudo gives a value of the XML declaration, empty when it is not there.
func pseudo(decl, name string) string {
	_, rest, ok := strings.Cut(decl, name)
	rest = strings.TrimLeft(rest, " \t\r\n")
	if !ok || !strings.HasPrefix(rest, "=") {
		return ""
	}
	rest = strings.TrimLeft(rest[1:], " \t\r\n")
	if rest == "" || rest[0] != '"' && rest[0] != '\'' {
		return ""
	}
	v, _, _ := strings.Cut(rest[1:], rest[:1])
	return v
}

// name reads a name in ASCII; AMT uses no other.
func (c *scanner) name() (string, error) {
	from := c.i
	for c.i < len(c.s) {
		b := c.s[c.i]
		letter := b|0x20 >= 'a' && b|0x20 <= 'z' || b == '_' || b == ':'
		if !letter && (c.i == from || b != '-' && b != '.' && (b < '0' || b > '9')) {
			break
		}
		c.i++
	}
	switch {
	case c.i == len(c.s):
		return "", io.ErrUnexpectedEOF
	case c.i == from, c.s[c.i] >= utf8.RuneSelf:
		return "", errSyntax
	}
	return c.s[from:c.i], nil
}

// parted parts a name at its colon.
func parted(name string) (prefix, local string, err error) {
	prefix, local, ok := strings.Cut(name, ":")
	switch {
	case !ok:
		return "", name, nil
	case prefix == "" || local == "" || strings.Contains(local, ":"):
		return "", "", errSyntax
	}
	return prefix, local, nil
}

// blank passes over white space and gives the byte that follows, which stays.
func (c *scanner) blank() (byte, error) {
	for ; c.i < len(c.s); c.i++ {
		switch b := c.s[c.i]; b {
		case ' ', '\t', '\r', '\n':
		default:
			return b, nil
		}
	}
	return 0, io.ErrUnexpectedEOF
}

// startTag reads a start tag behind its '<', and adds its attributes to attrs.
func (c *scanner) startTag(attrs []rawAttr) (name string, all []rawAttr, empty bool, err error) {
	if name, err = c.name(); err != nil {
		return "", attrs, false, err
	}
	for {
		b, err := c.blank()
		if err != nil {
			return name, attrs, false, err
		}
		if b == '>' || b == '/' {
			c.i++
			if b == '/' && !strings.HasPrefix(c.s[c.i:], ">") {
				return name, attrs, false, errSyntax
			}
			if b == '/' {
				c.i++
			}
			return name, attrs, b == '/', nil
		}
		if len(attrs) == MaxAttrs {
			return name, attrs, false, ErrAttrs
		}
		a, err := c.attr()
		if err != nil {
			return name, attrs, false, err
		}
		attrs = append(attrs, a)
	}
}

func (c *scanner) attr() (a rawAttr, err error) {
	name, err := c.name()
	if err != nil {
		return a, err
	}
	if a.prefix, a.local, err = parted(name); err != nil {
		return a, err
	}
	b, err := c.blank()
	if err != nil || b != '=' {
		return a, errors.Join(err, errSyntax)
	}
	c.i++
	if b, err = c.blank(); err != nil || b != '"' && b != '\'' {
		return a, errors.Join(err, errSyntax)
	}
	c.i++
	piece, err := c.upTo(string(b))
	if err != nil || strings.Contains(piece, "<") {
		return a, errors.Join(err, errSyntax)
	}
	a.value, err = plainText(piece)
	return a, err
}

// endTag reads an end tag behind its '</'.
func (c *scanner) endTag() (string, error) {
	name, err := c.name()
	if err != nil {
		return "", err
	}
	b, err := c.blank()
	if err != nil || b != '>' {
		return name, errors.Join(err, errSyntax)
	}
	c.i++
	return name, nil
}

// newlines makes every line end one line feed (XML 1.0, 2.11).
func newlines(s string) string {
	if !strings.Contains(s, "\r") {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

// names are the entities of XML itself.
var names = map[string]string{"lt": "<", "gt": ">", "amp": "&", "apos": "'", "quot": `"`}

// plainText puts characters in the place of entities.
func plainText(s string) (string, error) {
	s = newlines(s)
	before, rest, ok := strings.Cut(s, "&")
	if !ok {
		return s, nil
	}
	var b strings.Builder
	for ok {
		b.WriteString(before)
		var name string
		if name, rest, ok = strings.Cut(rest, ";"); !ok {
			return "", errEntity
		}
		text, known := names[name]
		if !known {
			r, err := reference(name)
			if err != nil {
				return "", err
			}
			text = string(r)
		}
		b.WriteString(text)
		before, rest, ok = strings.Cut(rest, "&")
	}
	b.WriteString(before)
	return b.String(), nil
}

// reference reads the number of a character: #65 or #x41.
func reference(name string) (rune, error) {
	digits, ok := strings.CutPrefix(name, "#")
	base := 10
	if hex, isHex := strings.CutPrefix(digits, "x"); isHex {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	r := rune(n)
	if !ok || err != nil || strings.HasPrefix(digits, "+") || n > utf8.MaxRune || !utf8.ValidRune(r) || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
		return 0, errEntity
	}
	return r, nil
}
