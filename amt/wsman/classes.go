package wsman

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// The classes that a setup uses.
const (
	ClassGeneral     = "AMT_GeneralSettings"
	ClassSetup       = "AMT_SetupAndConfigurationService"
	ClassAuthority   = "AMT_AuthorizationService"
	ClassTime        = "AMT_TimeSynchronizationService"
	ClassKeys        = "AMT_PublicKeyManagementService"
	ClassKeyPair     = "AMT_PublicPrivateKeyPair"
	ClassCertificate = "AMT_PublicKeyCertificate"
	ClassTLS         = "AMT_TLSSettingData"
	ClassTLSContext  = "AMT_TLSCredentialContext"
	ClassTLSEndpoint = "AMT_TLSProtocolEndpointCollection"
	ClassPower       = "AMT_SystemPowerScheme"
	ClassSoftware    = "CIM_SoftwareIdentity"
	ClassPackage     = "CIM_ComputerSystemPackage"
	ClassHost        = "IPS_HostBasedSetupService"
	ClassRedirect    = "AMT_RedirectionService"
	ClassOptIn       = "IPS_OptInService"
	ClassEthernet    = "AMT_EthernetPortSettings"
	ClassMessageLog  = "AMT_MessageLog"
	ClassHash        = "AMT_ProvisioningCertificateHash"
)

// The two instances of AMT_TLSSettingData.
const (
	TLSRemote = "Intel(r) AMT 802.3 TLS Settings"
	TLSLocal  = "Intel(r) AMT LMS TLS Settings"
)

// TLSEndpoints is the name of the collection that a TLS certificate is given to.
const TLSEndpoints = "TLSProtocolEndpoint Instances Collection"

// General is AMT_GeneralSettings.
type General struct {
	HostName, DomainName string
	DigestRealm          string // of the HTTP digest log-in
	Node                 Node   // as read, for Put
}

// ReadGeneral reads AMT_GeneralSettings.
func ReadGeneral(n *Node) General {
	return General{HostName: n.Value("HostName"), DomainName: n.Value("DomainName"), DigestRealm: n.Value("DigestRealm"), Node: *n}
}

// Setup is AMT_SetupAndConfigurationService.
type Setup struct {
	ProvisioningState int // 0 pre, 1 in, 2 post
	ProvisioningMode  int // 1 admin control ("enterprise"), 4 client control
	PasswordModel     int // when the MEBx password may be set over the network
	ZeroTouch         bool
	OTP               []byte // one-time password; empty when it is unset (32 zero bytes)
}

// ReadSetup reads AMT_SetupAndConfigurationService. A missing or impossible state is an error.
func ReadSetup(n *Node) (s Setup, err error) {
	if s.ProvisioningState, err = n.Int("ProvisioningState"); err != nil {
		return s, err
	}
	s.ProvisioningMode, _ = n.Int("ProvisioningMode") // absent in some versions
	s.PasswordModel, _ = n.Int("PasswordModel")
	if s.ZeroTouch, err = n.Bool("ZeroTouchConfigurationEnabled"); err != nil {
		return s, err
	}
	if s.OTP, err = binary(n, "ProvisioningServerOTP"); err != nil {
		return s, err
	}
	if len(strings.Trim(string(s.OTP), "\x00")) == 0 {
		s.OTP = nil
	}
	return s, nil
}

// Software gives the versions of CIM_SoftwareIdentity by their InstanceID.
func Software(items []Node) map[string]string {
	out := make(map[string]string, len(items))
	for i := range items {
		if id := items[i].Value("InstanceID"); id != "" {
			out[id] = items[i].Value("VersionString")
		}
	}
	return out
}

// KeyPair is an AMT_PublicPrivateKeyPair.
type KeyPair struct {
	ID  string // InstanceID
	Key []byte // RSAPublicKey of PKCS #1, DER
}

// ReadKeyPair reads an AMT_PublicPrivateKeyPair.
func ReadKeyPair(n *Node) (k KeyPair, err error) {
	k.ID = n.Value("InstanceID")
	k.Key, err = binary(n, "DERKey")
	return k, err
}

