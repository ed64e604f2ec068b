package engine

import "strings"

// moreClasses: what management programs read beside the setup. They change little or nothing.
var moreClasses = []class{
	{name: "CIM_ServiceAvailableToElement", as: "CIM_AssociatedPowerManagementService", since: [2]int{3, 0}, keys: []string{"ServiceProvided", "UserOfService"}, common: true,
		list: func(e *Engine) []instance { return []instance{e.associatedPower()} }},
	{name: "CIM_SystemPackaging", as: "CIM_ComputerSystemPackage", since: [2]int{3, 0}, keys: []string{"Antecedent", "Dependent"}, list: systemPackage},
	{name: "CIM_PhysicalPackage", as: "CIM_Card", since: [2]int{3, 0}, keys: []string{"CreationClassName", "Tag"}, common: true, list: assetClasses[1].list},
	{name: "CIM_PhysicalMemory", since: [2]int{3, 0}, keys: []string{"CreationClassName", "Tag"}, common: true, list: fixed(
		"BankLabel", "BANK 0", "Capacity", "17179869184", "ConfiguredMemoryClockSpeed", "2400", "CreationClassName", "CIM_PhysicalMemory",
		"ElementName", "Managed System Memory Chip", "FormFactor", "13", "IsSpeedInMhz", "true", "Manufacturer", "0000", "MaxMemorySpeed", "2400", "MemoryType", "26",
		"PartNumber", "SIM", "SerialNumber", "SIM0001", "Speed", "0", "Tag", "SIM0001")},
	{name: "CIM_MediaAccessDevice", since: [2]int{3, 0}, keys: []string{"CreationClassName", "DeviceID", "SystemCreationClassName", "SystemName"}, common: true, list: fixed(
		"Capabilities", "4", "CreationClassName", "CIM_MediaAccessDevice", "DeviceID", "MEDIA DEV 0", "ElementName", "Managed System Media Access Device",
		"EnabledDefault", "2", "EnabledState", "0", "MaxMediaSize", "500107862", "OperationalStatus", "0", "RequestedState", "12", "Security", "2",
		"SystemCreationClassName", "CIM_ComputerSystem", "SystemName", "ManagedSystem")},
	{name: "CIM_EthernetPort", since: [2]int{3, 0}, keys: []string{"CreationClassName", "DeviceID", "SystemCreationClassName", "SystemName"}, common: true,
		list: func(e *Engine) []instance {
			return []instance{{str("CreationClassName", "CIM_EthernetPort"), str("Description", "Wired0"), str("DeviceID", "Intel(r) AMT Ethernet Port 0"),
				str("ElementName", "Intel(r) AMT Ethernet Port"), str("EnabledDefault", "5"), str("EnabledState", "2"), str("LinkTechnology", "2"), str("MaxSpeed", "1000000000"),
				str("NetworkAddresses", strings.ReplaceAll(e.mac(), "-", "")), str("OperationalStatus", "0"), str("PortType", "53"), str("RequestedState", "12"), str("Speed", "1000000000"),
				str("SystemCreationClassName", "CIM_ComputerSystem"), str("SystemName", "Intel(r) AMT")}}
		}},
	{name: "AMT_KerberosSettingData", since: [2]int{3, 0}, keys: []string{"InstanceID"}, list: fixed("ElementName", "Intel(r) AMT: Kerberos Settings",
		"InstanceID", "Intel (r) AMT: Kerberos Settings", "KrbEnabled", "false", "SupportedEncryptionAlgorithms", "0", "SupportedEncryptionAlgorithms", "1", "SupportedEncryptionAlgorithms", "2")},
	{name: "AMT_UserInitiatedConnectionService", since: [2]int{4, 0}, keys: serviceKeys, common: true, list: fixed(
		"CreationClassName", "AMT_UserInitiatedConnectionService", "ElementName", "Intel(r) AMT User Initiated Connection Service", "EnabledState", "32771",
		"Name", "Intel(r) AMT User Initiated Connection Service", "SystemCreationClassName", "CIM_ComputerSystem", "SystemName", "Intel(r) AMT"),
		does: map[string]method{"RequestStateChange": {do: func(e *Engine, c *call) result { return ret(0) }}}},
	// Lists that are empty until somebody fills them, which this firmware does not offer.
	{name: "AMT_ManagementPresenceRemoteSAP", since: [2]int{4, 0}, keys: serviceKeys, common: true, list: none},
	{name: "AMT_RemoteAccessPolicyRule", since: [2]int{4, 0}, keys: []string{"CreationClassName", "PolicyRuleName", "SystemCreationClassName", "SystemName"}, list: none},
	{name: "AMT_RemoteAccessPolicyAppliesToMPS", since: [2]int{4, 0}, keys: []string{"ManagedElement", "PolicySet"}, list: none},
	{name: "CIM_WiFiEndpointSettings", since: [2]int{3, 0}, keys: []string{"InstanceID"}, list: none},
	{name: "IPS_8021xCredentialContext", since: [2]int{15, 0}, keys: []string{"ElementInContext", "ElementProvidingContext"}, list: none},
}

func none(*Engine) []instance { return nil }
