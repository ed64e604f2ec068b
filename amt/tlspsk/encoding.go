package tlspsk

import "strings"

// Encoding makes the identity and the key of a handshake from a PID and a PPS as people write them,
// in either case, with or without dashes. It is the one place to change when a real session shows
// how firmware does it.
type Encoding func(pid, pps string) (identity string, key []byte)

// PlainPair is the default Encoding: the PID as 8 ASCII bytes and the PPS as 32 ASCII bytes, upper
// case, without dashes. Unverified: it is the obvious reading of RFC 4279, no capture of a session
// with firmware was found.
func PlainPair(pid, pps string) (identity string, key []byte) {
	return plain(pid), []byte(plain(pps))
}

// DashedPID sends the PID with its dash, 9 bytes. Unverified. Try it only when the engineer asks for
// it: firmware may count wrong attempts.
func DashedPID(pid, pps string) (identity string, key []byte) {
	return dashed(pid), []byte(plain(pps))
}

// DashedPPS takes the PPS with its dashes, 39 bytes, as the key. Unverified, and to be tried only
// when asked for, as DashedPID.
func DashedPPS(pid, pps string) (identity string, key []byte) {
	return plain(pid), []byte(dashed(pps))
}

func plain(s string) string {
	return strings.ToUpper(strings.ReplaceAll(strings.TrimSpace(s), "-", ""))
}

// dashed puts a dash after every fourth character but the last.
func dashed(s string) string {
	s = plain(s)
	var b strings.Builder
	for i, c := range []byte(s) {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(c)
	}
	return b.String()
}
