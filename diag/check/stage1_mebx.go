package check

import (
	"slices"
	"strings"

	"amtmedic/amt"
	"amtmedic/diag"
)

func judgeLMS(c *caseView, r *diag.Result) {
	if !c.Has("case.method", "local") && !c.symptom("sym-lms-port", "sym-local-activation") {
		c.skip()
		return
	}
	switch {
	case c.Has("client.lms", "running"):
		c.pass()
	case c.Has("client.mei", "ok") && c.Has("client.lms", "absent", "stopped", "port-taken"):
		sure := c.amt().AtLeast(19, 0) && !carriesTLS(c.Str("tool.version"))
		c.nameMissing("rc-lms-missing", likelyIf(!sure), []string{"client.amt_version"}, "client.mei", "client.lms", "client.amt_version", "tool.version")
	default:
		c.want("client.lms", "client.mei")
	}
}

// carriesTLS: rpc and rpc-go from version 3 on carry TLS through the driver themselves (RPC-1366).
func carriesTLS(tool string) bool {
	words := strings.FieldsFunc(strings.ToLower(tool), func(r rune) bool { return strings.ContainsRune(" /@:,()", r) })
	if !slices.ContainsFunc(words, func(w string) bool { return w == "rpc" || w == "rpc-go" }) {
		return false
	}
	return slices.ContainsFunc(words, func(w string) bool {
		w, _, _ = strings.Cut(strings.TrimPrefix(w, "v"), "-") // without a pre-release
		v, err := amt.ParseVersion(w)
		return err == nil && v.Major() >= 3
	})
}

func judgePassword(c *caseView, r *diag.Result) {
	if c.post() || c.Has("client.prov_state", "in") {
		if c.mebxIsTheQuestion() && c.Has("client.mebx_password", "rejected") {
			c.name("rc-mebx-lockout", diag.Proven, "client.mebx_password", "case.symptom")
			return
		}
		c.skip()
		return
	}
	if !c.path().password || c.localMode() {
		c.skip()
		return
	}
	unsure := !c.Known("client.prov_state")
	switch c.Str("client.mebx_password") {
	case "factory":
		c.judgeFactory(unsure)
	case "changed":
		c.judgeChanged(unsure)
	case "rejected":
		c.nameMissing("rc-mebx-lockout", likelyIf(unsure), []string{"client.prov_state"}, "client.mebx_password", "client.prov_state")
	default:
		if c.usbTried() == diag.Yes && c.keyRefused() { // the message itself says that admin was refused
			c.nameMissing("rc-usb-not-factory", likelyIf(unsure), []string{"client.prov_state", "client.mebx_password"},
				"client.post_message", "client.usb_tried", "case.symptom", "client.prov_state")
			return
		}
		c.want("client.mebx_password")
	}
}

// localMode: set-up from the client's own system does not go through MEBx.
func (c *caseView) localMode() bool { return c.Has("case.method", "local") }

var setupEvidence = []string{"client.prov_state", "client.mebx_password", "client.rcfg_enabled", "client.setup_data", "client.enabled",
	"client.usb_tried", "case.method", "client.network_access", "case.expects_setup"}

// unsureSetup lists what the two rc-not-in-setup-* still need to be proven.
func (c *caseView) unsureSetup() []string {
	var missing []string
	if !c.rcfgOff() && !c.Has("case.method", "psk", "manual") {
		missing = append(missing, "client.rcfg_enabled")
	}
	if !c.Known("client.enabled") {
		missing = append(missing, "client.enabled")
	}
	if c.usbTried() == diag.Dunno {
		missing = append(missing, "client.usb_tried")
	}
	if c.Has("case.method", "manual") && !c.Known("client.network_access") {
		missing = append(missing, "client.network_access")
	}
	if !c.Known("client.prov_state") {
		missing = append(missing, "client.prov_state")
	}
	return missing
}

func (c *caseView) judgeFactory(unsure bool) {
	if c.expectsSetup() == diag.No {
		c.pass() // ok-not-started
		return
	}
	missing := c.unsureSetup()
	if c.expectsSetup() == diag.Dunno {
		missing = append(missing, "case.expects_setup")
	}
	if c.usbTried() == diag.Yes {
		for _, k := range usbKeys {
			if !c.Known(k) {
				missing = append(missing, k)
			}
		}
	}
	c.nameMissing("rc-not-in-setup-factory", likelyIf(unsure || len(missing) > 0), missing, setupEvidence...)
}

