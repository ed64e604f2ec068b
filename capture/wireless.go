package capture

import (
	"encoding/binary"
	"hash/crc32"
	"time"
)

// Of an IEEE 802.11 frame (IEEE 802.11-2020, 9.2 and 9.3.2.1): the bits that are looked at. Frame control
// is two bytes, the second of which holds flags.
const (
	wifiKind      = 0x0F // version and type
	wifiData      = 0x08 // version 0, a data frame
	wifiNoData    = 0x40 // of a data frame's subtype: it carries none
	wifiQoS       = 0x80 // of a data frame's subtype
	wifiBothDS    = 0x03 // flags to and from the distribution system: four addresses
	wifiRetry     = 0x08 // flag: sent before
	wifiProtected = 0x40
	wifiOrder     = 0x80 // with wifiQoS: an HT control field
	wifiHead      = 24   // bytes of the header with three addresses
	wifiSequence  = 22   // where the fragment number stands, in the low four bits
	wifiAMSDU     = 0x80 // of the QoS control field: several frames in one
	subframeHead  = 14   // addresses and length of one of them
	snapHead      = 8    // LLC and SNAP before the payload (IEEE 802.2)
)

// radiotap gives what stands behind a radiotap header (radiotap.org: version, padding, length as little
// endian).
func radiotap(b []byte) (int, bool) {
	if len(b) < 8 || b[0] != 0 {
		return 0, false
	}
	n := int(binary.LittleEndian.Uint16(b[2:]))
	return n, n >= 8 && n <= len(b)
}

// wifiBody finds the body of an unprotected data frame that begins at off. several tells that it holds
// frames of its own. Later fragments have no header that could be read, and are left out.
func wifiBody(b []byte, off int) (at int, several, ok bool) {
	if len(b) < off+wifiHead {
		return 0, false, false
	}
	h := b[off:]
	if h[0]&wifiKind != wifiData || h[0]&wifiNoData != 0 || h[1]&wifiProtected != 0 || h[wifiSequence]&0x0F != 0 {
		return 0, false, false
	}
	n := wifiHead
	if h[1]&wifiBothDS == wifiBothDS {
		n += 6
	}
	if h[0]&wifiQoS != 0 {
		if len(h) < n+2 {
			return 0, false, false
		}
		several = h[n]&wifiAMSDU != 0
		n += 2
		if h[1]&wifiOrder != 0 {
			n += 4
		}
	}
	return off + n, several, len(h) >= n
}

// wifiNetwork walks the header of an 802.11 frame that begins at off, of several frames in one that of
// the first.
func wifiNetwork(b []byte, off int, tags *[maxTags]uint16) (network, bool) {
	at, several, ok := wifiBody(b, off)
	if !ok {
		return network{}, false
	}
	if several {
		return snap(b, at+subframeHead, tags)
	}
	if n, ok := snap(b, at, tags); ok {
		return n, true
	}
	if (at-off)%4 != 0 { // some drivers fill the header up to whole words
		return snap(b, at+2, tags)
	}
	return network{}, false
}

// snap reads LLC with SNAP and the Ethernet type in it.
func snap(b []byte, at int, tags *[maxTags]uint16) (network, bool) {
	if len(b) < at+snapHead || binary.BigEndian.Uint32(b[at:]) != 0xAAAA_0300 || b[at+4] != 0 || b[at+5] != 0 && b[at+5] != 0xF8 {
		return network{}, false
	}
	return untag(b, binary.BigEndian.Uint16(b[at+6:]), at+snapHead, tags)
}

// wifiStart is where the 802.11 header begins; ok is false for other link types too.
func wifiStart(link LinkType, b []byte) (off int, ok bool) {
	switch link {
	case LinkWiFi:
		return 0, true
	case LinkRadiotap:
		return radiotap(b)
	}
	return 0, false
}

// aggregated reports whether a frame holds several, which the filter then lets pass.
func aggregated(link LinkType, b []byte) bool {
	off, ok := wifiStart(link, b)
	if !ok {
		return false
	}
	_, several, ok := wifiBody(b, off)
	return ok && several
}

// subframes gives every frame in one that holds several, as a frame of Ethernet, for as long as they are
// whole. One that f does not understand hides none behind it; the first error of f is returned.
func subframes(link LinkType, b []byte, f func(ether []byte) error) (first error) {
	off, ok := wifiStart(link, b)
	if !ok {
		return nil
	}
	at, several, ok := wifiBody(b, off)
	if ok && (at-off)%4 != 0 && !snapAt(b, at+subframeHead) && snapAt(b, at+2+subframeHead) {
		at += 2 // the header is filled up to whole words, see wifiNetwork
	}
	for ok && several && len(b) >= at+subframeHead+snapHead {
		size := int(binary.BigEndian.Uint16(b[at+12:]))
		from, to := at+subframeHead, at+subframeHead+size
		if size < snapHead || to > len(b) {
			break
		}
		if snapAt(b, from) {
			ether := append(append([]byte(nil), b[at:at+12]...), b[from+6:to]...)
			if err := f(ether); first == nil {
				first = err
			}
		}
		at += (subframeHead + size + 3) &^ 3
	}
	return first
}

// snapAt reports whether LLC with SNAP begins at a place.
func snapAt(b []byte, at int) bool {
	return len(b) >= at+snapHead && binary.BigEndian.Uint32(b[at:]) == 0xAAAA_0300
}

// onAir remembers the last frames that were taken off the air. A station sends again what was not
// acknowledged, with the same sequence number and the retry flag: such a repeat is not one of TCP.
type onAir struct {
	seen [64]struct {
		sum uint64
		at  time.Time
	}
	next int
}

// repeated reports whether an 802.11 frame was seen in the last second already, and notes it if not. The
// bytes compared leave out what differs in a repeat: frame control, duration, and the check sequence that
// may stand at the end.
func (a *onAir) repeated(b []byte, at time.Time) bool {
	if len(b) < wifiHead+4 {
		return false
	}
	sum := uint64(crc32.ChecksumIEEE(b[4:len(b)-4]))<<32 | uint64(uint32(len(b)))
	if b[1]&wifiRetry != 0 {
		for i := range a.seen {
			if d := at.Sub(a.seen[i].at); a.seen[i].sum == sum && d >= 0 && d < time.Second {
				return true
			}
		}
	}
	a.seen[a.next].sum, a.seen[a.next].at = sum, at
	a.next = (a.next + 1) % len(a.seen)
	return false
}
