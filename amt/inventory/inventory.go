// Package inventory exchanges the list of clients with a console's own inventory: a file (CSV or JSON)
// or a table of an SQL database. Read and FromTable give rows, Plan merges them with ours on UUID and
// FQDN and names what contradicts, Push says what a foreign table lacks. It changes nothing itself.
package inventory

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// Row is a client in an inventory, as text; fields that an inventory does not have are empty.
type Row struct {
	UUID       string `json:"uuid"`
	FQDN       string `json:"fqdn"`
	Profile    string `json:"profile"`
	State      string `json:"state"` // never, unprovisioned, in-progress, delayed, provisioned, retired
	Method     string `json:"method"`
	AMTVersion string `json:"amt_version"`
	IP         string `json:"ip"`
	LastHello  string `json:"last_hello"` // RFC 3339, UTC
	Reason     string `json:"reason"`
	ReplacedBy string `json:"replaced_by"`

	where string // line, entry or row, for messages
}

// Columns are the columns of a file, in their order.
var Columns = []string{"uuid", "fqdn", "profile", "state", "method", "amt_version", "ip", "last_hello", "reason", "replaced_by"}

// States that stand beside those of the store.
const (
	StateNever   = "never" // in the UUID map only
	StateRetired = "retired"
)

// field gives the place of a column in a row.
func (r *Row) field(column string) *string {
	switch column {
	case "uuid":
		return &r.UUID
	case "fqdn":
		return &r.FQDN
	case "profile":
		return &r.Profile
	case "state":
		return &r.State
	case "method":
		return &r.Method
	case "amt_version":
		return &r.AMTVersion
	case "ip":
		return &r.IP
	case "last_hello":
		return &r.LastHello
	case "reason":
		return &r.Reason
	case "replaced_by":
		return &r.ReplacedBy
	}
	return nil
}

// others are names that inventories have for our columns, without spaces, dashes and underlines.
var others = map[string]string{
	"uuid": "uuid", "guid": "uuid", "amtuuid": "uuid", "systemuuid": "uuid", "smbiosuuid": "uuid", "smbiosguid": "uuid", "biosguid": "uuid",
	"fqdn": "fqdn", "hostname": "fqdn", "dnsname": "fqdn", "computername": "fqdn", "dnshostname": "fqdn", "amtfqdn": "fqdn",
	"profile": "profile", "profilename": "profile", "amtprofile": "profile",
	"state": "state", "amtstate": "state", "provisioningstate": "state",
	"method": "method", "amtversion": "amt_version", "coreversion": "amt_version",
	"ip": "ip", "ipaddress": "ip", "amtip": "ip", "lasthello": "last_hello", "reason": "reason", "replacedby": "replaced_by",
}

var gaps = strings.NewReplacer(" ", "", "-", "", "_", "")

// Column gives our name of a column of an inventory; empty for one that is not ours.
func Column(name string) string {
	return others[gaps.Replace(strings.ToLower(strings.TrimSpace(name)))]
}

// FromTable makes rows of a table by the names of its columns. The first of two columns with one meaning
// counts. An error says that UUID or FQDN is not among them.
func FromTable(columns []string, rows [][]string, word string) ([]Row, error) {
	place, err := places(columns)
	if err != nil {
		return nil, err
	}
	out := make([]Row, 0, len(rows))
	for i, cells := range rows {
		out = append(out, fill(place, cells, fmt.Sprintf("%s %d", word, i+1)))
	}
	return out, nil
}

// places gives our name of each column, empty for those that are not ours.
func places(columns []string) ([]string, error) {
	var place []string
	for _, c := range columns {
		name := Column(c)
		if slices.Contains(place, name) {
			name = ""
		}
		place = append(place, name)
	}
	if !slices.Contains(place, "uuid") || !slices.Contains(place, "fqdn") {
		return nil, fmt.Errorf("it has no column for UUID and FQDN; its columns: %s", clip(strings.Join(columns, ", "), 200))
	}
	return place, nil
}

func fill(place, cells []string, where string) Row {
	r := Row{where: where}
	for k, v := range cells[:min(len(cells), len(place))] {
		if f := r.field(place[k]); f != nil {
			*f = strings.TrimSpace(v)
		}
	}
	return r
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n] + "..."
	}
	return s
}

// FromFleet makes the row of a client of ours.
func FromFleet(f store.FleetRow) Row {
	r := Row{UUID: f.UUID.String(), FQDN: f.FQDN, Profile: f.Profile, State: string(f.State), Method: string(f.Method), AMTVersion: f.AMTVersion, IP: f.IP, Reason: f.Reason}
	if f.Mapped { // what the next configuration uses
		r.FQDN, r.Profile = f.MapFQDN, f.MapProfile
	}
	if !f.LastHello.IsZero() {
		r.LastHello = f.LastHello.UTC().Format(time.RFC3339)
	}
	switch {
	case !f.Retired.IsZero():
		r.State = StateRetired
	case !f.Hello:
		r.State = StateNever
	}
	if !f.ReplacedBy.IsZero() {
		r.ReplacedBy = f.ReplacedBy.String()
	}
	return r
}

func parseUUID(s string) (amt.UUID, error) {
	return amt.ParseUUID(strings.Trim(strings.TrimSpace(s), "{}"))
}
