package profile

import (
	"slices"
	"strconv"
	"strings"
)

// realms are the interfaces that a user may be given, by their numbers in Intel's MOF of
// AMT_AuthorizationService. Numbers that it keeps for the firmware itself are left out.
var realms = map[string]int{
	"redirection": 2, "administration": 3, "hardware-asset": 4, "remote-control": 5, "storage": 6, "event-manager": 7,
	"storage-admin": 8, "agent-presence-local": 9, "agent-presence-remote": 10, "circuit-breaker": 11, "network-time": 12,
	"general-info": 13, "firmware-update": 14, "eit": 15, "local-notification": 16, "endpoint-access": 17,
	"endpoint-access-admin": 18, "event-log-reader": 19, "audit-log": 20, "acl": 21,
}

// RealmNames lists the names of realms, sorted.
func RealmNames() []string {
	out := make([]string, 0, len(realms))
	for name := range realms {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// RealmName gives the name of a realm, its number when it has none.
func RealmName(n int) string {
	for name, number := range realms {
		if number == n {
			return name
		}
	}
	return strconv.Itoa(n)
}

// readRealm reads a name or number.
func readRealm(s string) (int, bool) {
	s = strings.ToLower(s)
	if n, ok := realms[s]; ok {
		return n, true
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, false
	}
	return n, n >= 2 && n <= 24
}

// linkStates are the power states in which the link may stay up, with the numbers of
// AMT_EthernetPortSettings.LinkPolicy.
var linkStates = map[string]int{"s0-ac": 1, "sx-ac": 14, "s0-dc": 16, "sx-dc": 224}

// LinkNumber gives the number of a power state of Wired.Link; 0 for one that is none.
func LinkNumber(state string) int { return linkStates[state] }
