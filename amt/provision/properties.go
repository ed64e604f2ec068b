package provision

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// Asked is what is known of a client when its properties are asked for.
type Asked struct {
	UUID    amt.UUID
	Address netip.Addr // where its hello came from
	Method  amt.Method
	PID     amt.PID // psk only
}

// Properties is what a configuration needs to know beyond the hello. An empty profile is the default
// one.
type Properties struct {
	FQDN    string // lower case, without final dot
	Profile string
	OU      string // of the directory object; may be empty
}

// PropertySource answers where a client belongs. False: it knows nothing of this client, and the next
// source is asked. An error ends the search; a Refusal gives its reason.
type PropertySource interface {
	Name() string
	Properties(ctx context.Context, a Asked) (Properties, bool, error)
}

// Refusal is why a client cannot be provisioned now: it waits as a delayed entry with this reason.
type Refusal struct {
	Cause string // id of the catalogue, such as rc-fqdn-unresolved
	Words string // for the delayed entry
	Log   string // for the log; empty is Words
	Err   error  // what stands behind it; may be nil
}

// Error gives the words and what stands behind them.
func (r *Refusal) Error() string {
	if r.Err == nil {
		return r.Words
	}
	return r.Words + ": " + r.Err.Error()
}

// Unwrap gives what stands behind the refusal.
func (r *Refusal) Unwrap() error { return r.Err }

// reason is the text of the delayed entry: catalogue id and words.
func (r *Refusal) reason() string { return r.Cause + ": " + r.Words }

// resolve asks the sources in their order.
func resolve(ctx context.Context, sources []PropertySource, a Asked) (Properties, string, error) {
	var names []string
	for _, s := range sources {
		p, ok, err := s.Properties(ctx, a)
		if err != nil {
			return Properties{}, s.Name(), err
		}
		if !ok {
			names = append(names, s.Name())
			continue
		}
		p.FQDN = strings.ToLower(strings.TrimSuffix(p.FQDN, "."))
		if err := checkFQDN(p.FQDN); err != nil {
			return Properties{}, s.Name(), &Refusal{Cause: "rc-fqdn-unresolved", Words: fmt.Sprintf("%s answers a name that cannot be used", s.Name()), Err: err}
		}
		return p, s.Name(), nil
	}
	return Properties{}, "", &Refusal{Cause: "rc-fqdn-unresolved",
		Words: "no name for this UUID; asked: " + strings.Join(names, ", ")}
}

// checkFQDN refuses what firmware and directory could not use: a host name and at least one label of
// domain, of letters, digits and hyphens (RFC 1123), at most 255 characters.
func checkFQDN(name string) error {
	labels := strings.Split(name, ".")
	if name == "" || len(name) > 255 {
		return fmt.Errorf("a name has 1 to 255 characters, this one has %d", len(name))
	}
	if len(labels) < 2 {
		return fmt.Errorf("%q has no domain", name)
	}
	odd := func(r rune) bool { return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') }
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.ContainsFunc(l, odd) {
			return fmt.Errorf("%q: a label has 1 to 63 letters, digits or inner hyphens", name)
		}
	}
	return nil
}

// FromMap gives the names of csti_uuid_maps.
func FromMap(st *store.Store) PropertySource { return mapSource{st} }

type mapSource struct{ st *store.Store }

func (mapSource) Name() string { return "the UUID map" }

func (m mapSource) Properties(ctx context.Context, a Asked) (Properties, bool, error) {
	row, ok, err := m.st.MapRow(ctx, a.UUID)
	if err != nil || ok {
		return Properties{FQDN: row.FQDN, Profile: row.Profile}, ok, err
	}
	if _, swapped, err := m.st.SwappedMapRow(ctx, a.UUID); err == nil && swapped {
		return Properties{}, false, &Refusal{Cause: "rc-uuid-byte-order",
			Words: "the UUID map has this client under the byte-swapped form of its UUID, " + a.UUID.Swapped().String()}
	}
	return Properties{}, false, err
}

// Resolver is what reverse DNS needs of net.Resolver.
type Resolver interface {
	LookupAddr(ctx context.Context, addr string) ([]string, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// FromDNS gives the name that reverse DNS has for the hello's address, if that name leads back to the
// address: a name that does not is somebody else's, or old.
func FromDNS(r Resolver) PropertySource { return dnsSource{r} }

type dnsSource struct{ r Resolver }

func (dnsSource) Name() string { return "reverse DNS" }

func (d dnsSource) Properties(ctx context.Context, a Asked) (Properties, bool, error) {
	names, err := d.r.LookupAddr(ctx, a.Address.String())
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return Properties{}, false, nil
	}
	if err != nil {
		return Properties{}, false, &Refusal{Cause: "rc-fqdn-unresolved", Words: "reverse DNS of " + a.Address.String() + " did not answer", Err: err}
	}
	for _, n := range names {
		back, err := d.r.LookupNetIP(ctx, "ip", n)
		if err == nil && slices.ContainsFunc(back, func(b netip.Addr) bool { return b.Unmap() == a.Address }) {
			return Properties{FQDN: n}, true, nil
		}
	}
	return Properties{}, false, nil
}
