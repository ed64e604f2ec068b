package check

import (
	"slices"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/diag"
)

// Times of the hello schedule (symptom catalogue, section 5). Sources disagree; these are the
// longest values, so that silence is never believed too early.
const (
	windowLength = 24 * time.Hour
	longestGap   = time.Hour
	restartWatch = time.Minute // a watch that long is enough after a drain or a start call
	defaultRetry = time.Hour
)

var zeroTime time.Time

// caseView is the view of a case with what several checks need of it.
type caseView struct {
	*diag.View
	named map[string]diag.Named // causes named so far, by id
	res   *diag.Result          // the result being made
	needs []string              // keys that the present check declares

	quiet     *quiet   // whether the client is silent, once worked out
	addrs     []string // the server's addresses, and the keys that told them
	addrKeys  []string
	addrsDone bool
}

// quiet is an answer of silent.
type quiet struct {
	is  bool
	why []string
}

func newCase(v *diag.View) *caseView {
	c := &caseView{View: v, named: map[string]diag.Named{}}
	c.implyMode()
	return c
}

// implyMode reads the items out of a stated client.mode where they are not known themselves.
func (c *caseView) implyMode() {
	imply := func(key string, value any) { c.Imply(key, value, "client.mode") }
	switch amt.Mode(c.Str("client.mode")) {
	case amt.ModeDisabled:
		imply("client.enabled", false)
	case amt.ModeFactory, amt.ModeChanged:
		imply("client.enabled", true)
		imply("client.prov_state", "pre")
		imply("client.rcfg_enabled", false)
		imply("client.mebx_password", map[amt.Mode]string{amt.ModeFactory: "factory", amt.ModeChanged: "changed"}[amt.Mode(c.Str("client.mode"))])
	case amt.ModePSK:
		imply("client.enabled", true)
		imply("client.prov_state", "in")
		imply("client.setup_data", "pid")
	case amt.ModePKI:
		imply("client.enabled", true)
		imply("client.rcfg_enabled", true)
		imply("client.setup_data", "rcfg")
	case amt.ModeSilent:
		imply("client.enabled", true)
		imply("client.window", "expired")
	case amt.ModeProvisioned:
		imply("client.enabled", true)
		imply("client.prov_state", "post")
	case amt.ModeSMB:
		imply("client.model", "smb")
	}
}

// name adds a cause to the result being made. decided are the keys that decided; those that are
// not known are dropped.
func (c *caseView) name(id string, conf diag.Confidence, decided ...string) {
	c.nameMissing(id, conf, nil, decided...)
}

// nameMissing is name with the keys that would raise the confidence.
func (c *caseView) nameMissing(id string, conf diag.Confidence, missing []string, decided ...string) {
	if slices.ContainsFunc(c.res.Causes, func(n diag.Named) bool { return n.ID == id }) {
		return
	}
	n := diag.Named{ID: id, Confidence: conf, Missing: missing}
	for _, k := range decided {
		k = c.Source(k)
		if (c.Known(k) || len(c.All(k)) > 0) && !slices.Contains(n.Decided, k) {
			n.Decided = append(n.Decided, k)
		}
	}
	if c.named[id].Confidence != diag.Proven {
		c.named[id] = n
	}
	c.res.Causes = append(c.res.Causes, n)
	if conf == diag.Likely {
		c.res.Missing = append(c.res.Missing, missing...)
	}
}

// pass marks the check as good.
func (c *caseView) pass() { c.res.Light = diag.Good }

// want marks the check as not decided for lack of these keys.
func (c *caseView) want(keys ...string) {
	for _, k := range keys {
		if !c.Known(k) && !slices.Contains(c.res.Missing, k) {
			c.res.Missing = append(c.res.Missing, k)
		}
	}
	if c.res.Light == diag.Unlooked && slices.ContainsFunc(c.needs, c.Known) {
		c.res.Light = diag.Unknown
	}
}

// note adds a remark that is no cause.
func (c *caseView) note(text string) { c.res.Notes = append(c.res.Notes, text) }

// skip marks the check as not on this client's road.
func (c *caseView) skip() { c.res.Light = diag.NotApplicable }

// likelyIf gives Likely when cond holds, else Proven.
func likelyIf(cond bool) diag.Confidence {
	if cond {
		return diag.Likely
	}
	return diag.Proven
}

// symptom reports whether the engineer named one of these symptoms.
func (c *caseView) symptom(ids ...string) bool {
	for _, f := range c.All("case.symptom") {
		if s, _ := f.Value.(string); slices.Contains(ids, s) {
			return true
		}
	}
	return false
}

