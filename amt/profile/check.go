package profile

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"amtmedic/amt"
)

// Codes of problems.
const (
	CodeValue    = "value"    // a value that the field cannot have
	CodeMissing  = "missing"  // a field that is needed
	CodeUnknown  = "unknown"  // a field that there is not
	CodePassword = "password" // AMT refuses it
	CodeTwice    = "twice"
	CodeCannot   = "cannot" // what the field asks for is not to be had, alone or with another one
)

// What firmware has room for.
const (
	maxUsers = 15 // beside the administrator (the engine of the simulated firmware has one more)
	maxNames = 4
	maxRoots = 3    // beside our own
	maxDER   = 4100 // bytes of a certificate
)

// checker gathers what is wrong.
type checker struct{ found []amt.Problem }

func (c *checker) say(code, where, format string, a ...any) {
	c.found = append(c.found, amt.In(where, code, format, a...))
}

// oneOf wants one of the words.
func (c *checker) oneOf(where, value string, words ...string) {
	if !slices.Contains(words, value) {
		c.say(CodeValue, where, "%q is not one of %s", clip(value), strings.Join(words, ", "))
	}
}

// Check says what makes a profile unfit, each problem with its field. An empty list means sound.
func Check(p Profile) []amt.Problem {
	c := &checker{found: []amt.Problem{}}
	if p.Name == "" || len(p.Name) > 64 || strings.TrimSpace(p.Name) != p.Name || strings.ContainsFunc(p.Name, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		c.say(CodeValue, "name", "a name has 1 to 64 characters and no blank at its ends")
	}
	c.oneOf("method", p.Method, AnyMethod, PSKMethod, PKIMethod)
	c.rule("network_password.rule", p.Network.Rule, Random, Fixed)
	c.password("network_password", p.Network)
	c.rule("mebx_password.rule", p.MEBx.Rule, Auto, Network, Random, Fixed, Keep)
	c.password("mebx_password", p.MEBx)
	c.tls(p.TLS)
	c.acl(p.ACL)
	c.oneOf("other_users", p.Others, Keep, Remove)
	if p.Power == "" || len(p.Power) > 128 {
		c.say(CodeValue, "power", "it takes %s, %s, %s, or the words of a policy of the firmware", Keep, PowerOn, PowerSleep)
	}
	c.oneOf("host_name", p.HostName, FromFQDN, Keep)
	if p.TLS.On() && p.HostName == Keep {
		c.say(CodeCannot, "host_name", "with TLS the client's certificate and its name have to be the same: fqdn is the only rule")
	}
	for where, s := range map[string]Switch{"redirection.sol": p.Redirection.SOL, "redirection.ider": p.Redirection.IDER, "redirection.listener": p.Redirection.Listener,
		"network.ping": p.Wired.Ping, "network.rmcp_ping": p.Wired.RMCP} {
		c.oneOf(where, string(s), string(Leave), string(On), string(Off))
	}
	c.oneOf("consent", p.Consent, Keep, ConsentNone, ConsentKVM, ConsentAll)
	c.wired(p.Wired)
	slices.SortStableFunc(c.found, func(a, b amt.Problem) int { return strings.Compare(a.Where, b.Where) })
	return c.found
}

// rule wants one of the words, and does not quote what is there: somebody may have written the password
// itself.
func (c *checker) rule(where, value string, words ...string) {
	if !slices.Contains(words, value) {
		c.say(CodeValue, where, "it is not one of %s; a password itself goes to value, with the rule fixed", strings.Join(words, ", "))
	}
}

func (c *checker) password(where string, p Password) {
	switch {
	case p.Rule != Fixed && (!p.Value.IsZero() || p.Sealed):
		c.say(CodeCannot, where+".value", "only a fixed password has a value")
	case p.Rule == Fixed && (p.Length != 0 || p.Characters != ""):
		c.say(CodeCannot, where+".rule", "length and characters are for random passwords")
	case p.Rule == Fixed && p.Value.IsZero() && !p.Sealed:
		c.say(CodeMissing, where+".value", "a fixed password needs its value")
	case p.Rule == Fixed && !p.Sealed:
		if why := weak(p.Value.Reveal()); why != "" {
			c.say(CodePassword, where+".value", "%s", why)
		}
	}
	if p.Rule != Random {
		return
	}
	if p.Length != 0 && (p.Length < MinLength || p.Length > MaxLength) {
		c.say(CodeValue, where+".length", "AMT takes passwords of %d to %d characters", MinLength, MaxLength)
	}
	if p.Characters == "" {
		return
	}
	if missing := lacks(p.Characters); len(missing) > 0 {
		c.say(CodeValue, where+".characters", "AMT demands one of each kind, and these lack %s", strings.Join(missing, " and "))
	}
	if strings.ContainsFunc(p.Characters, func(r rune) bool { return r <= 0x20 || r > 0x7e || strings.ContainsRune(`:,"`, r) }) || len(p.Characters) > 94 {
		c.say(CodeValue, where+".characters", `AMT takes ASCII without blank, : , and "`)
	}
}

