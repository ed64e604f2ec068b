// Package me is a simulated Management Engine behind its interface to the operating system: the clients of
// the firmware that a program on the computer can connect to, and what they answer. It is written after the
// layouts of LMS, rpc-go and Intel's guide, apart from package amt/mei: agreeing with it proves agreement
// with those, not with firmware.
package me

import (
	"encoding/binary"
	"sync"
)

// GUIDs of the clients in the byte order of the connect call.
var (
	hostClient     = [16]byte{0x28, 0, 0xf8, 0x12, 0xb7, 0xb4, 0x2d, 0x4b, 0xac, 0xa8, 0x46, 0xe0, 0xff, 0x65, 0x81, 0x4c}
	watchdogClient = [16]byte{0x6f, 0x9a, 0xb7, 0x05, 0x28, 0x46, 0x7f, 0x4d, 0x89, 0x9d, 0xa9, 0x15, 0x14, 0xcb, 0x32, 0xab}
	mkhiClient     = [16]byte{0x15, 0x67, 0x6a, 0x8e, 0xbc, 0x9a, 0x43, 0x40, 0x88, 0xef, 0x9e, 0x39, 0xc6, 0xf6, 0x3e, 0x0f}
)

// Firmware is a Management Engine. Set its fields before it is used; it is safe for concurrent use after that.
type Firmware struct {
	AMT      bool   // it has AMT
	On       bool   // AMT is switched on
	Hidden   bool   // switched off, AMT's client is not there at all; else it gives empty answers
	Watchdog bool   // the client that says whether AMT is on, in its new form
	Caps     bool   // the words of capabilities can be read
	Version  string // of AMT, at most 19 characters

	State      uint32 // 0 pre, 1 in, 2 post
	WindowOver bool   // state in: hellos have ended
	TLS        uint32 // 0 undecided, 1 PSK, 2 PKI
	Mode       uint32 // 1 enterprise, 2 small business
	Control    uint32 // 0 none, 1 client, 2 admin
	ZeroTouch  bool
	Default    *bool // the network administrator has the factory's password; nil: the command is not known
	UUID       [16]byte
	PID        string
	Suffix     string
	OTP        string

	mu    sync.Mutex
	codes []uint32
}

// MaxMessage is the longest message in bytes that a client takes.
const MaxMessage = 5120

// Has reports whether the firmware has a client of this GUID now.
func (f *Firmware) Has(guid [16]byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch guid {
	case hostClient:
		return f.AMT && (f.On || !f.Hidden)
	case watchdogClient:
		return f.Watchdog
	case mkhiClient:
		return f.Caps
	}
	return false
}

// Codes gives the numbers of the host commands that came, in order.
func (f *Firmware) Codes() []uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]uint32(nil), f.codes...)
}

// Hellos reports whether the firmware says hello now.
func (f *Firmware) Hellos() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.On && f.State == 1 && !f.WindowOver
}

// Answer gives the answer of a client to a request. An empty answer is one.
func (f *Firmware) Answer(guid [16]byte, request []byte) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch guid {
	case watchdogClient:
		return f.watchdog(request)
	case mkhiClient:
		return f.mkhi(request)
	}
	if !f.On || len(request) < 12 {
		return nil
	}
	code := binary.LittleEndian.Uint32(request[4:])
	f.codes = append(f.codes, code)
	status, payload := uint32(0x04), []byte(nil)
	if int(binary.LittleEndian.Uint32(request[8:])) == len(request)-12 {
		status, payload = f.host(code, request[12:])
	}
	out := binary.LittleEndian.AppendUint32([]byte{1, 1, 0, 0}, code|0x00800000)
	out = binary.LittleEndian.AppendUint32(out, uint32(4+len(payload)))
	return append(binary.LittleEndian.AppendUint32(out, status), payload...)
}

func (f *Firmware) watchdog(b []byte) []byte {
	if len(b) < 4 || b[0] != 5 || b[3] != 0x10 {
		return nil
	}
	switch b[2] {
	case 0x51:
		if f.On {
			return []byte{0x82}
		}
		return []byte{0x80}
	case 0x53:
		status := byte(0)
		switch {
		case len(b) != 5 || b[1] != 3:
			status = 1
		case f.State == 2:
			status = 3
		default:
			f.On = b[4] == 1
		}
		return []byte{5, 0, 0x53, 0x10, status, 0, 0, 0}
	}
	return []byte{0x89, 0, 0, 0}
}

