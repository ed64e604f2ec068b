package remedy

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"amtmedic/amt"
)

// CNAME is the record that a DNS update adds or corrects.
type CNAME struct {
	ID     string // the remedy's id
	Server string // host or host:port of the DNS server that may write the zone
	Name   string // provisionserver.corp.example
	Target string // the provisioning server's full name
	Zone   string // empty: the server is asked
	TTL    uint32 // seconds; 0 means 300
	// Correct allows the update to replace a CNAME that leads elsewhere. A record of any other
	// kind is never touched.
	Correct bool
	Now     func() time.Time // nil is time.Now
	Try     time.Duration    // how long one exchange waits; 0 means 5 s
}

// Inputs of a DNS update.
const (
	FieldKeyName   = "key_name"
	FieldKeySecret = "key_secret"
)

// update is one CNAME on its way: what was planned, and what is needed to take it back.
type update struct {
	CNAME
	mu   sync.Mutex
	old  *dns.CNAME // what the plan found and will remove; nil when the name was free
	made bool       // the plan was made
	done *tsigKey   // the key that it was done with; nil before
}

// DNSUpdate gives the repair that writes the CNAME by RFC 2136, signed with TSIG (RFC 8945). What
// the preview found is a prerequisite of the update itself, so that nothing that came meanwhile is
// overwritten. Undo works while the program runs: it needs the key that was typed.
func DNSUpdate(c CNAME) Action {
	if c.TTL == 0 {
		c.TTL = 300
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Try <= 0 {
		c.Try = 5 * time.Second
	}
	c.Name, c.Target = dns.CanonicalName(c.Name), dns.CanonicalName(c.Target)
	if c.Zone != "" {
		c.Zone = dns.CanonicalName(c.Zone)
	}
	u := &update{CNAME: c}
	return Action{ID: c.ID, Plan: u.plan, Apply: u.apply, Undo: u.undo}
}

func (u *update) server() string {
	if _, _, err := net.SplitHostPort(u.Server); err == nil {
		return u.Server
	}
	return net.JoinHostPort(strings.Trim(u.Server, "[]"), "53")
}

func (u *update) record() *dns.CNAME {
	return &dns.CNAME{Hdr: dns.RR_Header{Name: u.Name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: u.TTL}, Target: u.Target}
}

// show writes a record as a zone file has it.
func show(c *dns.CNAME) string {
	return fmt.Sprintf("%s  %d  CNAME  %s", c.Hdr.Name, c.Hdr.Ttl, c.Target)
}

func (u *update) plan(ctx context.Context) (Plan, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.look(ctx); err != nil {
		return Plan{}, err
	}
	checked := "no record of that name there"
	removes, undo := "nothing", "deletes exactly this record"
	if u.old != nil {
		checked = "a CNAME to " + u.old.Target + " is there"
		removes, undo = show(u.old), "deletes this record and puts the old one back"
	}
	p := Plan{
		Title: "Add the CNAME to the zone at " + u.Server,
		Rows: []Row{
			{"will send", "DNS update (RFC 2136), signed with the key that you name"},
			{"to", fmt.Sprintf("%s, zone %s", u.server(), strings.TrimSuffix(u.Zone, "."))},
			{"adds", show(u.record())},
			{"removes", removes},
			{"undo", undo},
			{"checked first", fmt.Sprintf("%s (asked %s)", checked, u.Now().Format(time.TimeOnly))},
		},
		ByHand:  CNAMEByHand(u.CNAME, u.old),
		Fields:  keyFields(),
		Confirm: "yes",
		Undo:    undo,
	}
	if u.old != nil {
		p.Title = "Correct the CNAME in the zone at " + u.Server
	}
	if note := u.targetNote(ctx); note != "" {
		p.Rows = append(p.Rows, Row{"note", note})
	}
	return p, nil
}

func keyFields() []Field {
	return []Field{
		{Name: FieldKeyName, Label: "key name", Hint: "amtmedic-key, or hmac-sha512:amtmedic-key", Check: func(s string) error {
			_, err := parseKey(s, amt.NewSecret("AAAA"))
			return err
		}},
		{Name: FieldKeySecret, Label: "key secret", Hint: "base64, as in the key file", Secret: true, Check: func(s string) error {
			_, err := parseKey("k", amt.NewSecret(s))
			return err
		}},
	}
}

// look finds the zone and what stands under the name now.
func (u *update) look(ctx context.Context) error {
	op := func(err error) error {
		return &amt.Error{Op: "look at the zone", Subject: u.Server, Err: err, Hint: "name the DNS server that may write the zone, or add the record by hand"}
	}
	if u.Zone == "" {
		zone, err := u.findZone(ctx)
		if err != nil {
			return op(err)
		}
		u.Zone = zone
	}
	if !dns.IsSubDomain(u.Zone, u.Name) || u.Zone == u.Name {
		return op(fmt.Errorf("%s is not a name inside the zone %s", u.Name, u.Zone))
	}
	u.old, u.made = nil, false
	for _, qtype := range []uint16{dns.TypeCNAME, dns.TypeA, dns.TypeAAAA, dns.TypeTXT} {
		m, err := u.query(ctx, u.Name, qtype)
		if err != nil {
			return op(err)
		}
		if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
			return op(fmt.Errorf("it answers %s to a question about %s", dns.RcodeToString[m.Rcode], u.Name))
		}
		for _, rr := range m.Answer {
			if err := u.found(rr); err != nil {
				return err
			}
		}
	}
	u.made = true
	return nil
}

