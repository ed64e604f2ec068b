package engine

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/keys"
)

// setupClasses: setting up, committing and taking back.
var setupClasses = []class{
	{name: "AMT_SetupAndConfigurationService", since: [2]int{3, 0}, keys: serviceKeys, common: true,
		list: func(e *Engine) []instance { return []instance{e.setupService()} }, put: putSetup,
		does: map[string]method{
			"SetMEBxPassword":          {do: setMEBxPassword},
			"CommitChanges":            {do: func(e *Engine, c *call) result { return ret(e.commit(c)) }},
			"Unprovision":              {do: unprovision},
			"PartialUnprovision":       {do: func(e *Engine, c *call) result { return ret(e.takeBack(c, true)) }},
			"ExtendProvisioningPeriod": {do: func(e *Engine, c *call) result { return ret(e.extend(c, c.in.value("Duration"))) }},
			// Removed with the PSK method itself (provisioning-protocol 1.6).
			"SetTLSPSK": {before: 11, do: func(e *Engine, c *call) result {
				return ret(e.setPair(c, c.in.value("PID"), c.in.value("PPS")))
			}},
			"GetUuid": {do: func(e *Engine, c *call) result {
				wire := e.cfg.UUID.Wire()
				return result{fields: []field{str("UUID", base64.StdEncoding.EncodeToString(wire[:]))}}
			}},
			"GetUnprovisionBlockingComponents": {since: [2]int{4, 0}, do: func(e *Engine, c *call) result { return ret(0) }},
			"ResetFlashWearOutProtection":      {before: 12, do: func(e *Engine, c *call) result { return ret(0) }},
		}},
	{name: "AMT_ProvisioningCertificateHash", since: [2]int{3, 0}, keys: []string{"InstanceID"}, list: certificateHashes},
}

// serviceKeys name an instance of a CIM_Service.
var serviceKeys = []string{"CreationClassName", "Name", "SystemCreationClassName", "SystemName"}

func (e *Engine) setupService() instance {
	s := &e.st
	otp := make([]byte, 32) // reads as zero bytes when none is set (provisioning-protocol 3.4)
	copy(otp, s.otp)
	if s.stage != In {
		otp = make([]byte, 32) // can be read only while the client is set up (Intel's class reference)
	}
	i := instance{str("CreationClassName", "AMT_SetupAndConfigurationService"),
		str("ElementName", "Intel(r) AMT Setup and Configuration Service"), str("EnabledState", "5"),
		str("Name", "Intel(r) AMT Setup and Configuration Service")}
	if s.setupFQDN != "" {
		i = append(instance{str("ConfigurationServerFQDN", s.setupFQDN)}, i...)
	}
	if e.cfg.Version.AtLeast(6, 0) {
		i = append(i, str("PasswordModel", "1"))
	}
	mode := "1"
	if s.control == 1 {
		mode = "4" // client control mode (unverified)
	}
	return append(i, str("ProvisioningMode", mode), str("ProvisioningServerOTP", base64.StdEncoding.EncodeToString(otp)),
		num("ProvisioningState", s.stage.Number()), str("RequestedState", "12"),
		str("SystemCreationClassName", "CIM_ComputerSystem"), str("SystemName", "Intel(r) AMT"),
		yes("ZeroTouchConfigurationEnabled", !s.noZeroTouch))
}

func putSetup(e *Engine, c *call, _ instance, b *node) int {
	if v, ok := b.lookup("ProvisioningServerOTP"); ok {
		raw, err := base64.StdEncoding.DecodeString(v)
		if err != nil || len(raw) < 8 || len(raw) > 32 {
			return ptInvalidParam
		}
		e.st.otp = strings.TrimRight(string(raw), "\x00")
	}
	if v, ok := b.lookup("ConfigurationServerFQDN"); ok {
		if len(v) > 255 {
			return ptInvalidName
		}
		e.st.setupFQDN = v
	}
	if v, ok := b.lookup("ZeroTouchConfigurationEnabled"); ok {
		e.st.noZeroTouch = v == "false"
	}
	return 0
}

func certificateHashes(e *Engine) []instance {
	var out []instance
	for n, h := range e.cfg.Hashes {
		// Numbers of the algorithm: S13 of provisioning-protocol has SHA-1 1, SHA-256 2, SHA-384 3.
		out = append(out, instance{str("Description", "Hash "+strconv.Itoa(n)), str("ElementName", "Intel(r) AMT Provisioning Certificate Hash"),
			yes("Enabled", true), str("HashData", base64.StdEncoding.EncodeToString(h.Digest)), num("HashType", int(h.Algorithm)),
			str("InstanceID", "Intel(r) AMT Provisioning Certificate Hash: Handle: "+strconv.Itoa(n)), yes("IsDefault", false)})
	}
	return out
}