func (f *Firmware) mkhi(b []byte) []byte {
	switch {
	case len(b) == 4 && b[0] == 0xff && b[1] == 2:
		return []byte{0xff, 0x82, 0, 0, 1, 0, 16, 0, 4, 4, 2, 0, 1, 0, 16, 0, 4, 4, 2, 0}
	case len(b) == 8 && b[0] == 3 && b[1] == 2:
		word := uint32(0x420000)
		switch b[4] {
		case 0:
			word |= bit(f.AMT)
		case 32:
			word |= bit(f.AMT && f.On)
		case 29:
			word = 0
			if f.AMT {
				word = 0x1000
			}
		default:
			return []byte{3, 0x82, 0, 0x89}
		}
		return binary.LittleEndian.AppendUint32(append([]byte{3, 0x82, 0, 0}, b[4], 0, 0, 0, 4), word)
	}
	if len(b) < 2 {
		return nil
	}
	return []byte{b[0], b[1] | 0x80, 0, 0x8d}
}

func bit(on bool) uint32 {
	if on {
		return 1 << 2
	}
	return 0
}

func number(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }

func truth(b bool) []byte {
	if b {
		return number(1)
	}
	return number(0)
}

func ansi(s string) []byte {
	return append(binary.LittleEndian.AppendUint16(nil, uint16(len(s))), s...)
}

// Statuses of the host interface.
const (
	success     = 0x00
	wrongState  = 0x03
	badParam    = 0x24
	unsupported = 0x812
)

// host carries out a command of AMT's host interface.
func (f *Firmware) host(code uint32, b []byte) (uint32, []byte) {
	switch code {
	case 0x0400001A:
		return success, f.versions()
	case 0x04000011:
		return success, number(f.State)
	case 0x04000008:
		return success, append(number(f.Mode), 0, 0, 0, 0)
	case 0x0400006B:
		return success, number(f.Control)
	case 0x0400002B:
		return success, number(f.TLS)
	case 0x04000030:
		return success, truth(f.ZeroTouch)
	case 0x0400002E:
		return success, number(0)
	case 0x0400001E:
		if f.Default != nil {
			return success, truth(*f.Default)
		}
	case 0x0400003B:
		return success, append([]byte(f.PID), make([]byte, 8)...)[:8]
	case 0x04000036:
		return success, ansi(f.Suffix)
	case 0x0400005C:
		return success, f.UUID[:]
	case 0x0400002C:
		return success, number(0)
	}
	if s, known := f.change(code, b); known {
		return s, nil
	}
	return unsupported, nil
}

// change carries out a command that changes the client, or refuses it as the guide says that firmware does.
func (f *Firmware) change(code uint32, b []byte) (status uint32, known bool) {
	switch code {
	case 0x04000029, 0x04000062: // begin setup: not while the window is open, not behind it
		if f.State == 2 || f.State == 1 && !f.WindowOver {
			return wrongState, true
		}
		f.State, f.WindowOver = 1, false
	case 0x0400005E: // end setup
		if f.State != 1 {
			return wrongState, true
		}
		f.State, f.WindowOver = 0, false
	case 0x04000010: // unprovision: only in client control mode
		if f.State != 2 || f.Control != 1 {
			return wrongState, true
		}
		f.State, f.Control = 0, 0
	case 0x0400002A, 0x0400002F: // one-time password, suffix
		if f.State == 2 || f.State == 1 && !f.WindowOver {
			return wrongState, true
		}
		if len(b) < 2 || int(binary.LittleEndian.Uint16(b)) != len(b)-2 {
			return badParam, true
		}
		if code == 0x0400002A {
			f.OTP = string(b[2:])
		} else {
			f.Suffix = string(b[2:])
		}
	default:
		return 0, false
	}
	return success, true
}

// versions is the list of versions: the BIOS, and what the firmware consists of.
func (f *Firmware) versions() []byte {
	out := append([]byte("JOQ3510J.86A.0933"), make([]byte, 65)...)[:65]
	parts := [][2]string{{"Flash", f.Version}, {"Netstack", f.Version}, {"AMTApps", f.Version}, {"AMT", f.Version}, {"Sku", "14"}}
	out = append(out, number(uint32(len(parts)))...)
	for _, p := range parts {
		for _, s := range p {
			out = binary.LittleEndian.AppendUint16(out, uint16(len(s)))
			out = append(out, append([]byte(s), make([]byte, 20)...)[:20]...)
		}
	}
	return out
}
