package wire

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

// Field is one thing that a line holds, with the bytes of the hello in which it stands.
type Field struct {
	Label    string
	Text     string
	From, To int // first byte and the one behind the last; both 0 for what stands in no bytes
}

// Remark is something odd about a hello.
type Remark struct {
	At   int // byte offset, -1 without one
	Text string
	Note bool // worth knowing; else it makes the message unfit
}

// Hello is a hello taken apart.
type Hello struct {
	Bytes   []byte
	Lost    int // bytes behind Bytes that were not kept
	Fields  []Field
	Remarks []Remark
}

// Hello takes the hello of a line apart; nil for a line that is none.
func (l *Line) Hello() *Hello {
	if !l.IsHello() {
		return nil
	}
	m := l.event.Hello
	h := &Hello{Bytes: raw(m)}
	h.Lost = max(0, m.Len-len(h.Bytes))
	h.fields(m)
	for _, p := range m.Problems {
		h.Remarks = append(h.Remarks, remark(p, false))
	}
	for _, p := range m.Notes {
		h.Remarks = append(h.Remarks, remark(p, true))
	}
	return h
}

func remark(p amt.Problem, note bool) Remark {
	r := Remark{At: -1, Text: p.Text, Note: note}
	if p.Offset != nil {
		r.At = *p.Offset
	}
	return r
}

// entryWords tells the count of a message whose entries are cut off.
var entryWords = regexp.MustCompile(`^entry \d+ of (\d+)\b`)

// raw gives the bytes of which a message was made, as far as the message keeps them: the layout is
// that of provisioning-protocol 1.2 to 1.4.
func raw(m *hello.Message) []byte {
	if m.Len < hello.HeaderLen || m.Foreign != "" && m.Foreign != hello.ForeignBinary {
		return m.Rest
	}
	b := binary.LittleEndian.AppendUint16(nil, m.AdminWord)
	b = binary.LittleEndian.AppendUint16(b, m.Version)
	b = binary.LittleEndian.AppendUint32(b, m.RetryCount)
	id := m.UUID.Wire()
	b = append(b, id[:]...)
	switch m.Type {
	case hello.PSK:
		b = append(b, hidden(string(m.PID))...)
	case hello.PKI:
		if m.Len == hello.HeaderLen {
			return b
		}
		b = append(b, count(m))
		for _, x := range m.Hashes {
			b = append(append(b, byte(x.Algorithm), byte(len(x.Digest))), x.Digest...)
		}
	}
	return append(b, m.Rest...)
}

// count is the number of hashes that a message announces.
func count(m *hello.Message) byte {
	for _, p := range m.Problems {
		if g := entryWords.FindStringSubmatch(p.Text); g != nil && p.Code == hello.CodeTruncated {
			n, _ := strconv.Atoi(g[1]) // digits by the expression
			return byte(n)
		}
	}
	return byte(len(m.Hashes))
}

// hidden gives the bytes of a PID, in which those that no PID has are written as \x00.
func hidden(pid string) []byte {
	var b []byte
	for len(pid) > 0 {
		if n, err := strconv.ParseUint(pid[min(2, len(pid)):min(4, len(pid))], 16, 8); strings.HasPrefix(pid, `\x`) && err == nil {
			b, pid = append(b, byte(n)), pid[4:]
			continue
		}
		b, pid = append(b, pid[0]), pid[1:]
	}
	return b
}

// fields lists what stands in the bytes, in their order.
func (h *Hello) fields(m *hello.Message) {
	add := func(label string, from, to int, format string, a ...any) {
		if to <= len(h.Bytes) && to > from {
			h.Fields = append(h.Fields, Field{label, fmt.Sprintf(format, a...), from, to})
		}
	}
	at := 0
	if m.Len >= hello.HeaderLen && (m.Foreign == "" || m.Foreign == hello.ForeignBinary) {
		add("admin set", 0, 2, "%s", adminWords(m))
		add("version", 2, 4, "%s", versionWords(m))
		add("retry count", 4, 8, "%d", m.RetryCount)
		add("UUID", 8, hello.HeaderLen, "%s", m.UUID)
		at = hello.HeaderLen
	}
	switch {
	case m.Type == hello.PSK && m.PID != "":
		add("PID", at, hello.PSKLen, "%s", m.PID.Dashed())
		at = hello.PSKLen
	case m.Type == hello.PKI && m.Len > hello.HeaderLen:
		add("hashes", at, at+1, "%d", count(m))
		at++
		for i, x := range m.Hashes {
			end := at + 2 + len(x.Digest)
			add(fmt.Sprintf("hash %d", i+1), at, end, "%s %s", x.Algorithm, hex.EncodeToString(x.Digest))
			at = end
		}
	}
	label := "rest"
	if m.Foreign != "" {
		label = "bytes"
	}
	add(label, at, len(h.Bytes), "%s", number(len(h.Bytes)-at, "byte"))
}

func adminWords(m *hello.Message) string {
	switch {
	case m.AdminWord > 1:
		return fmt.Sprintf("yes (0x%04x)", m.AdminWord)
	case m.AdminWord == 1:
		return "yes"
	}
	return "no"
}

func versionWords(m *hello.Message) string {
	switch m.Type {
	case hello.PSK:
		return "2  PSK"
	case hello.PKI:
		return "3  PKI"
	}
	return fmt.Sprintf("%d  not known", m.Version)
}
