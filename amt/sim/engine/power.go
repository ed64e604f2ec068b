package engine

import "slices"

// powerClasses: switching the PC, its boot, power schemes, redirection.
var powerClasses = []class{
	{name: "CIM_PowerManagementService", since: [2]int{3, 0}, keys: serviceKeys, common: true,
		list: func(*Engine) []instance {
			return []instance{service("CIM_PowerManagementService", "Intel(r) AMT Power Management Service", powerService)}
		},
		does: map[string]method{"RequestPowerStateChange": {do: func(e *Engine, c *call) result {
			return ret(e.switchPower(c, atoi(c.in.value("PowerState")), c.in.kid("ManagedElement")))
		}}}},
	{name: "CIM_AssociatedPowerManagementService", since: [2]int{3, 0}, keys: []string{"ServiceProvided", "UserOfService"}, common: true,
		list: func(e *Engine) []instance { return []instance{e.associatedPower()} }},
	{name: "CIM_PowerManagementCapabilities", since: [2]int{3, 0}, keys: []string{"InstanceID"},
		list: func(*Engine) []instance {
			i := instance{str("ElementName", "Power Management Capabilities"), str("InstanceID", "Intel(r) AMT:PowerManagementCapabilities 0"), str("OtherPowerChangeCapabilities", "")}
			for _, n := range []int{2, 3, 4, 7, 8} {
				i = append(i, num("PowerChangeCapabilities", n))
			}
			for _, name := range []string{"PowerStatesSupported", "RequestedPowerStatesSupported"} {
				for _, n := range []int{5, 8, 2, 10, 11, 12, 14} {
					i = append(i, num(name, n))
				}
			}
			return []instance{i}
		}},
	{name: "AMT_SystemPowerScheme", since: [2]int{3, 0}, keys: []string{"InstanceID"}, list: powerSchemes,
		does: map[string]method{"SetPowerScheme": {do: func(e *Engine, c *call) result { return ret(0) }}}},
	{name: "AMT_BootCapabilities", since: [2]int{3, 0}, keys: []string{"InstanceID"}, list: bootCapabilities},
	{name: "AMT_RedirectionService", since: [2]int{3, 0}, keys: serviceKeys, common: true, put: putRedirection,
		list: func(e *Engine) []instance {
			return []instance{{str("CreationClassName", "AMT_RedirectionService"), str("ElementName", redirectionName),
				num("EnabledState", 32768+e.st.redirect), yes("ListenerEnabled", e.st.listener), str("Name", redirectionName),
				str("SystemCreationClassName", "CIM_ComputerSystem"), str("SystemName", "Intel(r) AMT")}}
		},
		does: map[string]method{"RequestStateChange": {do: func(e *Engine, c *call) result {
			n := atoi(c.in.value("RequestedState")) - 32768
			if n < 0 || n > 3 {
				return ret(ptInvalidParam)
			}
			e.st.redirect = n
			e.st.generation++
			return ret(0)
		}}}},
}

// associatedPower joins the PC with the service that switches it; it holds the power state.
func (e *Engine) associatedPower() instance {
	var i instance
	for _, n := range []string{"10", "8", "5", "11", "4", "7", "14", "12"} {
		if e.cfg.Version.AtLeast(6, 0) {
			i = append(i, str("AvailableRequestedPowerStates", n))
		}
	}
	return append(i, num("PowerState", e.st.power),
		to("ServiceProvided", reference{class: "CIM_PowerManagementService", by: selectors(
			"CreationClassName", "CIM_PowerManagementService", "Name", powerService, "SystemCreationClassName", "CIM_ComputerSystem", "SystemName", "Intel(r) AMT")}),
		to("UserOfService", managedSystem))
}

const (
	powerService    = "Intel(r) AMT Power Management Service"
	redirectionName = "Intel(r) AMT Redirection Service"
)

// managedSystem refers to the PC.
var managedSystem = reference{class: "CIM_ComputerSystem", by: selectors("CreationClassName", "CIM_ComputerSystem", "Name", "ManagedSystem")}

// selectors pairs names with values.
func selectors(pairs ...string) []selector {
	var out []selector
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, selector{name: pairs[i], text: pairs[i+1]})
	}
	return out
}

// switchPower takes the states of CIM: 2 on, 5 off and on (light), 8 off, 10 reset; 4, 7, 11, 12, 14 are the
// gentle forms. Return values are CIM's: 5 invalid parameter.
func (e *Engine) switchPower(c *call, state int, element *node) int {
	if !slices.Contains([]int{2, 4, 5, 7, 8, 10, 11, 12, 14}, state) {
		return 5
	}
	if element == nil {
		return 5
	}
	if r, ok := readReference(element, 0); !ok || r.class != "CIM_ComputerSystem" {
		return 5
	}
	e.setPower(c, state)
	return 0
}

func (e *Engine) setPower(c *call, state int) {
	switch state {
	case 8, 12:
		e.st.power = 8
	case 4:
		e.st.power = 4
	case 7:
		e.st.power = 7
	default:
		e.st.power = 2
	}
	e.changed(c, ChangePower)
}

func putRedirection(e *Engine, c *call, _ instance, b *node) int {
	if v, ok := b.lookup("EnabledState"); ok {
		n := atoi(v) - 32768
		if n < 0 || n > 3 {
			return ptInvalidParam
		}
		e.st.redirect = n
	}
	if v, ok := b.lookup("ListenerEnabled"); ok {
		if v != "true" && v != "false" {
			return ptInvalidParam
		}
		e.st.listener = v == "true"
	}
	e.st.generation++
	return 0
}

func powerSchemes(*Engine) []instance {
	return []instance{
		{str("Description", "Mobile: ON in S0"), str("ElementName", "Intel(r) AMT Power Scheme"), str("InstanceID", "SCHEME 0"), str("SchemeGUID", "djmXEQtWUEOIcJgS85G1YA==")},
		{str("Description", "Mobile: ON in S0, ME Wake in S3, S4-5 (AC only)"), str("ElementName", "Intel(r) AMT Power Scheme"), str("InstanceID", "SCHEME 1"), str("SchemeGUID", "MIAN7gnAeEOvKHhootu+Og==")},
	}
}

func bootCapabilities(*Engine) []instance {
	var i instance
	for _, f := range []struct {
		name string
		on   bool
	}{{"BIOSPause", false}, {"BIOSReflash", true}, {"BIOSSecureBoot", true}, {"BIOSSetup", true}, {"ConfigurationDataReset", false}, {"ElementName", false},
		{"ForceCDorDVDBoot", true}, {"ForceDiagnosticBoot", false}, {"ForceHardDriveBoot", true}, {"ForceHardDriveSafeModeBoot", false}, {"ForcePXEBoot", true},
		{"ForcedProgressEvents", true}, {"IDER", true}, {"InstanceID", false}, {"KeyboardLock", true}, {"PowerButtonLock", false}, {"ResetButtonLock", false}, {"SOL", true},
		{"SecureErase", false}, {"SleepButtonLock", false}, {"UserPasswordBypass", true}, {"VerbosityQuiet", false}, {"VerbosityScreenBlank", false}, {"VerbosityVerbose", false}} {
		switch f.name {
		case "ElementName":
			i = append(i, str(f.name, "Intel(r) AMT: Boot Capabilities"))
		case "InstanceID":
			i = append(i, str(f.name, "Intel(r) AMT:BootCapabilities 0"))
		default:
			i = append(i, yes(f.name, f.on))
		}
	}
	return []instance{i}
}
