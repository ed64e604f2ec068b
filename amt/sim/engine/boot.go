package engine

// bootClasses: how the PC starts next.
var bootClasses = []class{
	{name: "AMT_BootSettingData", since: [2]int{3, 0}, keys: []string{"InstanceID"}, put: putBoot,
		list: func(e *Engine) []instance { return []instance{e.bootSettings()} }},
	{name: "CIM_BootConfigSetting", since: [2]int{3, 0}, keys: []string{"InstanceID"},
		list: fixed("ElementName", "Intel(r) AMT: Boot Configuration", "InstanceID", "Intel(r) AMT: Boot Configuration 0"),
		does: map[string]method{"ChangeBootOrder": {do: changeBootOrder}}},
	{name: "CIM_BootService", since: [2]int{3, 0}, keys: serviceKeys, common: true,
		list: fixed("CreationClassName", "CIM_BootService", "ElementName", "Intel(r) AMT Boot Service", "EnabledState", "2", "Name", "Intel(r) AMT Boot Service",
			"OperationalStatus", "0", "RequestedState", "12", "SystemCreationClassName", "CIM_ComputerSystem", "SystemName", "Intel(r) AMT"),
		does: map[string]method{"SetBootConfigRole": {do: func(e *Engine, c *call) result {
			if r, ok := argument(c.in, "BootConfigSetting"); !ok || r.class != "CIM_BootConfigSetting" {
				return ret(5)
			}
			return ret(0)
		}}}},
	{name: "CIM_BootSourceSetting", since: [2]int{3, 0}, keys: []string{"InstanceID"}, list: func(*Engine) []instance {
		var out []instance
		for _, s := range bootSources {
			out = append(out, instance{str("ElementName", "Intel(r) AMT: Boot Source"), str("FailThroughSupported", "2"), str("InstanceID", s[0]), str("StructuredBootString", s[1])})
		}
		return out
	}},
}

var bootSources = [][2]string{{"Intel(r) AMT: Force Hard-drive Boot", "CIM:Hard-Disk:1"}, {"Intel(r) AMT: Force PXE Boot", "CIM:Network:1"}, {"Intel(r) AMT: Force CD/DVD Boot", "CIM:CD/DVD:1"}}

// argument reads a reference among the arguments of a method.
func argument(in *node, name string) (reference, bool) {
	n := in.kid(name)
	if n == nil {
		return reference{}, false
	}
	return readReference(n, 0)
}

func changeBootOrder(e *Engine, c *call) result {
	e.st.boot = ""
	if c.in.kid("Source").first() == nil {
		return ret(0) // no source: as the BIOS has it
	}
	r, ok := argument(c.in, "Source")
	id, _ := r.value("InstanceID")
	for _, s := range bootSources {
		if ok && s[0] == id {
			e.st.boot = id
			return ret(0)
		}
	}
	return ret(5)
}

// bootFields are those of AMT_BootSettingData in recorded order: name, first value, whether Put changes it.
var bootFields = []setting{
	{"BIOSLastStatus", 3, "2", false}, {"BIOSLastStatus", 3, "0", false}, {"BIOSPause", 3, "false", true}, {"BIOSSetup", 3, "false", true}, {"BootMediaIndex", 3, "0", true},
	{"BootguardStatus", 15, "127", false}, {"ConfigurationDataReset", 3, "false", true}, {"ElementName", 3, "Intel(r) AMT Boot Configuration Settings", false},
	{"EnforceSecureBoot", 6, "false", true}, {"FirmwareVerbosity", 3, "0", true}, {"ForcedProgressEvents", 3, "false", true}, {"IDERBootDevice", 3, "0", true},
	{"InstanceID", 3, "Intel(r) AMT:BootSettingData 0", false}, {"LockKeyboard", 3, "false", true}, {"LockPowerButton", 3, "false", true}, {"LockResetButton", 3, "false", true},
	{"LockSleepButton", 3, "false", true}, {"OptionsCleared", 6, "true", false}, {"OwningEntity", 3, "Intel(r) AMT", false}, {"PlatformErase", 15, "false", true},
	{"RPEEnabled", 15, "true", false}, {"RSEPassword", 11, "", false}, {"ReflashBIOS", 3, "false", true}, {"SecureBootControlEnabled", 15, "true", false}, {"SecureErase", 11, "false", true},
	{"UEFIHTTPSBootEnabled", 15, "true", false}, {"UEFILocalPBABootEnabled", 15, "true", false}, {"UefiBootNumberOfParams", 15, "0", false}, {"UseIDER", 3, "false", true},
	{"UseSOL", 3, "false", true}, {"UseSafeMode", 3, "false", true}, {"UserPasswordBypass", 3, "false", true}, {"WinREBootEnabled", 15, "true", false},
}

func (e *Engine) bootSettings() instance {
	var i instance
	for _, f := range bootFields {
		if !e.cfg.Version.AtLeast(f.major, 0) {
			continue
		}
		v := f.value
		if set, ok := e.st.general["boot "+f.name]; ok && f.put {
			v = set
		}
		i = append(i, str(f.name, v))
	}
	return i
}

func putBoot(e *Engine, c *call, _ instance, b *node) int {
	next := map[string]string{}
	for _, f := range bootFields {
		v, ok := b.lookup(f.name)
		if !ok || !f.put {
			continue
		}
		if !fits(v, f.value) {
			return ptInvalidParam
		}
		next["boot "+f.name] = v
	}
	if e.st.general == nil {
		e.st.general = map[string]string{}
	}
	for k, v := range next {
		e.st.general[k] = v
	}
	e.st.generation++
	return 0
}
