package engine

import (
	"encoding/base64"
	"strconv"
)

// eoiSecurity is SecurityAdministration: what AMT_SetupAndConfigurationService,
// AMT_AuthorizationService and AMT_PublicKeyManagementService do in WS-Man.
var eoiSecurity = &soapService{name: "SecurityAdministration", prefix: "sai", methods: map[string]soapMethod{
	"GetCoreVersion": soap(coreVersion),
	"GetDigestRealm": soap(func(e *Engine, c *call) result { return result{fields: []field{str("DigestRealm", e.Realm())}} }),
	"SetAdminAclEntryEx": soap(func(e *Engine, c *call) result {
		in := c.in
		if k := in.kid("EntryEx"); k != nil {
			in = k
		}
		return ret(e.setAdmin(c, in.value("Username"), in.value("DigestPassword")))
	}),
	"GetAdminAclEntry":          soap(func(e *Engine, c *call) result { return result{fields: []field{str("Username", e.st.admin.name)}} }),
	"GetAdminAclEntryStatus":    soap(func(e *Engine, c *call) result { return result{fields: []field{yes("IsDefault", !e.st.mebx)}} }),
	"GetAdminNetAclEntryStatus": soap(func(e *Engine, c *call) result { return result{fields: []field{yes("IsDefault", !e.st.changed)}} }),
	"EnumerateUserAclEntries":   soap(eoiUsers),
	"AddUserAclEntryEx": soap(func(e *Engine, c *call) result {
		h, pt := e.addUser(c, eoiEntry(c.in))
		if pt != 0 {
			return ret(pt)
		}
		return result{fields: []field{num("Handle", h)}}
	}),
	"GetUserAclEntryEx": soap(func(e *Engine, c *call) result {
		u, _ := e.userAt(c.in.value("Handle"))
		if u == nil {
			return ret(ptInvalidHandle)
		}
		return result{fields: []field{{name: "EntryEx", kids: u.fields()}}}
	}),
	"UpdateUserAclEntryEx": soap(func(e *Engine, c *call) result {
		return ret(e.updateUser(c, c.in.value("Handle"), eoiEntry(c.in)))
	}),
	"RemoveUserAclEntry": soap(func(e *Engine, c *call) result { return ret(e.removeUser(c, c.in.value("Handle"))) }),

	"SetTlsPSK": soap(func(e *Engine, c *call) result {
		if e.cfg.Version.AtLeast(11, 0) {
			return ret(ptUnsupported)
		}
		return ret(e.setPair(c, c.in.value("PID"), c.in.value("PPS")))
	}),
	"SetMEBxPassword":    soap(setMEBxPassword),
	"CommitChanges":      soap(func(e *Engine, c *call) result { return ret(e.commit(c)) }),
	"Unprovision":        soap(unprovision),
	"PartialUnprovision": soap(func(e *Engine, c *call) result { return ret(e.takeBack(c, true)) }),
	"ExtendProvisioningPeriod": soap(func(e *Engine, c *call) result {
		return ret(e.extend(c, c.in.value("Duration")))
	}),
	"GetProvisioningServerOTP": soap(func(e *Engine, c *call) result {
		if e.st.stage != In {
			return ret(ptNotPermitted)
		}
		return result{fields: []field{str("OTP", base64.StdEncoding.EncodeToString([]byte(e.st.otp)))}}
	}),
	"SetRngKey": soap(func(e *Engine, c *call) result {
		raw, ok := blob(c.in.value("RngKey"))
		if !ok || len(raw) < 16 {
			return ret(ptInvalidParam)
		}
		e.st.rng = true
		return ret(0)
	}),
	"GetRngSeedStatus": soap(func(e *Engine, c *call) result { return result{fields: []field{str("RngSeedStatus", "0")}} }),

	"CertStoreAddCertificate": soap(func(e *Engine, c *call) result {
		h, pt := e.storeCertificate(c, c.in.value("CertificateBlob"), false)
		return handled("CertHandle", h, pt)
	}),
	"CertStoreAddTrustedRootCertificate": soap(func(e *Engine, c *call) result {
		h, pt := e.storeCertificate(c, c.in.value("CertificateBlob"), true)
		return handled("CertHandle", h, pt)
	}),
	"CertStoreAddKey": soap(func(e *Engine, c *call) result {
		h, pt := e.storeKey(c.in.value("KeyBlob"))
		return handled("KeyHandle", h, pt)
	}),
	"SetTlsCredentials": soap(func(e *Engine, c *call) result {
		h := atoi(c.in.value("CertHandle"))
		if _, ok := e.st.certs[h]; !ok {
			return ret(ptNotFound)
		}
		if e.keyOf(h) < 0 {
			return ret(ptKeyMismatch)
		}
		e.st.context = h
		e.changed(c, ChangeTLS)
		return ret(0)
	}),
	"SetTlsServerAuthentication": soap(func(e *Engine, c *call) result {
		on, mutual := c.in.value("Enabled") == "true", c.in.value("MutualAuthentication") == "true"
		if on && e.st.context < 0 {
			return ret(ptMissingKeys)
		}
		e.st.remote.enabled, e.st.remote.mutual = on, mutual
		e.st.remote.plain = c.in.value("AcceptNonSecureConnections") == "true"
		e.st.generation++
		return ret(0)
	}),
}}

