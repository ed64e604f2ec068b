package hello

import "encoding/binary"

// Need tells how many bytes the message that begins with b has by its own counts, and whether all
// of them are there. A server need not wait for the sender's half-close when they are; what follows
// byte n is not part of the message.
//
//   - not complete, n > len(b): at least n bytes are needed, as far as b can tell;
//   - not complete, n == len(b): an unknown version without a count of its own. Only the sender's
//     close, or its silence, ends it;
//   - complete: the first n bytes are the message. For foreign bytes n is len(b), since nothing
//     that follows will make them a hello.
func Need(b []byte) (n int, complete bool) {
	if Foreign(b) != "" {
		return len(b), true
	}
	if len(b) < HeaderLen {
		return HeaderLen, false
	}
	switch binary.LittleEndian.Uint16(b[2:]) {
	case VersionPSK:
		return PSKLen, len(b) >= PSKLen
	case VersionPKI:
		return needHashes(b)
	}
	return len(b), false
}

// needHashes walks the entries of a version 3 message by their lengths.
func needHashes(b []byte) (int, bool) {
	n := HeaderLen + 1
	if len(b) < n {
		return n, false
	}
	for left := int(b[HeaderLen]); left > 0; left-- {
		if len(b) < n+entryLen {
			return n + left*entryLen, false
		}
		n += entryLen + int(b[n+1])
		if len(b) < n {
			return n + (left-1)*entryLen, false
		}
	}
	return n, true
}