func setMEBxPassword(e *Engine, c *call) result {
	return ret(e.setMEBx(c, c.in.value("Password")))
}

// setMEBx follows the policy of the MEBx (Intel's class reference); never in client control mode
// (provisioning-protocol 3.4).
func (e *Engine) setMEBx(c *call, password string) int {
	s := &e.st
	switch {
	case s.control == 1,
		e.cfg.MEBx != MEBxAnytime && s.stage != In,
		e.cfg.MEBx == MEBxDefaultOnly && (s.mebx || !c.s.Certificate):
		return ptNotPermitted
	case !strong(password):
		return ptWeakPassword
	}
	s.mebx = true
	e.changed(c, ChangeMEBx)
	return 0
}

// commit puts what was set into force, and ends the setup. What has to be there is Intel's list as the
// public clients give it (provisioning-protocol 3.5); MeshCentral sets up real clients without a host name
// and a clock, so those two are asked of the firmware before 6.0 only (unverified).
func (e *Engine) commit(c *call) int {
	s := &e.st
	if s.stage == Pre {
		return ptInvalidStage
	}
	if pt := e.missing(c); pt != 0 {
		return pt
	}
	e.enforceTLS()
	if s.stage == In {
		s.stage, s.control = Post, 2
		e.changed(c, ChangeStage)
		if e.cfg.DropOnCommit {
			c.do = DropAfter
		} else {
			c.do = Restart
		}
		return 0
	}
	e.changed(c, ChangeTLS)
	c.do = Restart
	return 0
}

func (e *Engine) missing(c *call) int {
	s := &e.st
	old := !e.cfg.Version.AtLeast(6, 0)
	switch {
	case s.remote.enabled && s.context < 0:
		return ptDataMissing
	case s.remote.enabled && s.remote.mutual && (len(e.roots()) == 0 || !s.clockSet):
		return ptDataMissing
	case s.stage != In:
		return 0
	case !s.changed, // the network password is still the factory one
		old && s.host == "", old && !s.clockSet,
		!old && c.s.Certificate && !s.mebx:
		return ptDataMissing
	}
	return 0
}

func unprovision(e *Engine, c *call) result {
	mode, err := strconv.Atoi(c.in.value("ProvisioningMode"))
	if err != nil || mode < 0 || mode > 3 {
		return ret(ptInvalidParam)
	}
	return ret(e.takeBack(c, false))
}

// takeBack unprovisions. A partial one keeps the admin's log-in, PID/PPS, host and domain name and the
// setup server, and hellos begin again; a full one goes back to the factory's settings. The MEBx password
// stays in both (provisioning-protocol 3.6, setup-bin-and-keys).
func (e *Engine) takeBack(c *call, partial bool) int {
	old := e.st
	if old.stage == Pre || (old.stage == In && !c.s.Setup && c.user == nil) {
		return ptNotPermitted
	}
	e.st = e.factory(c.s.Now)
	s := &e.st
	s.mebx, s.generation, s.clock, s.power = old.mebx, old.generation, old.clock, old.power
	if partial {
		s.stage, s.admin, s.changed = In, old.admin, old.changed
		s.pid, s.pps, s.host, s.domain, s.setupFQDN = old.pid, old.pps, old.host, old.domain, old.setupFQDN
	}
	e.contexts = nil
	e.changed(c, ChangeStage).Partial = partial
	c.do = Restart
	return 0
}

// extend sets the time that is left for the setup: at most 24 hours in each call; 0 closes the window.
func (e *Engine) extend(c *call, duration string) int {
	hours, err := strconv.Atoi(duration)
	switch {
	case err != nil || hours < 0 || hours > 24:
		return ptInvalidParam
	case e.st.stage != In:
		return ptNotPermitted
	}
	e.st.windowEnds = c.s.Now.Add(time.Duration(hours) * time.Hour)
	e.changed(c, ChangeWindow)
	return 0
}

// setPair replaces the pair for the next setup.
func (e *Engine) setPair(c *call, pid, pps string) int {
	if len(pid) != keys.PIDLen || len(keys.CheckPID(pid)) > 0 {
		return ptInvalidPID
	}
	secret := amt.NewSecret(pps)
	if len(pps) != keys.PPSLen || len(keys.CheckPPS(secret)) > 0 {
		return ptInvalidPPS
	}
	e.st.pid, e.st.pps = amt.PID(pid), secret
	e.changed(c, ChangePair)
	return 0
}
