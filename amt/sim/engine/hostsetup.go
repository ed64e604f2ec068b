package engine

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"slices"

	"amtmedic/amt/hello"
)

// hostSetup is the state of a setup by the host.
type hostSetup struct {
	nonce []byte
	chain []*x509.Certificate // leaf first
	done  bool                // the root came, and the chain holds
}

// OSAdmin is the user of programs with the rights of the operating system's administrator, who come over
// the local interface. Digest does not know them: who calls Answer as them vouches for it.
const OSAdmin = "$$OsAdmin"

// hostSetupClasses: setup by the host, user consent.
var hostSetupClasses = []class{
	{name: "IPS_HostBasedSetupService", since: [2]int{6, 1}, keys: serviceKeys, common: true,
		list: func(e *Engine) []instance { return []instance{e.hostService()} },
		does: map[string]method{
			"Setup":                    {do: hostBasedSetup},
			"AddNextCertInChain":       {do: addNextCert},
			"AdminSetup":               {since: [2]int{7, 0}, do: adminSetup},
			"UpgradeClientToAdmin":     {since: [2]int{7, 0}, do: upgradeToAdmin},
			"DisableClientControlMode": {do: func(e *Engine, c *call) result { return ret(0) }},
		}},
	{name: "IPS_OptInService", since: [2]int{6, 2}, keys: serviceKeys, common: true, put: putOptIn,
		list: func(e *Engine) []instance {
			can := "1"
			if e.st.control == 1 {
				can = "0"
			}
			return []instance{{str("CanModifyOptInPolicy", can), str("CreationClassName", "IPS_OptInService"), str("ElementName", "Intel(r) AMT OptIn Service"),
				str("Name", "Intel(r) AMT OptIn Service"), str("OptInCodeTimeout", "120"), str("OptInDisplayTimeout", "300"), num("OptInRequired", e.st.optIn),
				str("OptInState", "0"), str("SystemCreationClassName", "CIM_ComputerSystem"), str("SystemName", "Intel(r) AMT")}}
		},
		does: map[string]method{ // nobody stands at the screen: invalid state, as in recorded answers
			"StartOptIn":    {do: func(e *Engine, c *call) result { return ret(2) }},
			"CancelOptIn":   {do: func(e *Engine, c *call) result { return ret(2) }},
			"SendOptInCode": {do: func(e *Engine, c *call) result { return ret(2) }},
		}},
}

func putOptIn(e *Engine, c *call, _ instance, b *node) int {
	v, ok := b.lookup("OptInRequired")
	if !ok {
		return 0
	}
	switch {
	case v != "0" && v != "1" && v != "4294967295":
		return ptInvalidParam
	case e.st.control == 1:
		return ptNotPermitted
	}
	e.st.optIn = atoi(v)
	e.st.generation++
	return 0
}

func (e *Engine) hostService() instance {
	h := &e.st.hostSetup
	if h.nonce == nil {
		h.nonce = make([]byte, 20)
		_, _ = e.cfg.Random.Read(h.nonce)
	}
	status := 0 // not started
	if len(h.chain) > 0 {
		status = 1
	}
	if h.done {
		status = 2
	}
	name := "Intel(r) AMT Host Based Setup Service"
	return instance{str("AllowedControlModes", "2"), str("AllowedControlModes", "1"), num("CertChainStatus", status),
		str("ConfigurationNonce", base64.StdEncoding.EncodeToString(h.nonce)), str("CreationClassName", "IPS_HostBasedSetupService"),
		num("CurrentControlMode", e.st.control), str("ElementName", name), str("Name", name),
		str("SystemCreationClassName", "CIM_ComputerSystem"), str("SystemName", "Intel(r) AMT")}
}

// local reports whether the caller came over the local interface.
func (c *call) local() bool { return c.s.User == OSAdmin }

// Return values of IPS_HostBasedSetupService (provisioning-protocol 3.4).
const (
	hostInvalidState = 2
	hostInvalidParam = 3
	hostAuthFailed   = 5
	chainBadParam    = 1
	chainBadState    = 3
	chainNotVerified = 4
	chainTooLong     = 5
)

func hostBasedSetup(e *Engine, c *call) result {
	if !c.local() {
		return result{fault: &faultDenied}
	}
	return ret(e.hostCommit(c, 1))
}

