package device

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"amtmedic/amt/wsman"
)

// This file holds reads that a person at the client wants and a setup does not need. They speak WS-Man
// only: for firmware with the older interface they give an error of KindMissing.

// LogRecord is an entry of the event log, as AMT_MessageLog gives it: 21 bytes in the form of a
// platform event (IPMI platform event trap; the layout as MeshCommander and the Intel class reference
// have it).
type LogRecord struct {
	Time       time.Time
	SensorType byte // 15: progress of the BIOS
	EventType  byte
	Offset     byte
	Source     byte // 104: the BIOS
	Severity   byte // a bit of 1 monitor, 2 information, 4 OK, 8 non-critical, 16 critical, 32 fatal
	Sensor     byte
	Entity     byte // 34: the BIOS
	Instance   byte
	Data       [8]byte
}

// recordLen is the length of a record in bytes.
const recordLen = 21

// ParseLogRecord reads the bytes of a record.
func ParseLogRecord(b []byte) (r LogRecord, err error) {
	if len(b) < recordLen {
		return r, fmt.Errorf("a record of the event log has %d bytes, %d were expected", len(b), recordLen)
	}
	r = LogRecord{Time: time.Unix(int64(binary.LittleEndian.Uint32(b)), 0).UTC(),
		SensorType: b[5], EventType: b[6], Offset: b[7], Source: b[8], Severity: b[9], Sensor: b[10], Entity: b[11], Instance: b[12]}
	copy(r.Data[:], b[13:])
	return r, nil
}

// Level gives the severity in a word.
func (r LogRecord) Level() string {
	words := []struct {
		bit  byte
		word string
	}{{32, "fatal"}, {16, "critical"}, {8, "warning"}, {4, "ok"}, {2, "information"}, {1, "monitor"}}
	for _, w := range words {
		if r.Severity&w.bit != 0 {
			return w.word
		}
	}
	return "unspecified"
}

// What the BIOS was at (IPMI 2.0, table 42-3, sensor type 0Fh; the second byte of the data names it, and
// EBh in the first says that it does not, as MeshCommander reads it).
var progress = []string{"unspecified", "memory initialisation", "hard disk initialisation and test", "secondary processor initialisation",
	"user authentication", "system setup entered by the user", "USB configuration", "PCI configuration", "option ROM initialisation", "video initialisation",
	"cache initialisation", "SM bus initialisation", "keyboard controller initialisation", "embedded controller initialisation", "docking station attached",
	"docking station enabled", "docking station ejected", "docking station disabled", "wake-up vector of the operating system called",
	"start of the operating system", "baseboard initialisation", "reserved", "floppy initialisation", "keyboard test", "pointing device test",
	"primary processor initialisation"}

// What stopped it.
var bootErrors = []string{"unspecified", "no memory is installed", "no memory can be used", "hard disk, ATAPI or IDE device cannot be used", "system board cannot be used",
	"diskette subsystem cannot be used", "hard disk controller cannot be used", "PS/2 or USB keyboard cannot be used", "removable boot medium not found",
	"video controller cannot be used", "no video device found", "BIOS corrupt (checksum)", "processor voltage mismatch", "processor speed mismatch"}

// sensors are the kinds that are seen in the logs of PCs (IPMI 2.0, table 42-3).
var sensors = map[byte]string{1: "temperature", 2: "voltage", 4: "fan", 5: "chassis opened", 6: "security violation", 7: "processor", 8: "power supply", 12: "memory",
	13: "drive bay", 15: "firmware progress", 18: "system event", 30: "boot error", 31: "operating system boot", 32: "operating system stopped", 35: "watchdog",
	36: "platform alert", 37: "entity presence", 38: "monitor hardware", 40: "management subsystem", 192: "Intel AMT"}

// Text says what the record is about, as far as its numbers are public.
func (r LogRecord) Text() string {
	name, known := sensors[r.SensorType]
	if !known {
		name = fmt.Sprintf("sensor type %d", r.SensorType)
	}
	if r.SensorType != 15 {
		return fmt.Sprintf("%s, event type %d, offset %d", name, r.EventType, r.Offset)
	}
	list, word := progress, "BIOS: "
	if r.Offset == 0 {
		list, word = bootErrors, "BIOS error: "
	}
	if n := int(r.Data[1]); r.Data[0] != 0xEB && n < len(list) {
		return word + list[n]
	}
	return word + "not told"
}

