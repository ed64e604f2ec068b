package capture

import (
	"encoding/binary"
	"errors"
	"time"
)

// Of struct bpf_hdr: what is always there of it, and to what records are padded.
const (
	bpfHeader = 18
	bpfAlign  = 4
)

// bpfRecord takes the first packet off what a read of /dev/bpf gave: struct bpf_hdr of a 64-bit macOS
// (seconds, microseconds, captured and original length of 32 bits each, header length of 16 bits,
// little-endian), the packet, and padding to four bytes. gopacket's reader pads to eight there and so
// loses the second packet of a read.
func bpfRecord(b []byte) (p Packet, rest []byte, err error) {
	if len(b) < bpfHeader {
		return p, nil, errors.New("a packet header of the system is cut off")
	}
	caplen, size := binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])
	head := int(binary.LittleEndian.Uint16(b[16:]))
	if head < bpfHeader || caplen > maxPacket || head+int(caplen) > len(b) {
		return p, nil, errors.New("a packet of the system is cut off")
	}
	end := head + int(caplen)
	p.Data, p.OrigLen = b[head:end:end], int(min(size, 1<<30))
	p.Time = time.Unix(int64(int32(binary.LittleEndian.Uint32(b))), int64(binary.LittleEndian.Uint32(b[4:]))*1000)
	return p, b[min(len(b), (end+bpfAlign-1)&^(bpfAlign-1)):], nil
}
