package mei

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Command is the number of a command of AMT's host interface (PTHI): bits 0 to 22 the operation, bit 23
// set in the answer, bits 24 to 31 the class (intel/lms AMTHICommand.h, rpc-go pkg/pthi).
type Command uint32

// The commands that are used here. GetLocalSystemAccount is missing on purpose: its answer is a live
// credential that nothing here needs. So is the command that disables AMT until MEBx enables it again.
const (
	GetProvisioningMode  Command = 0x04000008
	Unprovision          Command = 0x04000010
	GetProvisioningState Command = 0x04000011
	GetCodeVersions      Command = 0x0400001A
	GetSecurity          Command = 0x0400001B
	GetAdminDefault      Command = 0x0400001E // weak source: one transcription of Intel's guide
	GetMACs              Command = 0x04000025
	MakeRandom           Command = 0x04000028
	StartConfiguration   Command = 0x04000029
	SetOTP               Command = 0x0400002A
	GetTLSMode           Command = 0x0400002B
	ListHashes           Command = 0x0400002C
	GetHash              Command = 0x0400002D
	GetRandom            Command = 0x0400002E
	SetSuffix            Command = 0x0400002F
	GetZeroTouch         Command = 0x04000030
	GetSuffix            Command = 0x04000036
	GetPID               Command = 0x0400003B // weak source, as GetAdminDefault
	GetSuffixList        Command = 0x0400003E
	GetRemoteAccess      Command = 0x04000046
	GetPowerPolicy       Command = 0x04000047
	GetLAN               Command = 0x04000048
	GetFeature           Command = 0x04000049
	GetLastReset         Command = 0x0400004A
	GetConfigServer      Command = 0x0400004E
	GetSetupAudit        Command = 0x04000050
	GetUUID              Command = 0x0400005C
	StopConfiguration    Command = 0x0400005E
	StartConfigurationEx Command = 0x04000062
	GetControlMode       Command = 0x0400006B
	GetAMTState          Command = 0x01000001
)

var commandNames = map[Command]string{
	GetProvisioningMode: "GetProvisioningMode", Unprovision: "Unprovision", GetProvisioningState: "GetProvisioningState",
	GetCodeVersions: "GetCodeVersions", GetSecurity: "GetSecurityParameters", GetAdminDefault: "GetAdminNetAclEntryStatus",
	GetMACs: "GetMACAddresses", MakeRandom: "GenerateRngSeed", StartConfiguration: "StartConfiguration",
	SetOTP: "SetProvisioningServerOTP", GetTLSMode: "GetProvisioningTLSMode", ListHashes: "EnumerateHashHandles",
	GetHash: "GetCertificateHashEntry", GetRandom: "GetRngSeedStatus", SetSuffix: "SetDNSSuffix", GetZeroTouch: "GetZeroTouchEnabled",
	GetSuffix: "GetPKIFQDNSuffix", GetPID: "GetPID", GetSuffixList: "GetDNSSuffixList", GetRemoteAccess: "GetRemoteAccessConnectionStatus",
	GetPowerPolicy: "GetCurrentPowerPolicy", GetLAN: "GetLANInterfaceSettings", GetFeature: "GetFeaturesState",
	GetLastReset: "GetLastHostResetReason", GetConfigServer: "GetConfigServerData", GetSetupAudit: "GetMESetupAuditRecord",
	GetUUID: "GetUUID", StopConfiguration: "StopConfiguration", StartConfigurationEx: "StartConfigurationEx",
	GetControlMode: "GetControlMode", GetAMTState: "GetAMTState",
}

// String gives the name that Intel's guide has for the command, else its number.
func (c Command) String() string {
	if n := commandNames[c]; n != "" {
		return n
	}
	return fmt.Sprintf("command 0x%08x", uint32(c))
}

const (
	answerBit  = 0x00800000
	requestLen = 12 // bytes of a request's head
	answerLen  = 16 // bytes of an answer's head, its status included
)

// Request gives the message for a command: version 1.1, the number, the payload's length, the payload.
func (c Command) Request(payload ...byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte{1, 1, 0, 0}, uint32(c))
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(payload))), payload...)
}

// ErrSwitchedOff is AMT that gives an empty answer: it is switched off (Linux samples/mei/mei-amt-version.c).
var ErrSwitchedOff = errors.New("AMT is switched off")

// ErrGarbled is an answer that does not have the form of one.
var ErrGarbled = errors.New("the firmware's answer is not understood")

func garbled(of fmt.Stringer, format string, a ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrGarbled, of, fmt.Sprintf(format, a...))
}

// Answer checks an answer to the command and gives its payload. The form is judged before the status,
// so that a status is never read out of something else. Errors: ErrSwitchedOff for an empty message,
// ErrGarbled, or a Status.
func (c Command) Answer(b []byte) ([]byte, error) {
	le := binary.LittleEndian
	switch {
	case len(b) == 0:
		return nil, ErrSwitchedOff
	case len(b) < answerLen:
		return nil, garbled(c, "%d bytes are less than a head", len(b))
	case uint64(le.Uint32(b[8:]))+requestLen != uint64(len(b)):
		return nil, garbled(c, "%d bytes came, %d were announced", len(b), uint64(le.Uint32(b[8:]))+requestLen)
	case le.Uint32(b[4:]) != uint32(c)|answerBit:
		return nil, garbled(c, "this is the answer to %s", Command(le.Uint32(b[4:])&^answerBit))
	case b[0] != 1 || b[2] != 0 || b[3] != 0:
		return nil, garbled(c, "unknown version %d.%d of the head", b[0], b[1])
	}
	if s := Status(le.Uint32(b[12:])); s != 0 {
		return nil, s
	}
	return b[answerLen:], nil
}

// Status is a status of the firmware that is not success (intel/lms StatusCodeDefinitions.h).
type Status uint32

// The statuses that something here depends on.
const (
	NotReady     Status = 0x02
	WrongState   Status = 0x03
	RandomRuns   Status = 0x2F
	RandomNone   Status = 0x30
	CertNotReady Status = 0x31
)

var statusWords = map[Status]string{
	0x01: "internal error", 0x02: "not ready", 0x03: "not permitted in this state", 0x04: "wrong length of the message", 0x10: "not permitted",
	0x11: "not the owner", 0x17: "limit reached", 0x18: "wrong kind of authentication", 0x19: "authentication failed",
	0x1A: "wrong DHCP mode", 0x1B: "wrong IP address", 0x1C: "wrong domain name", 0x1D: "version not supported", 0x1E: "request not expected",
	0x20: "wrong provisioning state", 0x21: "object not supported", 0x22: "wrong time", 0x23: "wrong index", 0x24: "wrong parameter", 0x25: "wrong netmask",
	0x26: "too many writes to its flash memory", 0x2A: "wrong form of the PID", 0x2B: "wrong form of the PPS",
	0x2D: "connection failed", 0x2E: "too many connections", 0x2F: "random numbers are being made", 0x30: "no random numbers yet",
	0x31: "its certificate is being made", 0x400: "switched off by a policy", 0x803: "unknown command", 0x805: "unknown handle",
	0x812: "not supported", 0x814: "not found",
}

// Error gives the number, and words where they are known.
func (s Status) Error() string {
	words := statusWords[s]
	if words == "" {
		words = "a status without a name here"
	}
	return fmt.Sprintf("the firmware answers %s (0x%x)", words, uint32(s))
}