// maxRecords bounds the records that are read: firmware holds 390.
const maxRecords = 2000

// EventLog reads the event log, in the order in which the firmware gives it.
func EventLog(ctx context.Context, d Device) ([]LogRecord, error) {
	w, err := overWSMan(d, wsman.ClassMessageLog)
	if err != nil {
		return nil, err
	}
	n, err := w.invoke(ctx, wsman.ClassMessageLog, "PositionToFirstRecord")
	if ret := (*wsman.ReturnError)(nil); errors.As(err, &ret) && ret.Code == 2 { // no record exists
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []LogRecord
	for at := n.Value("IterationIdentifier"); ; {
		n, err := w.invoke(ctx, wsman.ClassMessageLog, "GetRecords", wsman.Param("IterationIdentifier", at), wsman.ParamInt("MaxReadRecords", 390))
		if err != nil {
			return nil, err
		}
		page, err := records(n)
		if err != nil {
			return nil, w.unreadable(wsman.ClassMessageLog+".GetRecords", err)
		}
		all = append(all, page...)
		done, err := n.Bool("NoMoreRecords")
		if err != nil {
			return nil, w.unreadable(wsman.ClassMessageLog+".GetRecords", err)
		}
		next := n.Value("IterationIdentifier")
		if done || len(page) == 0 || next == at {
			return all, nil
		}
		if len(all) > maxRecords {
			return nil, w.unreadable(wsman.ClassMessageLog+".GetRecords", fmt.Errorf("more than %d records", maxRecords))
		}
		at = next
	}
}

func records(n *wsman.Node) ([]LogRecord, error) {
	var out []LogRecord
	for _, r := range n.All("RecordArray") {
		b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(r.Text))
		if err != nil {
			return nil, errors.New("a record is not base64")
		}
		rec, err := ParseLogRecord(b)
		if err != nil {
			return nil, err
		}
		out = append(out, rec)
	}
	return out, nil
}

// RootHash is a root certificate that the firmware accepts for Remote Configuration.
type RootHash struct {
	Name      string
	Algorithm int // AMT_ProvisioningCertificateHash.HashType: 1 SHA-1, 2 SHA-256, 3 SHA-384 by its length too
	Digest    []byte
	Active    bool
	Default   bool // of the maker
}

// RootHashes reads the certificate hashes of Remote Configuration.
func RootHashes(ctx context.Context, d Device) ([]RootHash, error) {
	w, err := overWSMan(d, wsman.ClassHash)
	if err != nil {
		return nil, err
	}
	items, err := w.list(ctx, wsman.ClassHash)
	if err != nil {
		return nil, err
	}
	var out []RootHash
	for i := range items {
		n := &items[i]
		h := RootHash{Name: n.Value("Description")}
		if h.Algorithm, err = n.Int("HashType"); err == nil {
			h.Digest, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(n.Value("HashData")), ""))
		}
		if err == nil {
			h.Active, err = n.Bool("Enabled")
		}
		if err == nil {
			h.Default, err = n.Bool("IsDefault")
		}
		if err != nil {
			return nil, w.unreadable(wsman.ClassHash, err)
		}
		out = append(out, h)
	}
	return out, nil
}

// Cable is the wired interface as it is now.
type Cable struct {
	MAC string // with dashes, as the firmware tells it
	Up  bool
}

// Wired reads the address and the link of the wired interface.
func Wired(ctx context.Context, d Device) (Cable, error) {
	w, err := overWSMan(d, wsman.ClassEthernet)
	if err != nil {
		return Cable{}, err
	}
	n, err := w.readWired(ctx)
	if err != nil {
		return Cable{}, err
	}
	up, err := n.Bool("LinkIsUp")
	if err != nil {
		return Cable{}, w.unreadable(wsman.ClassEthernet, err)
	}
	return Cable{MAC: n.Value("MACAddress"), Up: up}, nil
}

// overWSMan gives the implementation that speaks WS-Man.
func overWSMan(d Device, op string) (*wsmanDevice, error) {
	w, ok := d.(*wsmanDevice)
	if !ok {
		return nil, &Error{Op: op, Kind: KindMissing, Err: errors.New("firmware of AMT 2.x does not tell it over its interface"), Hint: hints[KindMissing]}
	}
	return w, nil
}