// found judges a record that stands under the name.
func (u *update) found(rr dns.RR) error {
	if dns.CanonicalName(rr.Header().Name) != u.Name {
		return nil // further along the chain
	}
	c, ok := rr.(*dns.CNAME)
	switch {
	case !ok:
		return &amt.Error{Op: "add CNAME", Subject: u.Name, Err: fmt.Errorf("a record of type %s has that name already", dns.TypeToString[rr.Header().Rrtype]),
			Hint: "a CNAME cannot stand beside it: take it away by hand first, if it is not wanted"}
	case dns.CanonicalName(c.Target) == u.Target:
		return &amt.Error{Op: "add CNAME", Subject: u.Name, Err: errors.New("exactly this record is there already"), Hint: "check the road again: a cache may still hold the old answer"}
	case !u.Correct:
		return &amt.Error{Op: "add CNAME", Subject: u.Name, Err: fmt.Errorf("a CNAME to %s has that name already", c.Target), Hint: "if it is wrong, correct it instead"}
	}
	u.old = c
	return nil
}

// findZone asks for the SOA above the name.
func (u *update) findZone(ctx context.Context) (string, error) {
	m, err := u.query(ctx, u.Name, dns.TypeSOA)
	if err != nil {
		return "", err
	}
	// Behind a CNAME the SOA is that of the target's zone, which may be a parent of the name's.
	aliased := slices.ContainsFunc(m.Answer, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeCNAME })
	if zone, ok := zoneIn(m, u.Name); ok && !aliased {
		return zone, nil
	}
	if i := dns.Split(u.Name); len(i) > 1 { // one label higher
		if m, err = u.query(ctx, u.Name[i[1]:], dns.TypeSOA); err != nil {
			return "", err
		}
		if zone, ok := zoneIn(m, u.Name); ok {
			return zone, nil
		}
	}
	return "", fmt.Errorf("it names no zone for %s (%s)", u.Name, dns.RcodeToString[m.Rcode])
}

// zoneIn gives the zone of a SOA record in an answer, if name lies in it.
func zoneIn(m *dns.Msg, name string) (string, bool) {
	for _, rr := range append(m.Answer, m.Ns...) {
		if soa, ok := rr.(*dns.SOA); ok && dns.IsSubDomain(soa.Hdr.Name, name) {
			return dns.CanonicalName(soa.Hdr.Name), true
		}
	}
	return "", false
}

// targetNote warns of a CNAME that would dangle.
func (u *update) targetNote(ctx context.Context) string {
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		if m, err := u.query(ctx, u.Target, qtype); err != nil || len(m.Answer) > 0 {
			return ""
		}
	}
	return fmt.Sprintf("%s gives no address for %s: the CNAME would lead nowhere there", u.Server, strings.TrimSuffix(u.Target, "."))
}

