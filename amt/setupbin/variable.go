package setupbin

import (
	"fmt"

	"amtmedic/amt"
	"amtmedic/amt/keys"
)

// kind is the form of a variable's value.
type kind int

const (
	raw    kind = iota // size or layout not known from any source: kept, shown in hex
	text               // as many bytes as characters, at most max
	choice             // one byte, one of values
	bits               // one byte, a sum of values
	guid               // 16 bytes
	ipv4               // 4 bytes, last octet first
	port               // 2 bytes
	number             // 4 bytes, 1 to max
	word               // 4 bytes, one of values
	hash               // algorithm, digest, length of a name, name
	pid
	pps
)

// definition is what is known of a variable. since is the first file version; unsure says that no
// source names it, so that an older file with the variable is no error.
type definition struct {
	module, id uint16
	name       string
	kind       kind
	since      Version
	unsure     bool
	max        int
	values     map[int]string
	secret     bool
}

var (
	offOn    = map[int]string{0: "off", 1: "on"}
	disabled = map[int]string{0: "disabled", 1: "enabled"}
)

// definitions: setup-bin-and-keys 2.5. Modules: 1 = ME kernel and MEBx, 2 = AMT configuration.
var definitions = []definition{
	{1, 1, "current MEBx password", text, V10, false, 32, nil, true},
	{1, 2, "new MEBx password", text, V10, false, 255, nil, true},
	{1, 3, "manageability feature selection", choice, V10, false, 0, map[int]string{0: "none", 1: "Intel AMT"}, false},
	{1, 4, "firmware local update", choice, V21, false, 0, map[int]string{0: "disabled", 1: "enabled", 2: "password protected"}, false},
	{1, 5, "firmware update qualifier", choice, V21, true, 0, map[int]string{0: "always", 1: "never", 2: "restricted"}, false},
	{1, 6, "power package", guid, V21, false, 0, nil, false},
	{2, 1, "PID", pid, V10, false, 0, nil, false},
	{2, 2, "PPS", pps, V10, false, 0, nil, true},
	{2, 3, "PKI DNS suffix", text, V20, false, 255, nil, false},
	{2, 4, "configuration server name", text, V20, false, 255, nil, false},
	{2, 5, "Remote Configuration", choice, V20, false, 0, offOn, false},
	{2, 6, "built-in certificate hashes", choice, V20, true, 0, offOn, false},
	{2, 7, "user-defined certificate hashes", choice, V20, true, 0, map[int]string{0: "disabled", 1: "enabled", 2: "delete"}, false},
	{2, 8, "certificate hash", hash, V20, false, 32, nil, false},
	{2, 10, "SOL and IDE-R", bits, V20, false, 7, map[int]string{1: "SOL", 2: "IDE-R", 4: "log-in with user and password"}, false},
	{2, 11, "host name", text, V21, false, 63, nil, false},
	{2, 12, "domain name", text, V21, false, 255, nil, false},
	{2, 13, "DHCP", choice, V21, false, 0, map[int]string{1: "disabled", 2: "enabled"}, false},
	{2, 14, "secure firmware update", choice, V21, true, 0, disabled, false},
	{2, 15, "idle timeout", raw, V21, false, 0, nil, false},
	{2, 16, "provisioning mode", raw, V21, false, 0, nil, false}, // its values are contradictory in the one source
	{2, 17, "provisioning server address", ipv4, V21, false, 0, nil, false},
	{2, 18, "provisioning server port", port, V21, false, 0, nil, false},
	{2, 19, "static IPv4 settings", raw, V21, false, 0, nil, false},
	{2, 20, "VLAN", raw, V21, false, 0, nil, false},
	{2, 21, "password policy", raw, V21, false, 0, nil, false},
	{2, 22, "IPv6 settings", raw, V30, false, 0, nil, false},
	{2, 23, "shared or dedicated name", choice, V30, true, 0, map[int]string{0: "dedicated", 1: "shared"}, false},
	{2, 24, "dynamic DNS update", choice, V30, true, 0, offOn, false},
	{2, 25, "KVM", choice, V30, true, 0, offOn, false},
	{2, 26, "user consent", choice, V30, true, 0, map[int]string{0: "none", 1: "for KVM", 255: "for everything"}, false},
	{2, 27, "remote change of the consent policy", choice, V30, true, 0, offOn, false},
	{2, 28, "provisioning", choice, V30, true, 0, map[int]string{0: "stop", 1: "start"}, false},
	{2, 29, "set-up and configuration", choice, V30, true, 0, map[int]string{0: "automated", 1: "manual"}, false},
	{2, 30, "support channel id", number, V30, true, 65535, nil, false},
	{2, 31, "support channel description", text, V30, true, 60, nil, false},
	{2, 32, "service account number", text, V30, true, 32, nil, false},
	{2, 33, "enrolment passcode", text, V30, true, 32, nil, true},
	{2, 34, "service type", word, V30, true, 0, map[int]string{1: "reactive", 2: "proactive", 4: "one-time session"}, false},
	{2, 35, "service provider id", guid, V30, true, 0, nil, false},
}

