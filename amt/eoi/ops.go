package eoi

import (
	"encoding/base64"
	"fmt"
	"strconv"

	"amtmedic/amt/wsman"
)

// Basis says who states that an operation has this name and these parameters.
type Basis string

// The bases, best first.
const (
	// Used by a program that works with real firmware: amttool, or the ruby-amt library.
	Used Basis = "used"
	// Served by a public firmware of another maker that answers the same interface, or named in Intel's
	// notes on it.
	Served Basis = "served"
	// Twin: named after the WS-Man method that wraps it. Unverified: say so.
	Twin Basis = "twin"
)

// Op is one operation.
type Op struct {
	Service Service
	Method  string
	Basis   Basis
	Once    bool // is not to be sent again when its answer was lost
}

// Name is for errors: "SecurityAdministrationService.CommitChanges".
func (o Op) Name() string { return o.Service.Path[1:] + "." + o.Method }

// Ops lists every operation that this package builds, for the page that says what is verified.
func Ops() []Op {
	return []Op{opVersion(), opRealm(), opOTP(), opMEBx(), opAdmin(), opCommit(), opUnprovision(), opPartial(),
		opHost(), opDomain(), opSetHost(), opSetDomain(), opReadClock(), opSetClock()}
}

func opVersion() Op     { return Op{security(), "GetCoreVersion", Used, false} }
func opRealm() Op       { return Op{security(), "GetDigestRealm", Served, false} }
func opOTP() Op         { return Op{security(), "GetProvisioningServerOTP", Served, false} }
func opMEBx() Op        { return Op{security(), "SetMEBxPassword", Served, true} }
func opAdmin() Op       { return Op{security(), "SetAdminAclEntryEx", Served, true} }
func opCommit() Op      { return Op{security(), "CommitChanges", Used, true} }
func opUnprovision() Op { return Op{security(), "Unprovision", Twin, true} }
func opPartial() Op     { return Op{security(), "PartialUnprovision", Twin, true} }
func opHost() Op        { return Op{network(), "GetHostName", Used, false} }
func opDomain() Op      { return Op{network(), "GetDomainName", Used, false} }
func opSetHost() Op     { return Op{network(), "SetHostName", Used, false} }
func opSetDomain() Op   { return Op{network(), "SetDomainName", Used, false} }
func opReadClock() Op   { return Op{clock(), "GetLowAccuracyTimeSynch", Twin, false} }
func opSetClock() Op    { return Op{clock(), "SetHighAccuracyTimeSynch", Twin, false} }

func value(n *wsman.Node, name string) (string, error) {
	if n.Child(name) == nil {
		return "", fmt.Errorf("the answer lacks <%s>", name)
	}
	return n.Value(name), nil
}

// GetCoreVersion asks for the version of the firmware; ReadVersion reads its answer.
func GetCoreVersion() Request { return Request{Op: opVersion()} }

// ReadVersion gives text such as 2.6.3.
func ReadVersion(n *wsman.Node) (string, error) { return value(n, "Version") }

// GetDigestRealm asks for the realm of the log-in; ReadRealm reads its answer.
func GetDigestRealm() Request { return Request{Op: opRealm()} }

// ReadRealm gives the realm as the firmware writes it.
func ReadRealm(n *wsman.Node) (string, error) { return value(n, "DigestRealm") }

// GetOTP asks for the one-time password of Remote Configuration; ReadOTP reads its answer.
func GetOTP() Request { return Request{Op: opOTP()} }

// ReadOTP gives the raw bytes of the one-time password.
func ReadOTP(n *wsman.Node) ([]byte, error) {
	text, err := value(n, "OTP")
	if err != nil {
		return nil, err
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("<OTP> is not base64") // the decoder's words would quote it
	}
	return b, nil
}

// SetMEBxPassword sets the password of the local menu.
func SetMEBxPassword(password string) Request {
	return Request{opMEBx(), []wsman.Node{wsman.Param("Password", password)}}
}

// SetAdmin sets name and password of the administrator. ha1 is MD5 of user, realm and password
// (RFC 2617 3.2.2.2); it goes as base64 of its 16 bytes.
func SetAdmin(user string, ha1 [16]byte) Request {
	return Request{opAdmin(), []wsman.Node{{Local: "EntryEx", Nodes: []wsman.Node{
		wsman.Param("Username", user), wsman.Param("DigestPassword", base64.StdEncoding.EncodeToString(ha1[:]))}}}}
}

// CommitChanges makes the settings take effect and ends setup.
func CommitChanges() Request { return Request{Op: opCommit()} }

// ModeEnterprise is the mode to which Unprovision returns, with the number of its WS-Man twin.
const ModeEnterprise = 1

// Unprovision undoes setup wholly.
func Unprovision() Request {
	return Request{opUnprovision(), []wsman.Node{wsman.ParamInt("ProvisioningMode", ModeEnterprise)}}
}

// PartialUnprovision undoes setup but for administrator, pair, names and server.
func PartialUnprovision() Request { return Request{Op: opPartial()} }

// GetHostName and GetDomainName ask for the two parts of the name; ReadHostName and ReadDomainName read
// the answers.
func GetHostName() Request { return Request{Op: opHost()} }

// GetDomainName asks for the domain.
func GetDomainName() Request { return Request{Op: opDomain()} }

// ReadHostName gives the host part, which may be empty.
func ReadHostName(n *wsman.Node) (string, error) { return value(n, "HostName") }

// ReadDomainName gives the domain, which may be empty.
func ReadDomainName(n *wsman.Node) (string, error) { return value(n, "DomainName") }

// SetHostName sets the host part of the name.
func SetHostName(name string) Request {
	return Request{opSetHost(), []wsman.Node{wsman.Param("HostName", name)}}
}

// SetDomainName sets the domain.
func SetDomainName(name string) Request {
	return Request{opSetDomain(), []wsman.Node{wsman.Param("DomainName", name)}}
}

// ReadClock asks for the client's clock; ReadTa0 reads its answer.
func ReadClock() Request { return Request{Op: opReadClock()} }

// ReadTa0 gives the client's clock in seconds since 1970.
func ReadTa0(n *wsman.Node) (int64, error) {
	text, err := value(n, "Ta0")
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("<Ta0> is not a number")
	}
	return v, nil
}

// SetClock sets the client's clock: ta0 is what it said, tm1 our time at that moment, tm2 our time just
// before this call, all in seconds since 1970.
func SetClock(ta0, tm1, tm2 int64) Request {
	return Request{opSetClock(), []wsman.Node{wsman.ParamInt("Ta0", ta0), wsman.ParamInt("Tm1", tm1), wsman.ParamInt("Tm2", tm2)}}
}
