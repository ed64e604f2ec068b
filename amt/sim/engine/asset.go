package engine

// assetClasses: hardware, with values of our own. They do not change.
var assetClasses = []class{
	{name: "CIM_Chassis", since: [2]int{3, 0}, keys: []string{"CreationClassName", "Tag"}, common: true, list: fixed(
		"ChassisPackageType", "0", "CreationClassName", "CIM_Chassis", "ElementName", "Managed System Chassis", "Manufacturer", simMaker,
		"Model", simModel, "OperationalStatus", "0", "PackageType", "3", "SerialNumber", "SIM0001", "Tag", "CIM_Chassis", "Version", "1")},
	{name: "CIM_Card", since: [2]int{3, 0}, keys: []string{"CreationClassName", "Tag"}, common: true, list: fixed(
		"CanBeFRUed", "true", "CreationClassName", "CIM_Card", "ElementName", "Managed System Base Board", "Manufacturer", simMaker,
		"Model", simModel, "OperationalStatus", "0", "PackageType", "9", "SerialNumber", "SIM0001", "Tag", "CIM_Card", "Version", "1")},
	{name: "CIM_Chip", since: [2]int{3, 0}, keys: []string{"Tag"}, common: true, list: fixed(
		"CanBeFRUed", "true", "CreationClassName", "CIM_Chip", "ElementName", "Managed System Processor Chip", "Manufacturer", simMaker,
		"OperationalStatus", "0", "Tag", "CPU 0", "Version", "Simulated processor")},
	{name: "CIM_Processor", since: [2]int{3, 0}, keys: []string{"CreationClassName", "DeviceID", "SystemCreationClassName", "SystemName"}, common: true, list: fixed(
		"CPUStatus", "1", "CreationClassName", "CIM_Processor", "CurrentClockSpeed", "2400", "DeviceID", "CPU 0", "ElementName", "Managed System CPU",
		"EnabledState", "2", "ExternalBusClockSpeed", "100", "Family", "198", "HealthState", "0", "MaxClockSpeed", "3000", "OperationalStatus", "0",
		"OtherFamilyDescription", "", "RequestedState", "12", "Role", "Central", "Stepping", "1", "SystemCreationClassName", "CIM_ComputerSystem",
		"SystemName", "ManagedSystem", "UpgradeMethod", "52")},
	{name: "CIM_BIOSElement", since: [2]int{3, 0}, keys: []string{"Name", "SoftwareElementID", "SoftwareElementState", "TargetOperatingSystem", "Version"}, common: true,
		list: func(e *Engine) []instance {
			return []instance{{str("ElementName", "Primary BIOS"), str("Manufacturer", simMaker), str("Name", "Primary BIOS"), str("OperationalStatus", "0"),
				str("PrimaryBIOS", "true"), when("ReleaseDate", biosDate), str("SoftwareElementID", "SIM.0001"), str("SoftwareElementState", "2"),
				str("TargetOperatingSystem", "66"), str("Version", "SIM.0001")}}
		}},
	{name: "AMT_AssetTableService", since: [2]int{3, 0}, keys: []string{"CreationClassName", "Name", "SystemCreationClassName", "SystemName"}, common: true, list: fixed(
		"CreationClassName", "AMT_AssetTableService", "ElementName", "Intel(r) AMT Asset Table Service", "Name", "Intel(r) AMT Asset Table Service",
		"SystemCreationClassName", "CIM_ComputerSystem", "SystemName", "Intel(r) AMT", "TableTypes", "SMbios:130", "TableTypes", "SMbios:131")},
	{name: "AMT_CryptographicCapabilities", since: [2]int{3, 0}, keys: []string{"InstanceID"}, list: fixed(
		"ElementName", "Intel(r) AMT: Cryptographic Capabilities", "HardwareAcceleration", "1", "InstanceID", "Intel(r) AMT: Cryptographic Capabilities 0")},
	{name: "IPS_HostBootReason", since: [2]int{9, 0}, keys: []string{"InstanceID"}, list: fixed(
		"ElementName", "Intel(r) AMT:Host Boot Reason", "InstanceID", "Intel(r) AMT:Host Boot Reason", "PreviousSxState", "0", "Reason", "1", "ReasonDetails", "")},
	{name: "CIM_KVMRedirectionSAP", since: [2]int{6, 0}, keys: []string{"CreationClassName", "Name", "SystemCreationClassName", "SystemName"}, common: true, list: fixed(
		"CreationClassName", "CIM_KVMRedirectionSAP", "ElementName", "KVM Redirection Service Access Point", "EnabledState", "6", "KVMProtocol", "4",
		"Name", "KVM Redirection Service Access Point", "RequestedState", "5", "SystemCreationClassName", "CIM_ComputerSystem", "SystemName", "ManagedSystem")},
	{name: "IPS_KVMRedirectionSettingData", since: [2]int{6, 0}, keys: []string{"InstanceID"}, list: fixed(
		"BackToBackFbMode", "false", "DefaultScreen", "0", "ElementName", "Intel(r) KVM Redirection Settings", "EnabledByMEBx", "true",
		"InstanceID", "Intel(r) KVM Redirection Settings", "Is5900PortEnabled", "false", "OptInPolicy", "true", "OptInPolicyTimeout", "300", "RFBPassword", "", "SessionTimeout", "3")},
}

const (
	simMaker = "amtmedic"
	simModel = "Simulated client"
)

// fixed makes a list of one instance of names and values.
func fixed(pairs ...string) func(*Engine) []instance {
	var i instance
	for n := 0; n+1 < len(pairs); n += 2 {
		i = append(i, str(pairs[n], pairs[n+1]))
	}
	return func(*Engine) []instance { return []instance{i} }
}
