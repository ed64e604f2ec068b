package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/mei"
)

// The commands of AMT's host interface that the one-shots use (local-mei 2.2). The answer's code has
// bit 23 set.
const (
	hostProvState    = 0x04000011
	hostVersions     = 0x0400001A
	hostRandomMake   = 0x04000028
	hostStart        = 0x04000029
	hostTLSMode      = 0x0400002B
	hostRandomState  = 0x0400002E
	hostZeroTouch    = 0x04000030
	hostUUID         = 0x0400005C
	hostStartEx      = 0x04000062
	hostAnswer       = 0x00800000
	hostRequestLen   = 12
	hostAnswerLen    = 16
	hostShort        = 3 * time.Second // for a command that only reads
	hostLong         = 15 * time.Second
	hostNotReady     = 0x02
	hostWrongState   = 0x03
	hostRandomRuns   = 0x2F
	hostRandomNone   = 0x30
	hostCertNotReady = 0x31
)

// hostStatus is a status of the firmware that is not success.
type hostStatus uint32

// Error gives the number, and words for those that matter here.
func (s hostStatus) Error() string {
	words := map[hostStatus]string{0x01: "internal error", 0x02: "not ready", 0x03: "not permitted in this state", 0x10: "not permitted",
		0x20: "wrong provisioning state", 0x26: "too many writes to its flash memory", 0x2F: "random numbers are being made", 0x30: "no random numbers yet",
		0x31: "its certificate is being made", 0x400: "switched off by a policy"}[s]
	if words == "" {
		words = "unknown status"
	}
	return fmt.Sprintf("the firmware answers %s (0x%x)", words, uint32(s))
}

// errSwitchedOff is AMT that gives an empty answer.
var errSwitchedOff = errors.New("AMT is switched off")

// host speaks to AMT's host interface, one command at a time.
type host struct{ link mei.Link }

// ask sends a command and gives the payload of its answer.
func (h host) ask(parent context.Context, limit time.Duration, command uint32, payload ...byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(parent, limit)
	defer cancel()
	b := binary.LittleEndian.AppendUint32([]byte{1, 1, 0, 0}, command)
	b = append(binary.LittleEndian.AppendUint32(b, uint32(len(payload))), payload...)
	if err := h.link.Write(ctx, b); err != nil {
		return nil, err
	}
	in := make([]byte, max(h.link.MaxMessage(), 512))
	n, err := h.link.Read(ctx, in)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, errSwitchedOff
	}
	return hostPayload(command, in[:n])
}

// hostPayload checks an answer in the order that local-mei 2.1 gives.
func hostPayload(command uint32, b []byte) ([]byte, error) {
	le := binary.LittleEndian
	switch {
	case len(b) < hostAnswerLen:
		return nil, fmt.Errorf("the answer to command %#x has %d bytes", command, len(b))
	case uint64(le.Uint32(b[8:]))+hostRequestLen != uint64(len(b)):
		return nil, fmt.Errorf("the answer to command %#x has %d bytes and announces %d behind its head", command, len(b), le.Uint32(b[8:]))
	case le.Uint32(b[4:]) != command|hostAnswer:
		return nil, fmt.Errorf("the answer to command %#x is one to %#x", command, le.Uint32(b[4:])&^hostAnswer)
	case b[0] != 1 || b[2] != 0 || b[3] != 0:
		return nil, fmt.Errorf("the answer to command %#x has an unknown head", command)
	}
	if s := le.Uint32(b[12:]); s != 0 {
		return nil, hostStatus(s)
	}
	return b[hostAnswerLen:], nil
}

// number reads an answer that is one number.
func (h host) number(ctx context.Context, command uint32) (uint32, error) {
	b, err := h.ask(ctx, hostShort, command)
	if err != nil {
		return 0, err
	}
	if len(b) < 4 {
		return 0, fmt.Errorf("the answer to command %#x has no number", command)
	}
	return binary.LittleEndian.Uint32(b), nil
}

// version reads the version of AMT; errSwitchedOff when AMT gives an empty answer.
func (h host) version(ctx context.Context) (amt.Version, error) {
	b, err := h.ask(ctx, hostShort, hostVersions)
	if err != nil {
		return amt.Version{}, err
	}
	const bios, entry, half = 65, 44, 22
	if len(b) < bios+4 {
		return amt.Version{}, errors.New("the list of versions is cut off")
	}
	b = b[bios+4:]
	text := func(b []byte) string {
		n := min(int(binary.LittleEndian.Uint16(b)), half-2)
		return strings.TrimRight(string(b[2:2+n]), "\x00")
	}
	for ; len(b) >= entry; b = b[entry:] {
		if text(b) == "AMT" {
			return amt.ParseVersion(text(b[half:]))
		}
	}
	return amt.Version{}, errors.New("the list of versions does not name AMT")
}

// uuid reads the UUID of the client.
func (h host) uuid(ctx context.Context) (amt.UUID, error) {
	b, err := h.ask(ctx, hostShort, hostUUID)
	if err != nil {
		return amt.UUID{}, err
	}
	if len(b) < 16 {
		return amt.UUID{}, errors.New("the UUID is cut off")
	}
	return amt.UUIDFromWire([16]byte(b[:16])), nil
}

// provWord gives the word for a provisioning state.
func provWord(state uint32) string {
	if words := []string{"pre", "in", "post"}; state < 3 {
		return words[state]
	}
	return "unknown"
}
