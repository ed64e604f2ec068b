package capture

import (
	"encoding/binary"
	"runtime"
	"strings"
	"time"
)

// maxComment bounds the comment of a block in bytes: a length there has 16 bits.
const maxComment = 8 << 10

// Options of blocks that are written (draft-tuexen-opsawg-pcapng-05, 3.5 and the sections of the blocks).
const (
	optionComment    = 1
	sectionHardware  = 2
	sectionOS        = 3
	sectionProgram   = 4
	ifaceName        = 2
	ifaceResolution  = 9
	ifaceFilter      = 11
	ifaceOS          = 12
	countersReceived = 4
	countersDropped  = 5
)

// appendOption adds an option with its padding; an empty one is left out.
func appendOption(b []byte, code uint16, value []byte) []byte {
	if len(value) == 0 {
		return b
	}
	value = value[:min(len(value), maxComment)]
	b = binary.LittleEndian.AppendUint16(b, code)
	b = append(binary.LittleEndian.AppendUint16(b, uint16(len(value))), value...)
	return append(b, make([]byte, -len(value)&3)...)
}

// endOptions adds the end of options.
func endOptions(b []byte) []byte { return append(b, 0, 0, 0, 0) }

// appendComment adds a comment option and the end of options.
func appendComment(b []byte, text string) []byte {
	text = strings.ToValidUTF8(text[:min(len(text), maxComment)], "?")
	return endOptions(appendOption(b, optionComment, []byte(text)))
}

// appendSection adds a section header; note is its comment.
func appendSection(b []byte, note string) []byte {
	o, start := binary.LittleEndian, len(b)
	b = o.AppendUint32(o.AppendUint32(b, blockSection), 0)
	b = o.AppendUint16(o.AppendUint16(o.AppendUint32(b, byteOrderMagic), 1), 0) // version 1.0
	b = o.AppendUint64(b, 1<<64-1)                                              // its length is not known
	b = appendOption(b, sectionHardware, []byte(runtime.GOARCH))
	b = appendOption(b, sectionOS, []byte(runtime.GOOS))
	b = appendOption(b, sectionProgram, []byte("amtmedic"))
	return closeBlock(appendComment(b, note), start)
}

// appendInterface adds an interface description; times have nanoseconds.
func appendInterface(b []byte, d RecordedInterface) []byte {
	o, start := binary.LittleEndian, len(b)
	b = o.AppendUint32(o.AppendUint32(b, blockInterface), 0)
	b = o.AppendUint32(o.AppendUint16(o.AppendUint16(b, uint16(d.Link)), 0), maxPacket)
	b = appendOption(b, ifaceName, []byte(d.Name))
	b = appendOption(b, ifaceResolution, []byte{9})
	if d.Filter != "" {
		b = appendOption(b, ifaceFilter, append([]byte{0}, d.Filter...)) // 0: text
	}
	b = appendOption(b, ifaceOS, []byte(runtime.GOOS))
	return closeBlock(endOptions(b), start)
}

// appendCounters adds the statistics of each interface; received has what came on each. What was lost is
// counted for a whole capture: of several interfaces it stands at the first, and a comment says so.
func appendCounters(b []byte, at time.Time, s Stats, received []uint64) []byte {
	o := binary.LittleEndian
	for i, n := range received {
		start := len(b)
		if len(received) == 1 {
			n = s.Received
		}
		b = appendStatisticsHead(b, i, at)
		if i == 0 && len(received) > 1 && s.Dropped > 0 {
			b = appendOption(b, optionComment, []byte("what was dropped is that of all interfaces together"))
		}
		b = appendOption(b, countersReceived, o.AppendUint64(nil, n))
		if i == 0 || s.Dropped == 0 { // of the others it is not known
			b = appendOption(b, countersDropped, o.AppendUint64(nil, s.Dropped))
		}
		b = closeBlock(endOptions(b), start)
	}
	return b
}

// appendStatisticsHead begins an interface statistics block.
func appendStatisticsHead(b []byte, iface int, at time.Time) []byte {
	o, ns := binary.LittleEndian, nanos(at)
	b = o.AppendUint32(o.AppendUint32(b, blockStatistics), 0)
	return o.AppendUint32(o.AppendUint32(o.AppendUint32(b, uint32(iface)), uint32(ns>>32)), uint32(ns))
}

// appendPacket adds an enhanced packet block with a resolution of nanoseconds.
func appendPacket(b []byte, p *Packet, iface int, comment string) []byte {
	o, start := binary.LittleEndian, len(b)
	ns := nanos(p.Time)
	b = o.AppendUint32(o.AppendUint32(b, blockEnhanced), 0)
	b = o.AppendUint32(b, uint32(iface))
	b = o.AppendUint32(o.AppendUint32(b, uint32(ns>>32)), uint32(ns))
	b = o.AppendUint32(o.AppendUint32(b, uint32(len(p.Data))), uint32(max(p.OrigLen, len(p.Data))))
	b = append(append(b, p.Data...), make([]byte, -len(p.Data)&3)...)
	if comment != "" {
		b = appendComment(b, comment)
	}
	return closeBlock(b, start)
}

// appendRemark adds an interface statistics block of interface 0 that holds nothing but a remark:
// what Wireshark shows among the properties of the file.
func appendRemark(b []byte, at time.Time, text string) []byte {
	start := len(b)
	return closeBlock(appendComment(appendStatisticsHead(b, 0, at), text), start)
}

// closeBlock fills in the length of the block that begins at start and repeats it at its end.
func closeBlock(b []byte, start int) []byte {
	n := uint32(len(b) - start + 4)
	binary.LittleEndian.PutUint32(b[start+4:], n)
	return binary.LittleEndian.AppendUint32(b, n)
}

// nanos gives a time as pcapng has it, 0 for none.
func nanos(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixNano())
}
