package engine

// eoiNetwork is NetworkAdministration.
var eoiNetwork = &soapService{name: "NetworkAdministration", prefix: "net", methods: map[string]soapMethod{
	"GetHostName":   soap(func(e *Engine, c *call) result { return result{fields: []field{str("HostName", e.st.host)}} }),
	"SetHostName":   soap(func(e *Engine, c *call) result { return ret(e.setHost(c, c.in.value("HostName"))) }),
	"GetDomainName": soap(func(e *Engine, c *call) result { return result{fields: []field{str("DomainName", e.st.domain)}} }),
	"SetDomainName": soap(func(e *Engine, c *call) result { return ret(e.setDomain(c, c.in.value("DomainName"))) }),
	// amttool takes every value after Status for a handle.
	"EnumerateInterfaces":  soap(func(e *Engine, c *call) result { return result{fields: []field{str("InterfaceHandles", "0")}} }),
	"GetInterfaceSettings": soap(eoiGetInterface),
	"SetInterfaceSettings": soap(eoiSetInterface),
	"GetPingResponse": soap(func(e *Engine, c *call) result {
		return result{fields: []field{yes("PingResponseEnabled", e.st.general["PingResponseEnabled"] != "false")}}
	}),
	"SetPingResponse": soap(func(e *Engine, c *call) result {
		v := c.in.value("PingResponseEnabled")
		if v != "true" && v != "false" {
			return ret(ptInvalidParam)
		}
		if e.st.general == nil {
			e.st.general = map[string]string{}
		}
		e.st.general["PingResponseEnabled"] = v
		return ret(0)
	}),
}}

// addresses of IPv4Parameters, and the fields of AMT_EthernetPortSettings that hold them.
var ipv4Parameters = [][2]string{{"LocalAddress", "IPAddress"}, {"SubnetMask", "SubnetMask"}, {"DefaultGatewayAddress", "DefaultGateway"},
	{"PrimaryDnsAddress", "PrimaryDNS"}, {"SecondaryDnsAddress", "SecondaryDNS"}}

func eoiGetInterface(e *Engine, c *call) result {
	if c.in.value("InterfaceHandle") != "0" {
		return ret(ptInvalidHandle)
	}
	dhcp, _ := e.ethernetValue("DHCPEnabled")
	mode := "SHARED_MAC_ADDRESS"
	if dhcp != "true" {
		mode = "SEPARATE_MAC_ADDRESS"
	}
	v4 := field{name: "IPv4Parameters", kids: []field{}}
	for _, p := range ipv4Parameters {
		v, _ := e.ethernetValue(p[1])
		v4.kids = append(v4.kids, str(p[0], number32(v)))
	}
	return result{fields: []field{{name: "InterfaceDescriptor", kids: []field{
		str("HardwareAddressDescription", "Wired0"), str("MACAddress", e.mac()), str("InterfaceMode", mode),
		str("LinkPolicy", e.linkPolicy()), str("DhcpEnabled", dhcp), v4}}}}
}

func (e *Engine) linkPolicy() string {
	if v, ok := e.st.general["LinkPolicy"]; ok {
		return v
	}
	return "15"
}

func eoiSetInterface(e *Engine, c *call) result {
	d := c.in.kid("InterfaceDescriptor")
	if c.in.value("InterfaceHandle") != "0" {
		return ret(ptInvalidHandle)
	}
	if d == nil {
		return ret(ptInvalidParam)
	}
	next := map[string]string{}
	switch d.value("InterfaceMode") {
	case "SHARED_MAC_ADDRESS":
		next["DHCPEnabled"] = "true"
	case "SEPARATE_MAC_ADDRESS":
		next["DHCPEnabled"] = "false"
		v4 := d.kid("IPv4Parameters")
		for _, p := range ipv4Parameters {
			s, has := v4.lookup(p[0])
			if !has {
				continue
			}
			a, ok := address32(s)
			if !ok {
				return ret(ptInvalidIP)
			}
			next[p[1]] = a
		}
		if next["IPAddress"] == "" || next["SubnetMask"] == "" {
			return ret(ptInvalidIP)
		}
	default:
		return ret(ptInvalidParam)
	}
	policy := atoi(d.value("LinkPolicy"))
	if policy < 0 || policy > 255 {
		return ret(ptInvalidParam)
	}
	e.st.ethernet = next
	if e.st.general == nil {
		e.st.general = map[string]string{}
	}
	e.st.general["LinkPolicy"] = itoa(policy)
	e.st.generation++
	return ret(0)
}
