package remedy

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/diag"
)

// instruction is how a remedy is done by hand. It belongs to the remedies of a cause whose text has
// word in it (any case; empty: all of them), because numbers of remedies move when one does not apply.
type instruction struct {
	cause string // without rc-
	word  string
	steps func(*values) []string
}

// ByHand gives the steps of a remedy, in order, with the case's own names and addresses filled in
// where they are known; what is not known stands in capitals, such as SERVER-NAME. A remedy
// without steps of its own gives its text. Faces number the steps. j may be nil.
func ByHand(r diag.Remedy, j *diag.Judgement, facts ...diag.Fact) []string {
	v := newValues(facts, j)
	if r.ID == "rm-restart-hello" {
		return restartSteps(v)
	}
	for _, in := range instructions {
		if belongs(r.ID, in.cause) && strings.Contains(strings.ToLower(r.Text), in.word) {
			return in.steps(v)
		}
	}
	return []string{r.Text}
}

// belongs reports whether an id is rm-CAUSE, or rm-CAUSE-2 and so on.
func belongs(id, cause string) bool {
	rest, ok := strings.CutPrefix(id, "rm-"+cause)
	return ok && (rest == "" || strings.Trim(rest, "-0123456789") == "")
}

// instructions are looked through in order: a row with a word goes before the row of all others.
var instructions = slices.Concat(clientInstructions, keyInstructions, nameInstructions, portInstructions, serverInstructions,
	credentialInstructions, certificateInstructions, provisioningInstructions)

// values are the case's own names and addresses, or the words that stand for them.
type values struct {
	view    *diag.View
	server  string // address
	fqdn    string // of the server
	suffix  string // of the client
	client  string // address of the ME
	dns     string // DNS server of the client
	pid     string
	uuid    string
	stored  string // server stored in the MEBx
	target  string // where the name leads now; empty while unknown
	port    string
	version amt.Version
}

func newValues(facts []diag.Fact, j *diag.Judgement) *values {
	view := diag.NewView(facts, time.Time{})
	first := func(key string) string {
		if l, ok := view.Texts(key); ok && len(l) > 0 {
			return l[0]
		}
		return ""
	}
	v := &values{view: view,
		server: cmp.Or(first("srv.addr"), "SERVER-ADDRESS"),
		fqdn:   cmp.Or(view.Str("srv.fqdn"), "SERVER-NAME"),
		suffix: cmp.Or(view.Str("client.suffix"), "CLIENT-SUFFIX"),
		client: cmp.Or(known(view.Str("client.me_addr")), "CLIENT-ADDRESS"),
		dns:    cmp.Or(first("client.dns_servers"), view.Obj("dns.client").Str("server"), "CLIENT-DNS-SERVER"),
		pid:    cmp.Or(amt.PID(view.PID()).Dashed(), "PID"),
		uuid:   cmp.Or(view.UUID(), "UUID"),
		stored: cmp.Or(known(view.Str("client.server_override")), "the stored server"),
		port:   fmt.Sprint(amt.HelloPort),
	}
	if l, ok := view.Obj("dns.client").Texts("addr"); ok && len(l) > 0 {
		v.target = l[0]
	}
	if v.uuid == "UUID" && j != nil && j.UUID != "" {
		v.uuid = j.UUID
	}
	if host, p, err := net.SplitHostPort(view.Str("client.server_override")); err == nil && host != "" {
		v.port = p // the client was told to use another port
	}
	v.version, _ = amt.ParseVersion(view.Str("client.amt_version"))
	return v
}

func known(text string) string {
	if text == diag.None {
		return ""
	}
	return text
}

// name is the full name that the client asks for.
func (v *values) name() string { return strings.ToLower(amt.ServerName) + "." + v.suffix }

// record is the CNAME that is missing.
func (v *values) record() CNAME {
	return CNAME{Server: v.dns, Name: v.name(), Target: v.fqdn, Zone: v.suffix}
}

func lines(s ...string) func(*values) []string { return func(*values) []string { return s } }
