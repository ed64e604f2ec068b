package mei

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"time"

	"amtmedic/amt"
)

// ProvState is the provisioning state of the firmware.
type ProvState uint32

// The states, by their numbers on the interface.
const (
	Pre  ProvState = 0 // setup has not begun
	In   ProvState = 1 // setup runs
	Post ProvState = 2 // set up
)

// String gives pre, in or post; "unknown" for another number.
func (s ProvState) String() string { return word(uint32(s), "pre", "in", "post") }

func word(n uint32, words ...string) string {
	if uint64(n) < uint64(len(words)) {
		return words[n]
	}
	return "unknown"
}

// CodeVersions is the answer to GetCodeVersions: the version of the BIOS, and of each part of the firmware.
type CodeVersions struct {
	BIOS  string
	Parts []CodePart
}

// CodePart is a part of the firmware and its version, such as AMT 3.2.1.
type CodePart struct{ Name, Version string }

// AMT gives the version of the part AMT; zero when there is none or it is not readable.
func (c CodeVersions) AMT() amt.Version {
	for _, p := range c.Parts {
		if p.Name == "AMT" {
			v, err := amt.ParseVersion(p.Version)
			if err != nil {
				return amt.Version{}
			}
			return v
		}
	}
	return amt.Version{}
}

// ReadCodeVersions reads the payload of GetCodeVersions: 65 bytes BIOS, a count, and 44 bytes a part, of
// which each text has its length in front of 20 bytes.
func ReadCodeVersions(b []byte) (CodeVersions, error) {
	p := &payload{of: GetCodeVersions, b: b}
	c := CodeVersions{BIOS: p.fixed(65, "the version of the BIOS")}
	for n := p.count(50, "versions"); n > 0 && p.err == nil; n-- {
		var half [2]string
		for i := range half {
			size := int(p.u16("a length"))
			room := p.take(20, "a version")
			half[i] = text(room[:min(size, len(room))])
		}
		c.Parts = append(c.Parts, CodePart{half[0], half[1]})
	}
	return c, p.err
}

// ReadNumber reads a payload that is one number, or begins with it.
func ReadNumber(c Command, b []byte) (uint32, error) {
	p := &payload{of: c, b: b}
	return p.u32("its number"), p.err
}

// ReadText reads a payload that is one text with its length.
func ReadText(c Command, b []byte) (string, error) {
	p := &payload{of: c, b: b}
	return p.ansi("the text"), p.err
}

// ReadUUID reads the payload of GetUUID: the byte order of SMBIOS.
func ReadUUID(b []byte) (amt.UUID, error) {
	p := &payload{of: GetUUID, b: b}
	return amt.UUIDFromWire([16]byte(p.take(16, "the UUID"))), p.err
}

// ReadPID reads the payload of GetPID. A key that is all zero or blank is empty: none is loaded.
func ReadPID(b []byte) (amt.PID, error) {
	p := &payload{of: GetPID, b: b}
	raw := p.take(8, "the PID")
	if p.err != nil || strings.Trim(string(raw), "\x00 0") == "" {
		return "", p.err
	}
	return amt.ParsePID(text(raw))
}

// ReadSuffixes reads the payload of GetDNSSuffixList: texts that end with a zero, their whole length in front.
func ReadSuffixes(b []byte) ([]string, error) {
	p := &payload{of: GetSuffixList, b: b}
	var out []string
	for s := range strings.SplitSeq(string(p.take(int(p.u16("the length")), "the list")), "\x00") {
		if s != "" {
			out = append(out, text([]byte(s)))
		}
	}
	return out, p.err
}

// LAN is the answer to GetLANInterfaceSettings.
type LAN struct {
	Enabled bool
	Address netip.Addr // not valid when there is none
	DHCP    bool
	Active  bool // DHCP is asked by the firmware itself; false: it listens to what the operating system gets
	Link    bool
	MAC     string
}

// ReadLAN reads the payload of GetLANInterfaceSettings. The address is a number whose top byte comes first
// in its text.
func ReadLAN(b []byte) (LAN, error) {
	p := &payload{of: GetLAN, b: b}
	l := LAN{Enabled: p.yes("the switch")}
	a := p.take(4, "the address")
	if addr := netip.AddrFrom4([4]byte{a[3], a[2], a[1], a[0]}); !addr.IsUnspecified() {
		l.Address = addr
	}
	l.DHCP, l.Active, l.Link = p.yes("DHCP"), p.u8("the DHCP mode") == 1, p.u8yes("the link")
	l.MAC = mac(p.take(6, "the MAC address"))
	return l, p.err
}