func handled(name string, handle, pt int) result {
	if pt != 0 {
		return ret(pt)
	}
	return result{fields: []field{num(name, handle)}}
}

// eoiEntry finds the element that holds a user's fields.
func eoiEntry(in *node) *node {
	if k := in.kid("EntryEx"); k != nil {
		return k
	}
	return in
}

func eoiUsers(e *Engine, c *call) result {
	if c.in.kid("StartIndex") == nil {
		c.in = &node{kids: []*node{{name: "StartIndex", text: "1"}}}
	}
	return enumerateUsers(e, c.in.value("StartIndex"))
}

func coreVersion(e *Engine, c *call) result {
	return result{fields: []field{str("Version", e.version())}}
}

// eoiInfo is GeneralInfo.
var eoiInfo = &soapService{name: "GeneralInfo", prefix: "inf", methods: map[string]soapMethod{
	"GetCoreVersion": soap(coreVersion),
	"GetHostName":    soap(func(e *Engine, c *call) result { return result{fields: []field{str("HostName", e.st.host)}} }),
	"GetProvisioningMode": soap(func(e *Engine, c *call) result {
		return result{fields: []field{str("ProvisioningMode", "1"), str("LegacyMode", "false")}}
	}),
	"GetProvisioningState": soap(func(e *Engine, c *call) result {
		return result{fields: []field{num("ProvisioningState", e.st.stage.Number())}}
	}),
	"GetCodeVersions": soap(func(e *Engine, c *call) result {
		f := field{name: "CodeVersions", kids: []field{str("BiosVersion", "SIM.0001"), num("VersionsCount", len(softwareIdentities(e)))}}
		for _, i := range softwareIdentities(e) {
			f.kids = append(f.kids, field{name: "Versions", kids: []field{str("Description", i.get("InstanceID")), str("Version", i.get("VersionString"))}})
		}
		return result{fields: []field{f}}
	}),
}}

// eoiTime is NetworkTime.
var eoiTime = &soapService{name: "NetworkTime", prefix: "tim", methods: map[string]soapMethod{
	"GetLowAccuracyTimeSynch": soap(func(e *Engine, c *call) result {
		return result{fields: []field{str("Ta0", strconv.FormatInt(e.firmwareTime(c.s.Now).Unix(), 10))}}
	}),
	"SetHighAccuracyTimeSynch": soap(func(e *Engine, c *call) result {
		return ret(e.setClock(c, c.in.value("Ta0"), c.in.value("Tm1"), c.in.value("Tm2")))
	}),
}}
