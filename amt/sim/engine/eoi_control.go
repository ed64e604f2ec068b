package engine

// eoiControl is RemoteControl. Numbers are those of Intel's sample program: commands 16 reset, 17 power up,
// 18 power down, 19 power cycle, 33 boot options; enterprise 343 Intel, 4542 ASF.
var eoiControl = &soapService{name: "RemoteControl", prefix: "rci", methods: map[string]soapMethod{
	"GetSystemPowerState": soap(func(e *Engine, c *call) result {
		return result{fields: []field{num("SystemPowerState", e.acpi())}}
	}),
	"GetRemoteControlCapabilities": soap(func(e *Engine, c *call) result {
		return result{fields: []field{str("IanaOemNumber", "343"), num("OemDefinedCapabilities", 0x1f), num("SpecialCommandsSupported", 0x1f00),
			num("SystemCapabilitiesSupported", 0x0f), num("SystemFirmwareCapabilities", 0x1f)}}
	}),
	"RemoteControl": soap(remoteControl),
}}

// acpi gives the power state in the numbers of ACPI: 0 S0, 3 S3, 4 S4, 5 S5.
func (e *Engine) acpi() int {
	switch e.st.power {
	case 4:
		return 3
	case 7:
		return 4
	case 8:
		return 5
	}
	return 0
}

func remoteControl(e *Engine, c *call) result {
	if n := c.in.value("IanaOemNumber"); n != "343" && n != "4542" {
		return ret(ptUnsupportedOEM)
	}
	if v, ok := c.in.lookup("SpecialCommand"); ok {
		if n := atoi(v); n < 0 || (n > 5 && n != 193) {
			return ret(ptInvalidSpecial)
		}
		e.st.boot = v
	}
	switch atoi(c.in.value("Command")) {
	case 16, 19:
		if e.st.power == 8 { // nothing runs that could be reset
			return ret(ptNotPermitted)
		}
		e.setPower(c, 10)
	case 17:
		e.setPower(c, 2)
	case 18:
		e.setPower(c, 8)
	case 33:
	default:
		return ret(ptInvalidCommand)
	}
	return ret(0)
}