// mac writes six bytes as text, empty when all are zero.
func mac(b []byte) string {
	var parts []string
	some := false
	for _, c := range b {
		parts, some = append(parts, hex.EncodeToString([]byte{c})), some || c != 0
	}
	if !some {
		return ""
	}
	return strings.Join(parts, ":")
}

// ReadMACs reads the payload of GetMACAddresses: the firmware's own one, empty when it shares the host's,
// and the host's.
func ReadMACs(b []byte) (own, host string, err error) {
	p := &payload{of: GetMACs, b: b}
	own, host = mac(p.take(6, "the own address")), mac(p.take(6, "the host's address"))
	return own, host, p.err
}

// Hash is a root certificate that the firmware accepts for Remote Configuration.
type Hash struct {
	Handle    uint32
	Name      string
	Algorithm string // md5, sha1, sha256, sha384, sha512, or unknown-N
	Digest    string // hex
	Active    bool
	Default   bool // it came with the firmware
}

// maxHashes is more than any firmware has: old headers say 23, rpc-go 33.
const maxHashes = 64

// ReadHandles reads the payload of EnumerateHashHandles.
func ReadHandles(b []byte) ([]uint32, error) {
	p := &payload{of: ListHashes, b: b}
	var out []uint32
	for n := p.count(maxHashes, "handles"); n > 0 && p.err == nil; n-- {
		out = append(out, p.u32("a handle"))
	}
	return out, p.err
}

// ReadHash reads the payload of GetCertificateHashEntry. Sources disagree about algorithm 3: Intel's guide
// and rpc-go have SHA-384, LMS and MeshAgent SHA-512; bytes behind the 48th settle it.
func ReadHash(handle uint32, b []byte) (Hash, error) {
	p := &payload{of: GetHash, b: b}
	h := Hash{Handle: handle, Default: p.yes("its origin"), Active: p.yes("its switch")}
	room := p.take(64, "the digest")
	size := 0
	switch kind := p.u8("the algorithm"); kind {
	case 0:
		h.Algorithm, size = "md5", 16
	case 1:
		h.Algorithm, size = "sha1", 20
	case 2:
		h.Algorithm, size = "sha256", 32
	case 3:
		h.Algorithm, size = "sha384", 48
		if strings.Trim(string(room[48:]), "\x00") != "" {
			h.Algorithm, size = "sha512", 64
		}
	default:
		h.Algorithm, size = "unknown-"+itoa(kind), len(strings.TrimRight(string(room), "\x00"))
	}
	h.Digest, h.Name = hex.EncodeToString(room[:size]), p.ansi("the name")
	return h, p.err
}

func itoa(b byte) string {
	if b >= 100 {
		return string([]byte{'0' + b/100, '0' + b/10%10, '0' + b%10})
	}
	if b >= 10 {
		return string([]byte{'0' + b/10, '0' + b%10})
	}
	return string([]byte{'0' + b})
}

// RemoteAccess is the answer to GetRemoteAccessConnectionStatus.
type RemoteAccess struct {
	Network string // direct, vpn, outside, unknown
	State   string // not-connected, connecting, connected
	Trigger string // user, alert, provisioning, periodic; sources disagree about the last two
	Server  string // of the tunnel, empty when there is none
}

// ReadRemoteAccess reads the payload of GetRemoteAccessConnectionStatus.
func ReadRemoteAccess(b []byte) (RemoteAccess, error) {
	p := &payload{of: GetRemoteAccess, b: b}
	r := RemoteAccess{Network: word(p.u32("the network"), "direct", "vpn", "outside", "unknown"),
		State:   word(p.u32("the state"), "not-connected", "connecting", "connected"),
		Trigger: word(p.u32("the trigger"), "user", "alert", "provisioning", "periodic")}
	r.Server = p.ansi("the server")
	return r, p.err
}

// LastReset is the answer to GetLastHostResetReason.
type LastReset struct {
	Remote bool      // it came over AMT
	At     time.Time // of the remote command; zero when none is known
}