func (c *caseView) symptoms() []string {
	var out []string
	for _, f := range c.All("case.symptom") {
		if s, _ := f.Value.(string); s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// method is the method that the engineer wants, else what the hello or MEBx says; empty while
// unknown.
func (c *caseView) method() string {
	if m := c.Str("case.method"); m != "" {
		return m
	}
	switch c.helloVersion() {
	case 2:
		return "psk"
	case 3:
		return "rcfg"
	}
	switch c.Str("client.setup_data") {
	case "pid":
		return "psk"
	case "rcfg":
		return "rcfg"
	}
	return ""
}

// lastHello is the latest hello of this client, seen on either side.
func (c *caseView) lastHello() (diag.Fact, bool) {
	ps := c.packets("wire.client.hello", "wire.server.hello")
	if len(ps) == 0 {
		return diag.Fact{}, false
	}
	return ps[len(ps)-1], true
}

// helloVersion is the version of the latest hello of this client, 0 while none is known.
func (c *caseView) helloVersion() int {
	last, _ := c.lastHello()
	n, _ := diag.ObjOf(last).Num("version")
	return int(n)
}

func (c *caseView) localOrManual() bool {
	return c.Has("case.method", "local", "manual")
}

func (c *caseView) post() bool { return c.Has("client.prov_state", "post") }

// amt is the AMT version; zero while unknown.
func (c *caseView) amt() amt.Version { return c.version("client.amt_version") }

func (c *caseView) version(key string) amt.Version {
	v, err := amt.ParseVersion(c.Str(key))
	if err != nil {
		return amt.Version{}
	}
	return v
}

// below reports whether the AMT version is known to be below major.0.
func (c *caseView) below(major int) bool { return !c.amt().IsZero() && !c.amt().AtLeast(major, 0) }

// rcfgImpossible: versions 2.0, 2.1 and 2.5 have no Remote Configuration (rule ver-1).
func (c *caseView) rcfgImpossible() bool {
	return slices.Contains([]string{"2.0", "2.1", "2.5"}, lineOf(c.amt()))
}

func lineOf(v amt.Version) string {
	if v.IsZero() {
		return ""
	}
	return v.Line().String()
}

// rcfgOn: Remote Configuration is on, as a person, MEBx or the hello says. A captured hello
// outranks what was read, unless that was read later.
func (c *caseView) rcfgOn() bool {
	if c.Truth("client.rcfg_enabled") == diag.Yes || c.Has("client.setup_data", "rcfg") {
		return true
	}
	off, known := c.Get("client.rcfg_enabled")
	hello, seen := c.lastHello()
	n, _ := diag.ObjOf(hello).Num("version")
	return seen && n == 3 && !(known && off.At.After(hello.At))
}

// rcfgOff: Remote Configuration was looked at and is off, or the version has none.
func (c *caseView) rcfgOff() bool {
	if c.rcfgOn() {
		return false
	}
	return c.Truth("client.rcfg_enabled") == diag.No || c.Has("client.setup_data", "none", "pid") || c.rcfgImpossible()
}

// mebxAsked: MEBx is on the road although the state is pre with Remote Configuration on (R-rcfg-pre).
func (c *caseView) mebxAsked() bool {
	return c.Has("case.method", "psk", "manual") || c.mebxIsTheQuestion()
}

func (c *caseView) mebxIsTheQuestion() bool {
	return c.symptom("sym-mebx-refuses", "sym-mebx-no-access", "sym-usb-ignored", "sym-usb-2209", "sym-ports-silent-after-key")
}

// usbTried: One-Touch was tried in this case.
func (c *caseView) usbTried() diag.Tri {
	if c.symptom("sym-usb-ignored", "sym-usb-2209") || c.keyMessage() {
		return diag.Yes
	}
	return c.Truth("client.usb_tried")
}

// keyMessage: what the screen said during POST was about the key.
func (c *caseView) keyMessage() bool {
	m := strings.ToLower(c.Str("client.post_message"))
	return strings.Contains(m, "usb") || strings.Contains(m, "setup.bin") || c.keyRefused()
}

// keyRefused: the message says that the key's log-in was refused.
func (c *caseView) keyRefused() bool {
	m := strings.ToLower(c.Str("client.post_message"))
	return strings.Contains(m, "2209") || strings.Contains(m, "default password") || strings.Contains(m, "usb provisioning error")
}

// expectsSetup: the engineer expects the client in Setup Mode now.
func (c *caseView) expectsSetup() diag.Tri {
	if t := c.Truth("case.expects_setup"); t != diag.Dunno {
		return t
	}
	if len(c.symptoms()) > 0 {
		return diag.Yes
	}
	return diag.Dunno
}

// wants reports the control mode that the engineer wants, by word or by symptom.
func (c *caseView) wantsAdmin() bool {
	return c.Has("case.control_mode", "acm") || !c.Known("case.control_mode") && c.symptom("sym-no-acm-cert", "sym-acm-chain-err4",
		"sym-acm-becomes-ccm", "sym-root-not-trusted", "sym-rps-suffix", "sym-rps-suffix-19", "sym-rps-no-suffix")
}

// retry is the configured retry time; known is false when the default stands for it.
func (c *caseView) retry() (d time.Duration, known bool) {
	if n, ok := c.Num("srv.retry_s"); ok {
		return seconds(n), true
	}
	return defaultRetry, false
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// rowAge is the age of a table row now: its age_s, which counts before the fact's own time.
func (c *caseView) rowAge(key string) (time.Duration, bool) {
	f, ok := c.Get(key)
	if !ok {
		return 0, false
	}
	n, ok := diag.ObjOf(f).Num("age_s")
	return seconds(n) + c.Age(f), ok
}

// hasRow: the table has a row, read or not.
func (c *caseView) hasRow(key string) bool { return c.Has(key, "row") || c.Obj(key).Is() }

// manyFail: other clients fail in the same way at once.
func (c *caseView) manyFail() bool {
	f, _ := c.Get("fleet.failing")
	total := 0.0
	for _, g := range diag.Objs(f.Value) {
		n, _ := g.Num("count")
		total += n
	}
	return total >= 2
}
