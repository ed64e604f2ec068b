package keys

import "amtmedic/amt"

// Near reports whether b may be a with a slip of the hand or the eye, so that a client that says a
// was meant to hold b. It is true when the two
//
//   - differ in one character,
//   - differ only by look-alikes (0/O, 1/I, 8/B, 5/S), in any number of places, or
//   - are the same but for two characters that changed places. Neighbours are the usual case; any
//     two are taken, because firmware checks the sum on entry and a swap is what passes it.
//
// A PID is not near to itself. The relation is symmetric.
func Near(a, b amt.PID) bool {
	if len(a) != PIDLen || len(b) != PIDLen {
		return false
	}
	var diff []int
	alike := true
	for i := range PIDLen {
		if a[i] != b[i] {
			diff = append(diff, i)
			alike = alike && lookAlike(a[i], b[i])
		}
	}
	switch {
	case len(diff) == 0:
		return false
	case len(diff) == 1 || alike:
		return true
	case len(diff) == 2:
		i, j := diff[0], diff[1]
		return a[i] == b[j] && a[j] == b[i]
	}
	return false
}

// lookAlike reports whether two different characters are read for each other.
func lookAlike(a, b byte) bool {
	switch string([]byte{min(a, b), max(a, b)}) {
	case "0O", "1I", "8B", "5S":
		return true
	}
	return false
}
