package engine

import (
	"strconv"
	"strings"
	"time"
)

// generalClasses: names, clock.
var generalClasses = []class{
	{name: "AMT_GeneralSettings", since: [2]int{3, 0}, keys: []string{"InstanceID"},
		list: func(e *Engine) []instance { return []instance{e.generalSettings()} }, put: putGeneral},
	{name: "AMT_TimeSynchronizationService", since: [2]int{3, 0}, keys: serviceKeys, common: true,
		list: func(e *Engine) []instance {
			i := service("AMT_TimeSynchronizationService", "Intel(r) AMT Time Synchronization Service", "Intel(r) AMT Time Synchronization Service")
			if e.cfg.Version.AtLeast(9, 0) {
				i = i.insert("Name", str("LocalTimeSyncEnabled", "0"))
			}
			if e.cfg.Version.AtLeast(9, 0) {
				i = append(i, str("TimeSource", "0"))
			}
			return []instance{i}
		},
		does: map[string]method{
			"GetLowAccuracyTimeSynch": {do: func(e *Engine, c *call) result {
				return result{fields: []field{num("Ta0", e.firmwareTime(c.s.Now).Unix())}}
			}},
			"SetHighAccuracyTimeSynch": {do: func(e *Engine, c *call) result {
				return ret(e.setClock(c, c.in.value("Ta0"), c.in.value("Tm1"), c.in.value("Tm2")))
			}},
		}},
}

// service gives the fields that the services of the firmware have in common.
func service(class, element, name string) instance {
	return instance{str("CreationClassName", class), str("ElementName", element), str("EnabledState", "5"), str("Name", name),
		str("RequestedState", "12"), str("SystemCreationClassName", "CIM_ComputerSystem"), str("SystemName", "Intel(r) AMT")}
}

// insert puts a field before the one that is named.
func (i instance) insert(before string, f field) instance {
	for n := range i {
		if i[n].name == before {
			return append(append(append(instance{}, i[:n]...), f), i[n:]...)
		}
	}
	return append(i, f)
}

// setting is a value of AMT_GeneralSettings: its name, the release that brought it (a guess for most), its
// first value, and whether Put changes it.
type setting struct {
	name  string
	major int
	value string
	put   bool
}

// generalFields stand in the order of recorded answers.
var generalFields = []setting{
	{"AMTNetworkEnabled", 3, "1", true}, {"DDNSPeriodicUpdateInterval", 6, "1440", true}, {"DDNSTTL", 6, "900", true},
	{"DDNSUpdateByDHCPServerEnabled", 6, "true", true}, {"DDNSUpdateEnabled", 6, "false", true},
	{"DHCPSyncRequiresHostname", 8, "1", true}, {"DHCPv6ConfigurationTimeout", 6, "0", true}, {"DigestRealm", 3, "", false},
	{"DomainName", 3, "", true}, {"ElementName", 3, generalName, false}, {"HostName", 3, "", true}, {"HostOSFQDN", 6, "", false},
	{"IdleWakeTimeout", 3, "65535", true}, {"InstanceID", 3, generalName, false}, {"NetworkInterfaceEnabled", 3, "true", false},
	{"PingResponseEnabled", 3, "true", true}, {"PowerSource", 3, "0", false}, {"PreferredAddressFamily", 6, "0", true},
	{"PresenceNotificationInterval", 5, "0", true}, {"PrivacyLevel", 6, "0", false}, {"RmcpPingResponseEnabled", 5, "true", true},
	{"SharedFQDN", 6, "true", true}, {"ThunderboltDockEnabled", 15, "0", true}, {"WsmanOnlyMode", 6, "false", true},
}

const generalName = "Intel(r) AMT: General Settings"

func (e *Engine) generalSettings() instance {
	var i instance
	for _, g := range generalFields {
		if !e.cfg.Version.AtLeast(g.major, 0) {
			continue
		}
		v := g.value
		switch g.name {
		case "DigestRealm":
			v = e.Realm()
		case "HostName":
			v = e.st.host
		case "DomainName":
			v = e.st.domain
		default:
			if set, ok := e.st.general[g.name]; ok {
				v = set
			}
		}
		i = append(i, str(g.name, v))
	}
	return i
}

func putGeneral(e *Engine, c *call, _ instance, b *node) int {
	host, hasHost := b.lookup("HostName")
	domain, hasDomain := b.lookup("DomainName")
	if hasHost {
		if pt := e.setHost(c, host); pt != 0 {
			return pt
		}
	}
	if hasDomain {
		if pt := e.setDomain(c, domain); pt != 0 {
			return pt
		}
	}
	for _, g := range generalFields {
		v, ok := b.lookup(g.name)
		if !ok || !g.put || g.name == "HostName" || g.name == "DomainName" {
			continue
		}
		if !fits(v, g.value) {
			return ptInvalidParam
		}
		if e.st.general == nil {
			e.st.general = map[string]string{}
		}
		e.st.general[g.name] = v
	}
	return 0
}

// fits reports whether a value has the kind of another: true or false, or a number up to 65535.
func fits(v, like string) bool {
	if like == "true" || like == "false" {
		return v == "true" || v == "false"
	}
	n, err := strconv.Atoi(v)
	return err == nil && n >= 0 && n <= 65535
}

func (e *Engine) setHost(c *call, name string) int {
	if len(name) > 63 || (name != "" && !soundLabel(name)) {
		return ptInvalidName
	}
	if name != e.st.host {
		e.st.host = name
		e.changed(c, ChangeName)
	}
	return 0
}

func (e *Engine) setDomain(c *call, name string) int {
	if len(name) > 192 { // length: unverified
		return ptInvalidDomain
	}
	for label := range strings.SplitSeq(name, ".") {
		if name != "" && !soundLabel(label) {
			return ptInvalidDomain
		}
	}
	if name != e.st.domain {
		e.st.domain = name
		e.changed(c, ChangeName)
	}
	return 0
}

func soundLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// setClock follows the arithmetic of the synchronisation: Ta0 is what the firmware had told, Tm1 the
// caller's time when it read that, Tm2 the caller's time now; the firmware's clock moves by the middle of
// the two differences (Intel's description of the method; provisioning-protocol 3.4).
func (e *Engine) setClock(c *call, ta0, tm1, tm2 string) int {
	var t [3]int64
	for i, s := range []string{ta0, tm1, tm2} {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 || n > 1<<32 {
			return ptInvalidParam
		}
		t[i] = n
	}
	ta1 := e.firmwareTime(c.s.Now).Unix()
	if t[2] < t[1] || t[0] > ta1+24*3600 {
		return ptInvalidTime
	}
	shift := ((t[1] - t[0]) + (t[2] - ta1)) / 2
	e.st.clock += time.Duration(shift) * time.Second
	e.st.clockSet = true
	e.st.generation++
	return 0
}
