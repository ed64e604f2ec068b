package inventory

import (
	"fmt"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// Codes of conflicts.
const (
	CodeNameTaken = "name-taken"      // the FQDN is that of another UUID of ours
	CodeSwapped   = "uuid-swapped"    // we know the UUID in another byte order
	CodeProfile   = "profile-unknown" // no profile has that name
	CodeTwice     = "twice"           // UUID or FQDN stands in the inventory twice
	CodeRetired   = "retired"         // the client is out of service
	CodeUUID      = "uuid"            // it is no UUID, or none is known for the FQDN
	CodeName      = "fqdn"            // it is no name of a computer, or none is known for the UUID
)

// Merge is what an inventory would change.
type Merge struct {
	Changes   []store.NameChange
	Same      int           // rows that say what we have
	Ignored   int           // rows of retired clients, and rows without a UUID or name that say nothing
	Conflicts []amt.Problem // rows that are left out
}

// merging is a Plan under way.
type merging struct {
	ours     map[amt.UUID]store.FleetRow
	names    map[string]amt.UUID // of rows of the map
	profiles map[string]bool
	uuids    map[amt.UUID]string // of the inventory: where
	taken    map[string]string
	gone     map[string]bool // names of ours that the inventory gives up
	out      Merge
}

// Plan merges an inventory with ours. A row is found by its UUID, or, if it has none, by its FQDN. Only
// name and profile are taken over; an empty field leaves what we have. State, version and address of an
// inventory never replace what a client told us.
func Plan(rows []Row, fleet []store.FleetRow, profiles []string) Merge {
	m := merging{ours: map[amt.UUID]store.FleetRow{}, names: map[string]amt.UUID{}, profiles: map[string]bool{}, uuids: map[amt.UUID]string{}, taken: map[string]string{}, gone: map[string]bool{}}
	m.out.Conflicts = []amt.Problem{}
	for _, f := range fleet {
		m.ours[f.UUID] = f
		if f.Mapped {
			m.names[f.MapFQDN] = f.UUID
		}
	}
	for _, p := range profiles {
		m.profiles[p] = true
	}
	for _, r := range rows { // names that change hands within one inventory
		if u, err := parseUUID(r.UUID); err == nil {
			if f := m.ours[u]; f.Mapped && r.FQDN != "" && f.MapFQDN != name(r.FQDN) {
				m.gone[f.MapFQDN] = true
			}
		}
	}
	for _, r := range rows {
		m.add(r)
	}
	m.settle()
	return m.out
}

func name(s string) string { return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), ".")) }

func (m *merging) conflict(r Row, code, format string, a ...any) {
	m.out.Conflicts = append(m.out.Conflicts, amt.In(r.where, code, format, a...))
}

func (m *merging) add(r Row) {
	fqdn := name(r.FQDN)
	u, ok := m.find(r, fqdn)
	if !ok {
		return
	}
	have, known := m.ours[u]
	if fqdn == "" && have.Mapped {
		fqdn = have.MapFQDN
	} else if fqdn == "" {
		fqdn = have.FQDN
	}
	if fqdn == "" {
		if r.Profile == "" {
			m.out.Ignored++
			return
		}
		m.conflict(r, CodeName, "no name of %s is known: the profile %q cannot be assigned", u, r.Profile)
		return
	}
	if err := store.HostName(fqdn); err != nil {
		m.conflict(r, CodeName, "%v", err)
		return
	}
	if !m.allowed(r, u, fqdn, have, known) {
		return
	}
	m.uuids[u], m.taken[fqdn] = r.where, r.where
	c := store.NameChange{UUID: u, FQDN: fqdn, Profile: r.Profile, New: !have.Mapped, WasFQDN: have.MapFQDN, WasProfile: have.MapProfile}
	if c.Profile == "" {
		c.Profile = have.MapProfile
	}
	if have.Mapped && c.FQDN == c.WasFQDN && c.Profile == c.WasProfile {
		m.out.Same++
		return
	}
	m.out.Changes = append(m.out.Changes, c)
}

