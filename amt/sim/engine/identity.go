package engine

import (
	"encoding/hex"
	"strings"
)

// identityClasses: what the client is.
var identityClasses = []class{
	{name: "CIM_SoftwareIdentity", since: [2]int{3, 0}, keys: []string{"InstanceID"}, common: true, list: softwareIdentities},
	{name: "CIM_ComputerSystem", since: [2]int{3, 0}, keys: []string{"CreationClassName", "Name"}, list: computerSystems},
	{name: "CIM_ComputerSystemPackage", since: [2]int{3, 0}, keys: []string{"Antecedent", "Dependent"}, list: systemPackage},
}

// softwareIdentities is the list of recorded firmware, with the version that is simulated.
func softwareIdentities(e *Engine) []instance {
	v, build := e.version(), e.build()
	legacy := "False"
	rows := [][2]string{{"Flash", v}, {"Netstack", v}, {"AMTApps", v}, {"AMT", v}, {"Sku", "16392"}, {"VendorID", "8086"}, {"Build Number", build},
		{"Recovery Version", v}, {"Recovery Build Num", build}, {"Legacy Mode", legacy}}
	if e.cfg.Version.AtLeast(6, 0) {
		rows = append(rows, [2]string{"AMT FW Core Version", v})
	}
	var out []instance
	for _, r := range rows {
		out = append(out, instance{str("InstanceID", r[0]), str("IsEntity", "true"), str("VersionString", r[1])})
	}
	return out
}

// computerSystems: the PC and the firmware itself. No recorded answer of this class was at hand; fields are
// those of the CIM schema that public programs read (unverified).
func computerSystems(e *Engine) []instance {
	state := "2"
	if e.st.power != 2 {
		state = "3"
	}
	return []instance{
		{str("CreationClassName", "CIM_ComputerSystem"), str("Dedicated", "14"), str("ElementName", "Intel(r) AMT Subsystem"), str("EnabledState", "5"), str("Name", "Intel(r) AMT"), str("RequestedState", "12")},
		{str("CreationClassName", "CIM_ComputerSystem"), str("Dedicated", "0"), str("ElementName", "Managed System"), str("EnabledState", state), str("Name", "ManagedSystem"), str("RequestedState", "12")},
	}
}

func systemPackage(e *Engine) []instance {
	wire := e.cfg.UUID.Wire()
	return []instance{{
		to("Antecedent", reference{class: "CIM_Chassis", by: selectors("CreationClassName", "CIM_Chassis", "Tag", "CIM_Chassis")}),
		to("Dependent", managedSystem), str("PlatformGUID", strings.ToUpper(hex.EncodeToString(wire[:])))}}
}