// hostCommit sets the password and ends the setup in a control mode.
func (e *Engine) hostCommit(c *call, mode int) int {
	if e.st.stage == Post {
		return hostInvalidState
	}
	ha1, ok := readDigest(c.in.value("NetworkAdminPassword"))
	if c.in.value("NetAdminPassEncryptionType") != "2" || !ok {
		return hostInvalidParam
	}
	e.st.admin.ha1, e.st.changed = ha1, true
	e.st.stage, e.st.control, e.st.hostSetup = Post, mode, hostSetup{}
	e.changed(c, ChangeStage)
	return 0
}

func addNextCert(e *Engine, c *call) result {
	if !c.local() && !c.has(e, realmAdministrator) {
		return result{fault: &faultDenied}
	}
	h := &e.st.hostSetup
	der, ok := blob(c.in.value("NextCertificate"))
	leaf, root := c.in.value("IsLeafCertificate") == "true", c.in.value("IsRootCertificate") == "true"
	cert, err := x509.ParseCertificate(der)
	switch {
	case !ok || err != nil:
		return ret(chainBadParam)
	case leaf != (len(h.chain) == 0), h.done:
		return ret(chainBadState)
	case len(h.chain) >= 6:
		return ret(chainTooLong)
	}
	if n := len(h.chain); n > 0 && cert.CheckSignature(h.chain[n-1].SignatureAlgorithm, h.chain[n-1].RawTBSCertificate, h.chain[n-1].Signature) != nil {
		h.chain = nil
		return ret(chainNotVerified)
	}
	if leaf && !provisioningLeaf(cert) {
		return ret(chainNotVerified)
	}
	h.chain = append(h.chain, cert)
	if root {
		if !e.active(der) {
			h.chain = nil
			return ret(chainNotVerified)
		}
		h.done = true
	}
	return ret(0)
}

// provisioningLeaf: the extended key usage or the unit that marks a provisioning certificate
// (provisioning-protocol 3.1).
func provisioningLeaf(c *x509.Certificate) bool {
	oid := asn1.ObjectIdentifier{2, 16, 840, 1, 113741, 1, 2, 3}
	for _, o := range c.UnknownExtKeyUsage {
		if o.Equal(oid) {
			return true
		}
	}
	return slices.Contains(c.Subject.OrganizationalUnit, "Intel(R) Client Setup Certificate")
}

// active reports whether a root is among the active hashes.
func (e *Engine) active(der []byte) bool {
	s1, s256, s384 := sha1.Sum(der), sha256.Sum256(der), sha512.Sum384(der)
	for _, h := range e.cfg.Hashes {
		switch h.Algorithm {
		case hello.SHA1:
			if slices.Equal(h.Digest, s1[:]) {
				return true
			}
		case hello.SHA256:
			if slices.Equal(h.Digest, s256[:]) {
				return true
			}
		case hello.SHA384:
			if slices.Equal(h.Digest, s384[:]) {
				return true
			}
		}
	}
	return false
}

// signed checks the signature over the firmware's nonce followed by the caller's.
func (e *Engine) signed(c *call) bool {
	h := &e.st.hostSetup
	mc, ok := blob(c.in.value("McNonce"))
	sig, ok2 := blob(c.in.value("DigitalSignature"))
	if !ok || !ok2 || !h.done || c.in.value("SigningAlgorithm") != "2" {
		return false
	}
	key, isRSA := h.chain[0].PublicKey.(*rsa.PublicKey)
	sum := sha256.Sum256(append(slices.Clone(h.nonce), mc...))
	return isRSA && rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], sig) == nil
}

func adminSetup(e *Engine, c *call) result {
	switch {
	case !c.local():
		return result{fault: &faultDenied}
	case e.st.stage == Post:
		return ret(hostInvalidState)
	case !e.signed(c):
		return ret(hostAuthFailed)
	}
	return ret(e.hostCommit(c, 2))
}

func upgradeToAdmin(e *Engine, c *call) result {
	switch {
	case e.st.control != 1:
		return ret(hostInvalidState)
	case !e.signed(c):
		return ret(hostAuthFailed)
	}
	e.st.control, e.st.hostSetup = 2, hostSetup{}
	e.changed(c, ChangeStage)
	return ret(0)
}