func define(module, id uint16) (definition, bool) {
	for _, d := range definitions {
		if d.module == module && d.id == id {
			return d, true
		}
	}
	return definition{}, false
}

// Name gives the variable's name, or says that no source knows it.
func (v Variable) Name() string {
	if d, ok := define(v.Module, v.ID); ok {
		return d.name
	}
	return "not known"
}

// Key gives module and variable number as MODULE/VARIABLE.
func (v Variable) Key() string { return fmt.Sprintf("%d/%d", v.Module, v.ID) }

// Secret reports whether the value must not be shown without being asked for. A variable that
// nobody knows may hold anything, so it is secret too, and so is a PID that is too long to be one: it
// may be a PPS.
func (v Variable) Secret() bool {
	d, ok := define(v.Module, v.ID)
	return !ok || d.secret || d.kind == pid && len(bare(v.Value)) > keys.PIDLen
}

// digestLen gives the length in bytes of a digest by its algorithm number; 2 and 3 from version 3.0.
var digestLen = map[byte]int{1: 20, 2: 32, 3: 48}

// fault says what is wrong with the value itself, empty when nothing is. It tells nothing of a secret.
func (v Variable) fault(version Version) string {
	d, ok := define(v.Module, v.ID)
	if !ok {
		return ""
	}
	b := []byte(v.Value.Reveal())
	size := map[kind]int{choice: 1, bits: 1, guid: 16, ipv4: 4, port: 2, number: 4, word: 4}[d.kind]
	if size > 0 && len(b) != size {
		return fmt.Sprintf("has %d bytes instead of %d", len(b), size)
	}
	switch d.kind {
	case text:
		switch {
		case len(b) == 0:
			return "is empty"
		case len(b) > d.max:
			return fmt.Sprintf("has %d characters, %d are the most", len(b), d.max)
		}
		for i, c := range b {
			if c < 0x20 || c > 0x7e {
				return fmt.Sprintf("has a byte at place %d that is no printable ASCII character", i+1)
			}
		}
	case choice, word:
		if n := int(uint32le(b)); d.values[n] == "" {
			return fmt.Sprintf("has the value %d, which does not exist", n)
		}
	case bits:
		if int(b[0]) > d.max {
			return fmt.Sprintf("has the bits %#x, of which only %#x exist", b[0], d.max)
		}
	case port:
		if le.Uint16(b) == 0 {
			return "is port 0"
		}
	case number:
		if n := le.Uint32(b); n == 0 || int64(n) > int64(d.max) {
			return fmt.Sprintf("is %d, not from 1 to %d", n, d.max)
		}
	case hash:
		return hashFault(b, version)
	case raw:
		if v.Module == 2 && v.ID == 22 && len(b) != 204 && len(b) != 84 {
			return fmt.Sprintf("has %d bytes instead of 204 or 84", len(b))
		}
	}
	return ""
}

func hashFault(b []byte, version Version) string {
	if len(b) == 0 {
		return "is empty"
	}
	n := digestLen[b[0]]
	switch {
	case n == 0:
		return fmt.Sprintf("has the algorithm %d; 1 is SHA-1, 2 SHA-256, 3 SHA-384", b[0])
	case b[0] > 1 && version.Before(V30):
		return "is not SHA-1, the only one before version 3.0"
	case len(b) < 1+n+1 || len(b) != 1+n+1+int(b[1+n]):
		return fmt.Sprintf("has %d bytes, which do not fit its digest and its name", len(b))
	case b[1+n] > 32:
		return fmt.Sprintf("has a name of %d characters, 32 are the most", b[1+n])
	}
	return ""
}

// uint32le reads a number of one to four bytes.
func uint32le(b []byte) (n uint32) {
	for i, c := range b[:min(len(b), 4)] {
		n |= uint32(c) << (8 * i)
	}
	return n
}

// bare gives a PID or PPS without dashes.
func bare(s amt.Secret) string { return string(dropDashes(s.Reveal())) }

func dropDashes(s string) []byte {
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		if s[i] != '-' {
			out = append(out, s[i])
		}
	}
	return out
}