var usbKeys = []string{"usb.fs", "usb.setup_first", "usb.contiguous", "usb.name_ok", "usb.bootable", "usb.size_mib", "usb.records_free", "usb.file_version", "usb.problems"}

func (c *caseView) judgeChanged(unsure bool) {
	tried := c.usbTried() == diag.Yes
	problems, _ := c.Texts("usb.problems")
	keyCannot := tried && slices.Contains(problems, "network-access-off")
	access := c.Truth("client.network_access")
	manual := c.Has("case.method", "manual")
	switch {
	case access == diag.No && (manual || keyCannot):
		c.nameMissing("rc-network-access-off", likelyIf(unsure), []string{"client.prov_state"}, "client.mebx_password", "client.network_access", "case.method", "usb.problems", "client.usb_tried")
	case access == diag.Dunno && keyCannot:
		c.nameMissing("rc-network-access-off", diag.Likely, []string{"client.network_access"}, "client.mebx_password", "usb.problems", "client.usb_tried")
	case tried:
		c.nameMissing("rc-usb-not-factory", likelyIf(unsure || !c.keyRefused()), []string{"client.post_message", "client.prov_state"},
			"client.mebx_password", "client.usb_tried", "client.post_message", "case.symptom", "client.prov_state")
	default:
		missing := c.unsureSetup()
		c.nameMissing("rc-not-in-setup-pw-changed", likelyIf(unsure || len(missing) > 0), missing, setupEvidence[:8]...)
	}
}

func judgeUSB(c *caseView, r *diag.Result) {
	if c.usbTried() != diag.Yes || c.post() || c.Has("client.prov_state", "in") || !c.path().password {
		c.skip()
		return
	}
	old := c.below(4)
	unknown := c.amt().IsZero()
	unsure := !c.Known("client.prov_state")
	size, sizeKnown := c.Num("usb.size_mib")
	state := []string{"client.prov_state"}
	switch {
	case c.Truth("usb.setup_first") == diag.No || c.Truth("usb.contiguous") == diag.No || c.Truth("usb.name_ok") == diag.No || c.Truth("usb.bootable") == diag.Yes ||
		sizeKnown && size <= 16 || c.Known("usb.fs") && !c.Has("usb.fs", "fat12", "fat16", "fat32", "fat", "vfat"):
		c.nameMissing("rc-usb-key-layout", likelyIf(unsure), state, "usb.fs", "usb.setup_first", "usb.contiguous", "usb.name_ok", "usb.bootable", "usb.size_mib")
	case c.Has("usb.fs", "fat32", "fat12") && (old || unknown), sizeKnown && size > 2048 && (old || unknown):
		c.nameMissing("rc-usb-key-layout", likelyIf(unknown || unsure), append(state, "client.amt_version"), "usb.fs", "usb.size_mib", "client.amt_version")
	}
	if free, ok := c.Num("usb.records_free"); ok && free == 0 {
		c.nameMissing("rc-usb-records-exhausted", likelyIf(unsure), state, "usb.records_free", "usb.records_total")
	}
	problems, _ := c.Texts("usb.problems")
	if c.formatTooNew() || slices.Contains(problems, "flags-missing") {
		c.nameMissing("rc-usb-version-mismatch", likelyIf(unsure), state, "usb.file_version", "client.amt_version", "usb.problems")
	}
	if len(r.Causes) == 0 {
		if slices.ContainsFunc(usbKeys, func(k string) bool { return !c.Known(k) }) {
			c.want(usbKeys...)
			return
		}
		c.pass()
	}
}

// formatTooNew: the first firmware that reads a file format (setup-bin-and-keys 2.1).
func (c *caseView) formatTooNew() bool {
	first := map[string]int{"2.0": 3, "2.1": 4, "3.0": 6}
	major, judged := first[lineOf(c.version("usb.file_version"))]
	return judged && c.below(major)
}