func (c *checker) tls(t TLS) {
	c.oneOf("tls.mode", t.Mode, TLSOff, TLSServer, TLSMutual)
	c.oneOf("tls.authority", t.Authority, OwnAuthority, ExternalAuthority)
	if t.Days < 1 || t.Days > 3650 {
		c.say(CodeValue, "tls.days", "a certificate is valid for 1 to 3650 days, not %d", t.Days)
	}
	if t.Mode == TLSOff && (t.Plain || t.Local) {
		c.say(CodeCannot, "tls.mode", "plain and local mean something only with TLS")
	}
	if t.Mode != TLSMutual && len(t.Roots)+len(t.Names) > 0 {
		c.say(CodeCannot, "tls.mode", "roots and names are for mutual TLS: without it nobody is asked for a certificate")
	}
	if len(t.Roots) > maxRoots {
		c.say(CodeValue, "tls.roots", "firmware has room for %d trusted roots beside our own, these are %d", maxRoots, len(t.Roots))
	}
	for i, text := range t.Roots {
		if _, err := ReadRoot(text); err != nil {
			c.say(CodeValue, fmt.Sprintf("tls.roots[%d]", i), "%v", err)
		}
	}
	if len(t.Names) > maxNames-1 {
		c.say(CodeValue, "tls.names", "firmware has room for %d names, one of them for this server; these are %d", maxNames, len(t.Names))
	}
	for i, n := range t.Names {
		if !domain(n) {
			c.say(CodeValue, fmt.Sprintf("tls.names[%d]", i), "%q is no name such as mgmt01.corp.example or corp.example", clip(n))
		}
	}
}

// ReadRoot reads a trusted root: one certificate of an authority in PEM form.
func ReadRoot(text string) (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("it is no certificate in PEM form")
	}
	if strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("it is more than one certificate: each root stands by itself")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the certificate cannot be read: %w", err)
	case !cert.IsCA:
		return nil, errors.New("it is not the certificate of an authority")
	case len(cert.Raw) > maxDER:
		return nil, fmt.Errorf("it has %d bytes, firmware takes %d", len(cert.Raw), maxDER)
	}
	return cert, nil
}

// domain reports whether s is a DNS name.
func domain(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label ||
			strings.ContainsFunc(label, func(c rune) bool {
				return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-'
			}) {
			return false
		}
	}
	return true
}

func (c *checker) acl(entries []Entry) {
	if len(entries) > maxUsers {
		c.say(CodeValue, "acl", "firmware has room for %d users, these are %d", maxUsers, len(entries))
	}
	seen := map[string]bool{}
	for i, e := range entries {
		where := fmt.Sprintf("acl[%d]", i)
		switch {
		case e.User == "admin":
			c.say(CodeCannot, where+".user", "admin is the administrator; network_password sets its password")
		case !userName(e.User):
			c.say(CodeValue, where+".user", `a user has 1 to 16 ASCII characters, no blank, none of ( ) , : ; " & < >, and does not begin with $$`)
		case seen[e.User]:
			c.say(CodeTwice, where+".user", "%q stands in the list twice", e.User)
		}
		seen[e.User] = true
		c.oneOf(where+".access", e.Access, "local", "network", "any")
		if len(e.Realms) == 0 {
			c.say(CodeMissing, where+".realms", "a user without a realm may do nothing")
		}
		for n, r := range e.Realms {
			if slices.Contains(e.Realms[:n], r) {
				c.say(CodeTwice, fmt.Sprintf("%s.realms[%d]", where, n), "%s stands in the list twice", RealmName(r))
			}
		}
		c.rule(where+".password.rule", e.Password.Rule, Random, Fixed)
		c.password(where+".password", e.Password)
	}
}

func userName(s string) bool {
	return len(s) >= 1 && len(s) <= 16 && !strings.HasPrefix(s, "$$") &&
		!strings.ContainsFunc(s, func(c rune) bool { return c < 0x21 || c > 0x7e || strings.ContainsRune(`(),:;"&<>`, c) })
}

func (c *checker) wired(w Wired) {
	c.oneOf("network.ip", w.IP, Keep, DHCP, Static)
	for i, s := range w.Link {
		c.oneOf(fmt.Sprintf("network.link[%d]", i), s, "s0-ac", "sx-ac", "s0-dc", "sx-dc")
		if slices.Contains(w.Link[:i], s) {
			c.say(CodeTwice, fmt.Sprintf("network.link[%d]", i), "%s stands in the list twice", s)
		}
	}
	if w.IP != Static {
		if w.Address+w.Mask+w.Gateway != "" || len(w.DNS) > 0 {
			c.say(CodeCannot, "network.ip", "address, mask, gateway and dns are for ip: static")
		}
		return
	}
	if w.Mask == "" {
		c.say(CodeMissing, "network.mask", "a static address needs its mask")
	} else if !mask(w.Mask) {
		c.say(CodeValue, "network.mask", "%q is no mask such as 255.255.255.0", clip(w.Mask))
	}
	for where, a := range map[string]string{"network.address": w.Address, "network.gateway": w.Gateway} {
		if a != "" && !ipv4(a) {
			c.say(CodeValue, where, "%q is no IPv4 address", clip(a))
		}
	}
	if len(w.DNS) > 2 {
		c.say(CodeValue, "network.dns", "firmware has room for two name servers")
	}
	for i, a := range w.DNS {
		if !ipv4(a) {
			c.say(CodeValue, fmt.Sprintf("network.dns[%d]", i), "%q is no IPv4 address", clip(a))
		}
	}
}

func ipv4(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is4() && !a.IsUnspecified() && !a.IsMulticast()
}

func mask(s string) bool {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		return false
	}
	b := a.As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	return v != 0 && ^v&(^v+1) == 0
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
