package engine

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// networkClasses: the wired port.
var networkClasses = []class{
	{name: "AMT_EthernetPortSettings", since: [2]int{3, 0}, keys: []string{"InstanceID"}, put: putEthernet,
		list: func(e *Engine) []instance { return []instance{e.port()} }},
}

// ethernetField is one of AMT_EthernetPortSettings, in the order of recorded answers. kind: a address, b
// boolean, s text that cannot be put.
type ethernetField struct {
	name string
	kind byte
}

var ethernetFields = []ethernetField{{"DHCPEnabled", 'b'}, {"DefaultGateway", 'a'}, {"ElementName", 's'}, {"IPAddress", 'a'}, {"InstanceID", 's'},
	{"IpSyncEnabled", 'b'}, {"LinkIsUp", 's'}, {"LinkPolicy", 'l'}, {"MACAddress", 's'}, {"PhysicalConnectionType", 's'}, {"PrimaryDNS", 'a'},
	{"SecondaryDNS", 'a'}, {"SharedDynamicIP", 'b'}, {"SharedMAC", 's'}, {"SharedStaticIp", 'b'}, {"SubnetMask", 'a'}}

// mac makes an address of the UUID; 02 marks it as made locally.
func (e *Engine) mac() string {
	u := e.cfg.UUID
	return fmt.Sprintf("02-%02x-%02x-%02x-%02x-%02x", u[11], u[12], u[13], u[14], u[15])
}

// ethernetValue gives a value as it stands; ok is false for a field that this answer does not have.
func (e *Engine) ethernetValue(name string) (v string, ok bool) {
	if v, ok := e.st.ethernet[name]; ok {
		return v, true
	}
	late := e.cfg.Version.AtLeast(6, 0)
	switch name {
	case "DHCPEnabled", "LinkIsUp", "SharedMAC":
		return "true", true
	case "SharedStaticIp":
		return "false", true
	case "IpSyncEnabled", "SharedDynamicIP":
		return "true", late
	case "ElementName":
		return "Intel(r) AMT Ethernet Port Settings", true
	case "InstanceID":
		return "Intel(r) AMT Ethernet Port Settings 0", true
	case "MACAddress":
		return e.mac(), true
	case "PhysicalConnectionType":
		return "0", e.cfg.Version.AtLeast(11, 0)
	case "IPAddress":
		return e.address(), e.address() != ""
	case "SubnetMask":
		return "255.255.255.0", true
	}
	return "", false
}

func (e *Engine) port() instance {
	var i instance
	for _, f := range ethernetFields {
		if f.kind == 'l' {
			for v := range strings.FieldsSeq(e.linkStates()) {
				i = append(i, str(f.name, v))
			}
			continue
		}
		if v, ok := e.ethernetValue(f.name); ok {
			i = append(i, str(f.name, v))
		}
	}
	return i
}

// linkStates gives the numbers of the power states in which the link stays up.
func (e *Engine) linkStates() string {
	if v, ok := e.st.ethernet["LinkPolicy"]; ok {
		return v
	}
	return "1 14"
}

func putEthernet(e *Engine, c *call, _ instance, b *node) int {
	next := map[string]string{}
	if policy := b.values("LinkPolicy"); len(policy) > 0 {
		for _, v := range policy {
			if v != "1" && v != "14" && v != "16" && v != "224" { // Intel's MOF of AMT_EthernetPortSettings
				return ptInvalidParam
			}
		}
		next["LinkPolicy"] = strings.Join(policy, " ")
	}
	for _, f := range ethernetFields {
		v, ok := b.lookup(f.name)
		switch {
		case !ok || f.kind == 's' || f.kind == 'l':
		case f.kind == 'b' && v != "true" && v != "false":
			return ptInvalidParam
		case f.kind == 'a':
			a, err := netip.ParseAddr(v)
			if v != "" && (err != nil || !a.Is4()) {
				return ptInvalidIP
			}
			if v != "" {
				next[f.name] = v
			}
		default:
			next[f.name] = v
		}
	}
	if next["DHCPEnabled"] == "false" && next["SharedStaticIp"] != "true" && (next["IPAddress"] == "" || next["SubnetMask"] == "") {
		return ptInvalidParam
	}
	e.st.ethernet = next
	e.st.generation++
	return 0
}

// number32 gives an IPv4 address as the SOAP services write it: a decimal number.
func number32(s string) string {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		return "0"
	}
	b := a.As4()
	return strconv.FormatUint(uint64(b[0])<<24|uint64(b[1])<<16|uint64(b[2])<<8|uint64(b[3]), 10)
}

// address32 reads such a number.
func address32(s string) (string, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return "", false
	}
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}).String(), true
}