// find gives the UUID of a row, by its name when it has none.
func (m *merging) find(r Row, fqdn string) (amt.UUID, bool) {
	if strings.TrimSpace(r.UUID) == "" {
		u, ok := m.names[fqdn]
		switch {
		case ok:
			return u, true
		case fqdn == "" || r.Profile == "" && r.State == "":
			m.out.Ignored++
		default:
			m.conflict(r, CodeUUID, "%s has no UUID here, and none in the inventory", fqdn)
		}
		return amt.UUID{}, false
	}
	u, err := parseUUID(r.UUID)
	if err != nil {
		m.conflict(r, CodeUUID, "%v", err)
		return u, false
	}
	if u.IsZero() {
		m.conflict(r, CodeUUID, "the UUID is all zero")
		return u, false
	}
	return u, true
}

// allowed names what contradicts.
func (m *merging) allowed(r Row, u amt.UUID, fqdn string, have store.FleetRow, known bool) bool {
	other, named := m.names[fqdn]
	_, swapped := m.ours[u.Swapped()]
	switch {
	case m.uuids[u] != "":
		m.conflict(r, CodeTwice, "UUID %s stands in %s already", u, m.uuids[u])
	case m.taken[fqdn] != "":
		m.conflict(r, CodeTwice, "%s stands in %s already", fqdn, m.taken[fqdn])
	case known && !have.Retired.IsZero():
		if r.State == StateRetired {
			m.out.Ignored++
			return false
		}
		m.conflict(r, CodeRetired, "%s is retired; \"amtmedic fleet reuse\" puts it into service again", u)
	case r.State == StateRetired:
		m.out.Ignored++
	case !known && swapped && u != u.Swapped():
		m.conflict(r, CodeSwapped, "we know this client as %s: the inventory writes its UUID in another byte order", u.Swapped())
	case named && other != u && !m.gone[fqdn]:
		m.conflict(r, CodeNameTaken, "%s is the name of %s here, and of %s in the inventory; if the mainboard was replaced: amtmedic fleet replace %s %s", fqdn, other, u, other, u)
	case r.Profile != "" && !m.profiles[r.Profile]:
		m.conflict(r, CodeProfile, "there is no profile %q", r.Profile)
	default:
		return true
	}
	return false
}

// settle takes back changes whose name is not given up after all, since the row that did so is a
// conflict itself.
func (m *merging) settle() {
	for again := true; again; {
		again = false
		leaves := map[string]bool{}
		for _, c := range m.out.Changes {
			leaves[c.WasFQDN] = leaves[c.WasFQDN] || c.FQDN != c.WasFQDN
		}
		kept := m.out.Changes[:0]
		for _, c := range m.out.Changes {
			if other, named := m.names[c.FQDN]; named && other != c.UUID && !leaves[c.FQDN] {
				m.out.Conflicts = append(m.out.Conflicts, amt.In(m.uuids[c.UUID], CodeNameTaken, "%s stays the name of %s", c.FQDN, other))
				again = true
				continue
			}
			kept = append(kept, c)
		}
		m.out.Changes = kept
	}
}

// Words says a change in a line.
func Words(c store.NameChange) string {
	profile := func(p string) string {
		if p == "" {
			return "the default profile"
		}
		return "profile " + p
	}
	switch {
	case c.New:
		return fmt.Sprintf("%s gets the name %s, %s", c.UUID, c.FQDN, profile(c.Profile))
	case c.FQDN != c.WasFQDN && c.Profile != c.WasProfile:
		return fmt.Sprintf("%s: %s becomes %s, %s becomes %s", c.UUID, c.WasFQDN, c.FQDN, profile(c.WasProfile), profile(c.Profile))
	case c.FQDN != c.WasFQDN:
		return fmt.Sprintf("%s: %s becomes %s", c.UUID, c.WasFQDN, c.FQDN)
	}
	return fmt.Sprintf("%s %s: %s becomes %s", c.UUID, c.FQDN, profile(c.WasProfile), profile(c.Profile))
}