// Certificate is an AMT_PublicKeyCertificate.
type Certificate struct {
	ID   string // InstanceID
	DER  []byte
	Root bool // a trusted root
}

// ReadCertificate reads an AMT_PublicKeyCertificate.
func ReadCertificate(n *Node) (c Certificate, err error) {
	c.ID = n.Value("InstanceID")
	if c.DER, err = binary(n, "X509Certificate"); err != nil {
		return c, err
	}
	c.Root, err = n.Bool("TrustedRootCertficate") // so spelled by the firmware
	return c, err
}

// TLSSetting is an AMT_TLSSettingData.
type TLSSetting struct {
	ID      string // TLSRemote or TLSLocal
	Enabled bool
	Mutual  bool
	Plain   bool     // AcceptNonSecureConnections
	Names   []string // TrustedCN
	Node    Node     // as read, for Put
}

// ReadTLSSetting reads an AMT_TLSSettingData.
func ReadTLSSetting(n *Node) (s TLSSetting, err error) {
	s.ID, s.Node = n.Value("InstanceID"), *n
	for _, c := range n.All("TrustedCN") {
		if t := strings.TrimSpace(c.Text); t != "" {
			s.Names = append(s.Names, t)
		}
	}
	if s.Enabled, err = n.Bool("Enabled"); err == nil {
		if s.Mutual, err = n.Bool("MutualAuthentication"); err == nil {
			s.Plain, err = n.Bool("AcceptNonSecureConnections")
		}
	}
	return s, err
}

// ContextCertificate gives the InstanceID of the certificate of an AMT_TLSCredentialContext.
func ContextCertificate(n *Node) (string, error) {
	r, ok := ReadReference(n.Child("ElementInContext"))
	if !ok || r.Key("InstanceID") == "" {
		return "", fmt.Errorf("%s holds no reference to a certificate", n.Local)
	}
	return r.Key("InstanceID"), nil
}

// HostSetup is IPS_HostBasedSetupService.
type HostSetup struct {
	Current int    // control mode: 0 not set up, 1 client, 2 admin
	Allowed []int  // control modes that this way of setup may lead to
	Nonce   []byte // that AdminSetup signs
	Chain   int    // CertChainStatus: 0 no chain, 1 in progress, 2 complete
	Realm   string
}

// ReadHostSetup reads IPS_HostBasedSetupService.
func ReadHostSetup(n *Node) (h HostSetup, err error) {
	if h.Current, err = n.Int("CurrentControlMode"); err != nil {
		return h, err
	}
	for _, m := range n.All("AllowedControlModes") {
		v, err := m.Int()
		if err != nil {
			return h, fmt.Errorf("a number of AllowedControlModes: %w", err)
		}
		h.Allowed = append(h.Allowed, v)
	}
	h.Chain, _ = n.Int("CertChainStatus")
	h.Realm = n.Value("DigestRealm")
	h.Nonce, err = binary(n, "ConfigurationNonce")
	return h, err
}

// Power is an AMT_SystemPowerScheme.
type Power struct{ ID, GUID, Text string }

// ReadPower reads an AMT_SystemPowerScheme.
func ReadPower(n *Node) Power {
	return Power{ID: n.Value("InstanceID"), GUID: n.Value("SchemeGUID"), Text: n.Value("Description")}
}

// ACLEntry is what GetUserAclEntryEx answers.
type ACLEntry struct {
	User   string
	Access int
	Realms []int
}

// ReadACLEntry reads the answer of GetUserAclEntryEx.
func ReadACLEntry(n *Node) (e ACLEntry, err error) {
	e.User = n.Value("DigestUsername")
	if e.Access, err = n.Int("AccessPermission"); err != nil {
		return e, err
	}
	for _, r := range n.All("Realms") {
		v, err := r.Int()
		if err != nil {
			return e, fmt.Errorf("a number of Realms: %w", err)
		}
		e.Realms = append(e.Realms, v)
	}
	return e, nil
}

// binary reads base64 text. A missing field is empty.
func binary(n *Node, name string) ([]byte, error) {
	text := strings.Join(strings.Fields(n.Value(name)), "")
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%s is not base64", name)
	}
	return b, nil
}