func (u *update) apply(ctx context.Context, in map[string]string) (string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	key, err := parseKey(in[FieldKeyName], amt.NewSecret(in[FieldKeySecret]))
	if err != nil {
		return "", &amt.Error{Op: "update DNS", Subject: u.Server, Err: err}
	}
	if !u.made {
		if err := u.look(ctx); err != nil {
			return "", err
		}
	}
	m := new(dns.Msg)
	m.SetUpdate(u.Zone)
	if u.old == nil {
		m.NameNotUsed([]dns.RR{u.record()})
	} else {
		m.Used([]dns.RR{dns.Copy(u.old)}) // Used writes into what it is given
		m.Remove([]dns.RR{dns.Copy(u.old)})
	}
	m.Insert([]dns.RR{u.record()})
	if err := u.send(ctx, m, key); err != nil {
		return "", err
	}
	u.done, u.made = key, false
	if err := u.verify(ctx, u.Target); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s answers with %s", u.Server, show(u.record())), nil
}

// undo deletes the record that was added, if it still stands as it was written.
func (u *update) undo(ctx context.Context) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.done == nil {
		return &amt.Error{Op: "undo DNS update", Subject: u.Name, Err: errors.New("nothing was added by this program run"), Hint: "the commands by hand show how to delete it"}
	}
	m := new(dns.Msg)
	m.SetUpdate(u.Zone)
	m.Used([]dns.RR{u.record()})
	m.Remove([]dns.RR{u.record()})
	want := ""
	if u.old != nil {
		m.Insert([]dns.RR{dns.Copy(u.old)})
		want = dns.CanonicalName(u.old.Target)
	}
	if err := u.send(ctx, m, u.done); err != nil {
		return err
	}
	u.done, u.made = nil, false
	return u.verify(ctx, want)
}

// verify asks the server for the CNAME; want is empty when it should be gone.
func (u *update) verify(ctx context.Context, want string) error {
	m, err := u.query(ctx, u.Name, dns.TypeCNAME)
	if err != nil {
		return &amt.Error{Op: "ask for the record again", Subject: u.Server, Err: err, Hint: "the update was accepted; look at the zone"}
	}
	have := ""
	for _, rr := range m.Answer {
		if c, ok := rr.(*dns.CNAME); ok && dns.CanonicalName(c.Hdr.Name) == u.Name {
			have = dns.CanonicalName(c.Target)
		}
	}
	if have != want {
		return &amt.Error{Op: "ask for the record again", Subject: u.Server, Err: fmt.Errorf("the update was accepted, but %s leads to %q, not to %q", u.Name, have, want),
			Hint: "is this the server that clients ask, or another view of it?"}
	}
	return nil
}

// tsigKey is a key that signs updates. Its secret is base64 text.
type tsigKey struct {
	name, algorithm string
	secret          amt.Secret
}

var algorithms = map[string]string{"hmac-sha256": dns.HmacSHA256, "hmac-sha512": dns.HmacSHA512, "hmac-sha384": dns.HmacSHA384,
	"hmac-sha224": dns.HmacSHA224, "hmac-sha1": dns.HmacSHA1}

// parseKey reads "name" or "hmac-sha512:name", as nsupdate -y does, and checks the secret's form.
func parseKey(name string, secret amt.Secret) (*tsigKey, error) {
	alg := "hmac-sha256"
	if a, n, ok := strings.Cut(strings.TrimSpace(name), ":"); ok {
		alg, name = strings.ToLower(a), n
	}
	k := &tsigKey{name: dns.CanonicalName(strings.TrimSpace(name)), algorithm: algorithms[alg], secret: amt.NewSecret(strings.TrimSpace(secret.Reveal()))}
	if k.algorithm == "" {
		return nil, fmt.Errorf("%q is no algorithm of a key: hmac-sha256, hmac-sha512, hmac-sha384, hmac-sha224 and hmac-sha1 are", alg)
	}
	if _, ok := dns.IsDomainName(k.name); !ok || k.name == "." {
		return nil, errors.New("the key needs its name, as in the key file")
	}
	if b, err := base64.StdEncoding.DecodeString(k.secret.Reveal()); err != nil || len(b) == 0 {
		return nil, errors.New("the key's secret is not base64: copy it from the key file, without quotes")
	}
	return k, nil
}