// ReadLastReset reads the payload of GetLastHostResetReason.
func ReadLastReset(b []byte) (LastReset, error) {
	p := &payload{of: GetLastReset, b: b}
	r := LastReset{Remote: p.u32("the reason") == 0}
	if at := p.u32("the time"); at != 0 {
		r.At = time.Unix(int64(at), 0).UTC()
	}
	return r, p.err
}

// ConfigServer is the answer to GetConfigServerData: where the firmware looks for its server.
type ConfigServer struct {
	Port    uint16
	Address string
	FQDN    string
}

// ReadConfigServer reads the payload of GetConfigServerData.
func ReadConfigServer(b []byte) (ConfigServer, error) {
	p := &payload{of: GetConfigServer, b: b}
	c := ConfigServer{Port: p.u16("the port"), Address: p.fixed(46, "the address")}
	c.FQDN = p.ansi("the name")
	return c, p.err
}

// SetupAudit is the answer to GetMESetupAuditRecord: how this client was set up.
type SetupAudit struct {
	TLSMode       string // none, psk, pki
	SecureDNS     bool
	HostInitiated bool
	Digest        string // hex of the root that was used, empty when none
	OEMDefault    bool   // that root came with the firmware
	At            time.Time
	TimeValid     bool
	Address, FQDN string // of the server
}

// ReadSetupAudit reads the payload of GetMESetupAuditRecord. Its date is that of a Windows SYSTEMTIME without
// milliseconds: year, month, weekday, day, hour, minute, second; where that makes no date, At is zero.
func ReadSetupAudit(b []byte) (SetupAudit, error) {
	p := &payload{of: GetSetupAudit, b: b}
	s := SetupAudit{TLSMode: word(uint32(p.u8("the TLS mode")), "none", "psk", "pki"), SecureDNS: p.yes("secure DNS"), HostInitiated: p.yes("its beginning")}
	kind, room := p.u32("the algorithm"), p.take(64, "the digest")
	size := map[uint32]int{0: 16, 1: 20, 2: 32, 3: 48}[kind]
	if strings.Trim(string(room), "\x00") != "" {
		s.Digest = hex.EncodeToString(room[:max(size, len(strings.TrimRight(string(room), "\x00")))])
	}
	p.take(48, "the serial numbers")
	p.yes("whether there are more")
	s.OEMDefault, s.TimeValid = p.yes("its origin"), p.yes("whether the time is right")
	s.Address = p.fixed(46, "the server's address")
	var d [7]int
	for i := range d {
		d[i] = int(p.u16("the date"))
	}
	if d[0] >= 2000 && d[0] < 2200 && d[1] >= 1 && d[1] <= 12 && d[3] >= 1 && d[3] <= 31 && d[4] < 24 && d[5] < 60 && d[6] < 61 {
		s.At = time.Date(d[0], time.Month(d[1]), d[3], d[4], d[5], d[6], 0, time.UTC)
	}
	s.FQDN = p.ansi("the server's name")
	return s, p.err
}

// MEState is the answer to GetAMTState.
type MEState struct {
	Link      bool
	LastReset string // none, me, global, exception
}

// stateID asks for the only state that is known.
var stateID = [16]byte{15: 1}

// ReadMEState reads the payload of GetAMTState.
func ReadMEState(b []byte) (MEState, error) {
	p := &payload{of: GetAMTState, b: b}
	p.take(16, "the name of the state")
	if n := p.count(1024, "bytes"); p.err == nil && n < 5 {
		return MEState{}, garbled(p.of, "%d bytes of state are less than 5", n)
	}
	s := MEState{Link: p.u8yes("the link")}
	p.take(3, "the fuses")
	s.LastReset = word(uint32(p.u8("the last reset")), "none", "me", "global", "exception")
	return s, p.err
}

// Security is the answer to GetSecurityParameters, as far as something here uses it.
type Security struct {
	TLS, Network, SOL, IDER, Link, KVM bool
}

// ReadSecurity reads the payload of GetSecurityParameters: numbers, the last seven without a meaning.
func ReadSecurity(b []byte) (Security, error) {
	p := &payload{of: GetSecurity, b: b}
	var v [10]bool
	for i := range v {
		v[i] = p.yes("a switch")
	}
	return Security{TLS: v[1], Network: v[4], SOL: v[5], IDER: v[6], Link: v[8], KVM: v[9]}, p.err
}
