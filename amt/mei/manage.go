package mei

import (
	"encoding/binary"
	"fmt"

	"amtmedic/amt"
)

// side names the clients of the firmware that are not AMT's own in errors.
type side string

func (s side) String() string { return string(s) }

// The messages of the watchdog client: command 5, bytes that follow, sub-command, version 0x10
// (rpc-go pkg/heci; Intel's guide, page stateindependencechangetoamt.htm).
var (
	askEnabled = []byte{5, 2, 0x51, 0x10}
	setOldOn   = []byte{5, 2, 0x52, 0x10} // the old way, deprecated in release 9.0
	setOn      = []byte{5, 3, 0x53, 0x10, 1}
)

// Enablement is what the watchdog client says of whether AMT is on. It answers also when AMT is off.
type Enablement struct {
	Raw     byte
	New     bool // the interface that says whether AMT is on (bit 7)
	On      bool // AMT is on; means something only with New
	Allowed bool // a change is allowed; advisory: firmware with it clear has been switched on
	// Ready is the answer of the old interface: capable, not set up, Remote Configuration on. False does
	// not say which of the three is not so.
	Ready bool
}

// ReadEnablement reads the answer to IsChangeToAMTEnabled: one byte, in an early edition of the guide four.
func ReadEnablement(b []byte) (Enablement, error) {
	if len(b) != 1 && len(b) != 4 {
		return Enablement{}, garbled(side("IsChangeToAMTEnabled"), "%d bytes came, not 1 or 4", len(b))
	}
	e := Enablement{Raw: b[0], New: b[0]&0x80 != 0, Allowed: b[0]&1 != 0}
	e.On, e.Ready = e.New && b[0]&2 != 0, !e.New && b[0] != 0
	return e, nil
}

// ManageStatus is a status of the watchdog client that is not success (intel/lms
// ManageabilityErrorException.h).
type ManageStatus uint32

// Error gives the number and words.
func (s ManageStatus) Error() string {
	words := map[ManageStatus]string{3: "not while it is provisioned", 0x88: "not ready", 0x89: "not supported", 0x9E: "refused: it can be switched on only in BIOS or MEBx",
		0xA0: "too many writes to its flash memory", 0xA8: "a change is not allowed"}[s]
	if words == "" {
		words = "a status without a name here"
	}
	return fmt.Sprintf("the firmware answers %s (0x%x)", words, uint32(s))
}

// ReadEnabled reads the answer to a command that switches AMT on: a status of four bytes, with some sources
// behind four bytes of head.
func ReadEnabled(b []byte) error {
	var s ManageStatus
	switch {
	case len(b) >= 8:
		s = ManageStatus(binary.LittleEndian.Uint32(b[4:]))
	case len(b) == 4:
		s = ManageStatus(binary.LittleEndian.Uint32(b))
	default:
		return garbled(side("SetAmtOperationalState"), "%d bytes came, not 4 or 8", len(b))
	}
	if s != 0 {
		return s
	}
	return nil
}

// The messages of the MKHI client: group, command, and for a rule its number (intel/lms MKHICommand.h).
var askFirmware = []byte{0xff, 2, 0, 0}

func askRule(rule uint32) []byte { return binary.LittleEndian.AppendUint32([]byte{3, 2, 0, 0}, rule) }

// Rules of the firmware's capabilities.
const (
	ruleCapable  = 0
	ruleEnabled  = 32
	rulePlatform = 29
)

const mkhiHead = 4

// mkhi checks an answer of the MKHI client and gives what follows its head.
func mkhi(request, b []byte) (*payload, error) {
	of := side(fmt.Sprintf("MKHI %02x/%02x", request[0], request[1]))
	switch {
	case len(b) < mkhiHead:
		return nil, garbled(of, "%d bytes are less than a head", len(b))
	case b[0] != request[0] || b[1] != request[1]|0x80:
		return nil, garbled(of, "this is the answer to %02x/%02x", b[0], b[1]&^0x80)
	case b[3] != 0:
		return nil, fmt.Errorf("the firmware answers %s with 0x%02x", of, b[3])
	}
	return &payload{of: of, b: b, at: mkhiHead}, nil
}

// ReadFirmware reads the answer to GetFWVersion: minor, major, build, hotfix.
func ReadFirmware(b []byte) (amt.Version, error) {
	p, err := mkhi(askFirmware, b)
	if err != nil {
		return amt.Version{}, err
	}
	minor, major, build, hotfix := p.u16("minor"), p.u16("major"), p.u16("build"), p.u16("hotfix")
	if p.err != nil {
		return amt.Version{}, p.err
	}
	return amt.ParseVersion(fmt.Sprintf("%d.%d.%d.%d", major, minor, hotfix, build))
}

// ReadRule reads the answer to GetFWCaps for a rule.
func ReadRule(rule uint32, b []byte) (uint32, error) {
	p, err := mkhi(askRule(rule), b)
	if err != nil {
		return 0, err
	}
	if got := p.u32("the rule"); p.err == nil && got != rule {
		return 0, garbled(p.of, "this is rule %d, not %d", got, rule)
	}
	if n := p.u8("the length"); p.err == nil && n != 4 {
		return 0, garbled(p.of, "%d bytes of rule data, not 4", n)
	}
	return p.u32("the word"), p.err
}

// amtBit is AMT in the words of capable and enabled, from version 6 on; the words of 2008 had another layout.
const amtBit = 1 << 2

// Brand is the product that the firmware announces in its platform type, bits 12 to 15.
func Brand(platform uint32) string {
	return word(platform>>12&15, "none", "amt", "standard", "l3", "rpat", "sbt")
}
