package privacy

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"amtmedic/diag"
)

// dotted is a name with a domain. Its last label has letters only: versions and numbers have not,
// and neither have pseudonyms.
var dotted = regexp.MustCompile(`^[\pL\pN_-]+(\.[\pL\pN_-]+)*\.\pL{2,}$`)

// files are endings of files, not of names.
var files = []string{"bin", "csv", "db", "dll", "exe", "go", "gz", "inf", "ini", "json", "jsonl", "key", "log", "md", "pcap", "pcapng", "pem",
	"pfx", "ps", "sql", "sqlite", "sys", "txt", "vbs", "wsdl", "xml", "yaml", "zip", "zst"}

// name hides a name: with a domain, or one that was learnt. Its labels keep their relations: two
// hosts of one domain have pseudonyms in one domain.
func (m *Mask) name(s string) (string, bool) {
	low := strings.ToLower(s)
	if m.words[low] {
		return m.give("name", low), true
	}
	labels := strings.Split(low, ".")
	if len(labels) < 2 || !dotted.MatchString(low) || slices.Contains(files, labels[len(labels)-1]) || factKey(labels) {
		return "", false
	}
	if out, ok := m.reverse(labels); ok {
		return out, true
	}
	if !slices.ContainsFunc(labels, m.real) {
		return s, true
	}
	written := strings.Split(s, ".")
	var out []string
	for i, l := range labels {
		rest := len(labels) - i
		switch {
		case l == "provisionserver":
			out = append(out, written[i])
		case rest == 2:
			return strings.Join(append(out, m.give("domain", l+"."+labels[i+1])), "."), true
		case rest == 1:
			out = append(out, m.give("domain", l))
		default:
			out = append(out, m.give("name", l))
		}
	}
	return strings.Join(out, "."), true
}

// real reports whether a label says something: it is no pseudonym, nor the beginning of one that was
// cut off at the edge of a window.
func (m *Mask) real(label string) bool {
	kind, number, ok := strings.Cut(label, "-")
	switch {
	case label == "provisionserver", len(label) > 1 && (strings.HasPrefix("domain", label) || strings.HasPrefix("name", label)):
		return false
	case ok && (kind == "name" || kind == "domain"):
		n, err := strconv.Atoi(number)
		return err != nil || n < 1 || n > m.last[kind]
	}
	return true
}

// factKey reports whether the labels begin with a key of the vocabulary: those have dots as names do.
func factKey(labels []string) bool {
	for n := len(labels); n >= 2; n-- {
		if _, ok := diag.Lookup(strings.Join(labels[:n], ".")); ok {
			return true
		}
	}
	return false
}

var hiddenIP = regexp.MustCompile(`^ip-[0-9]+$`)

// reverse hides the name under which an address is looked up.
func (m *Mask) reverse(labels []string) (string, bool) {
	n := len(labels)
	if n < 3 || labels[n-2] != "in-addr" || labels[n-1] != "arpa" {
		return "", false
	}
	if n == 3 && hiddenIP.MatchString(labels[0]) {
		return strings.Join(labels, "."), true
	}
	if n != 6 {
		return "", false
	}
	back := slices.Clone(labels[:4])
	slices.Reverse(back)
	a, err := netip.ParseAddr(strings.Join(back, "."))
	if err != nil {
		return "", false
	}
	return m.give("ip", a.String()) + ".in-addr.arpa", true
}

// LearnFacts learns the names without a domain that facts hold, and the UUIDs.
func (m *Mask) LearnFacts(facts []diag.Fact) {
	for _, f := range facts {
		m.learn(f.Key, "", f.Value)
	}
}

// nameKeys and nameFields say where facts hold names.
var (
	nameKeys   = []string{"client.os_name", "client.suffix", "client.server_override", "srv.fqdn", "srv.location", "cert.names"}
	nameFields = []string{"qname", "cname", "fqdn", "server", "suffix", "domains"}
)

// learn walks through the value of a fact.
func (m *Mask) learn(key, field string, v any) {
	switch v := v.(type) {
	case string:
		if slices.Contains(nameKeys, key) || slices.Contains(nameFields, field) || field == "name" && strings.HasPrefix(key, "dns.") {
			host, _, ok := cutPort(v)
			if !ok {
				host = v
			}
			m.Learn(host)
		}
		if uuidForm.MatchString(v) {
			_ = m.Text(v)
		}
	case []any:
		for _, e := range v {
			m.learn(key, field, e)
		}
	case map[string]any:
		for k, e := range v {
			m.learn(key, k, e)
		}
	}
}
