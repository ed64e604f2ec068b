// Package privacy gives names and addresses pseudonyms, so that a screen can be shown and a text be
// pasted without telling whose network it is. The same name always gets the same pseudonym, in every
// text that one Mask is given, so that what belongs together still does. ProvisionServer, ports,
// codes, times and versions stay as they are. A Mask does no input or output.
package privacy

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"
)

// Mask remembers which pseudonym stands for what. The zero value is ready; it may be used by several
// goroutines.
type Mask struct {
	mu    sync.Mutex
	given map[string]string // kind and real value in lower case -> pseudonym
	last  map[string]int    // number last given, by kind
	words map[string]bool   // single labels that are names, in lower case
}

// Learn takes names that cannot be told from ordinary words, such as that of a PC without its
// domain, or of a person.
func (m *Mask) Learn(names ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range names {
		n = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(n), "."))
		if n == "" || ordinary[n] || strings.ContainsAny(n, " .:/") {
			continue
		}
		if m.words == nil {
			m.words = map[string]bool{}
		}
		m.words[n] = true
	}
}

// ordinary are words that stand where names do and are none.
var ordinary = map[string]bool{"provisionserver": true, "localhost": true, "none": true, "unknown": true, "root": true,
	"default": true, "admin": true, "administrator": true, "this": true, "client": true, "server": true}

// token is a run of characters in which a name or an address can stand.
var token = regexp.MustCompile(`\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[\pL\pN][\pL\pN_.:%-]*|::[0-9A-Fa-f:.]*`)

// Text gives s with pseudonyms. What has one already stays.
func (m *Mask) Text(s string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return token.ReplaceAllStringFunc(s, m.token)
}

// token hides one run of characters; punctuation behind it stays.
func (m *Mask) token(t string) string {
	bare := strings.TrimRight(t, ".:-%")
	if strings.HasSuffix(t, "::") { // an IPv6 prefix ends so
		bare = t
	}
	tail := t[len(bare):]
	if out, ok := m.whole(bare); ok {
		return out + tail
	}
	if host, port, ok := cutPort(bare); ok {
		if out, ok := m.whole(host); ok {
			return out + ":" + port + tail
		}
	}
	for _, sep := range []string{"-", ":"} { // a range of addresses; a word before an address or a name
		if a, b, ok := strings.Cut(bare, sep); ok {
			left, lok := m.whole(a)
			right, rok := m.whole(b)
			switch {
			case lok && rok:
				return left + sep + right + tail
			case rok && sep == ":":
				return a + sep + right + tail
			}
		}
	}
	return t
}

// cutPort parts a port from what stands before it.
func cutPort(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || i == len(s)-1 || strings.Trim(s[i+1:], "0123456789") != "" {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

var (
	uuidForm = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
	macForm  = regexp.MustCompile(`^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$|^[0-9A-Fa-f]{2}(-[0-9A-Fa-f]{2}){5}$`)
	hexForm  = regexp.MustCompile(`^[0-9A-Fa-f]{32}$`)
)

// whole hides a text that is one name or address; ok is false for everything else.
func (m *Mask) whole(s string) (string, bool) {
	if s == "" {
		return "", false
	}
	plain := strings.ToLower(strings.ReplaceAll(s, "-", ""))
	switch {
	case uuidForm.MatchString(s):
		return m.give("uuid", plain), true
	case hexForm.MatchString(s) && m.given["uuid "+plain] != "":
		return m.give("uuid", plain), true // the same UUID without dashes
	case macForm.MatchString(s):
		return m.give("mac", strings.ReplaceAll(plain, ":", "")), true
	}
	if strings.HasPrefix(s, "[") {
		out, ok := m.address(strings.Trim(s, "[]"))
		return "[" + out + "]", ok
	}
	if out, ok := m.address(s); ok {
		return out, true
	}
	return m.name(s)
}

// address hides an IP address. Those that mean the same on every machine stay.
func (m *Mask) address(s string) (string, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return "", false
	}
	a = a.Unmap().WithZone("")
	if a.IsUnspecified() || a == netip.IPv6Loopback() || a == localhost || a == broadcast || a.IsMulticast() {
		return s, true
	}
	return m.give("ip", a.String()), true
}

var (
	localhost = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
)

// give gives the pseudonym of a value, a new one when it is new.
func (m *Mask) give(kind, value string) string {
	k := kind + " " + value
	if p, ok := m.given[k]; ok {
		return p
	}
	if m.given == nil {
		m.given, m.last = map[string]string{}, map[string]int{}
	}
	m.last[kind]++
	m.given[k] = fmt.Sprintf("%s-%d", kind, m.last[kind])
	return m.given[k]
}
