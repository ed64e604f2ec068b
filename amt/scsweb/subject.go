package scsweb

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// attributes are the short names of what subjects are made of, as OpenSSL writes them.
var attributes = map[string]string{"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.9": "street", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.17": "postalCode", "2.5.4.42": "GN",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC", "1.2.840.113549.1.9.1": "emailAddress"}

// Subject gives the whole subject of a certificate in the form of RFC 2253, as OpenSSL writes it. Unlike
// pkix.Name it leaves nothing out and keeps the order: two subjects that differ are never written alike.
// It is empty when there is none, or when it cannot be read.
func Subject(c *x509.Certificate) string {
	var seq pkix.RDNSequence
	if rest, err := asn1.Unmarshal(c.RawSubject, &seq); err != nil || len(rest) > 0 {
		return ""
	}
	var out []string
	for _, set := range slices.Backward(seq) {
		var parts []string
		for _, a := range slices.Backward(set) {
			part, err := attribute(a)
			if err != nil {
				return ""
			}
			parts = append(parts, part)
		}
		out = append(out, strings.Join(parts, "+"))
	}
	return strings.Join(out, ",")
}

func attribute(a pkix.AttributeTypeAndValue) (string, error) {
	oid := a.Type.String()
	text, isText := a.Value.(string)
	if name := attributes[oid]; name != "" && isText {
		return name + "=" + escaped(text), nil
	}
	der, err := asn1.Marshal(a.Value)
	return oid + "=#" + strings.ToUpper(hex.EncodeToString(der)), err
}

// escaped writes a value so that nothing in it can be taken for a border between two attributes.
func escaped(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\%02X`, c)
		case strings.IndexByte(`,+"\<>;`, c) >= 0, c == '#' && i == 0, c == ' ' && (i == 0 || i == len(s)-1):
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
