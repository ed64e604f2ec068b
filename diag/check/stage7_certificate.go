package check

import (
	"slices"
	"strings"
	"time"

	"amtmedic/diag"
)

// What the firmware wants to see in a Remote Configuration certificate (IRG, Acquiring an Intel
// vPro Certificate).
const (
	setupOID      = "2.16.840.1.113741.1.2.3"
	serverAuthOID = "1.3.6.1.5.5.7.3.1"
	setupOU       = "Intel(R) Client Setup Certificate"
)

// rcfgOnRoad: the certificate is on this client's road: its hello says so, else the method wanted;
// set up on the spot only for admin mode.
func (c *caseView) rcfgOnRoad() bool {
	switch {
	case c.Has("case.method", "manual"):
		return false
	case c.localMode():
		return c.wantsAdmin()
	case c.helloVersion() != 0:
		return c.helloVersion() == 3
	case c.method() != "":
		return c.method() == "rcfg"
	}
	return c.rcfgOn() || c.wantsAdmin()
}

func judgeRCFG(c *caseView, r *diag.Result) {
	if !c.rcfgOnRoad() {
		c.skip()
		return
	}
	if !c.localMode() && c.Truth("srv.rcfg_enabled") == diag.No {
		c.name("rc-rcfg-off-on-server", diag.Proven, "srv.rcfg_enabled", "wire.server.hello")
	}
	if c.Truth("cert.present") == diag.No {
		c.name("rc-cert-missing", diag.Proven, "cert.present")
	}
	if c.Truth("cert.private_key") == diag.No {
		c.name("rc-cert-no-key", diag.Proven, "cert.private_key")
	}
	c.judgePurpose()
	if c.outsideValidity() {
		c.name("rc-cert-expired", diag.Proven, "cert.not_before", "cert.not_after", "srv.clock_skew_s")
	}
	if c.Has("cert.chain", "incomplete") {
		c.name("rc-cert-chain-incomplete", diag.Proven, "cert.chain")
	}
	c.judgeAlgorithms()
	c.judgeRoot()
	if c.suffixAtCertificate() {
		unsure := len(c.packets("wire.server.hello")) == 0 && !c.addressKnown() // the hello's source is the ME's address
		c.nameMissing("rc-no-dns-suffix", likelyIf(unsure), []string{"client.ip_mode", "client.me_addr"}, "client.suffix", "wire.server.hello", "db.amts", "srv.log")
	}
	c.judgeSuffix()
	if c.Has("cred.otp", "missing", "wrong") {
		c.name("rc-otp-mismatch", diag.Proven, "cred.otp")
	}
	c.judgeOwnCert(r)
	if len(r.Causes) > 0 {
		return
	}
	if !c.localMode() {
		c.want("srv.rcfg_enabled")
	}
	c.want("cert.present", "cert.eku", "cert.not_after", "cert.chain", "cert.root_digest", "cert.names", "client.suffix")
	if len(r.Missing) == 0 {
		c.pass()
	}
}

func (c *caseView) judgePurpose() {
	eku, known := c.Texts("cert.eku")
	if !known {
		return
	}
	server := slices.Contains(eku, serverAuthOID)
	purpose := slices.Contains(eku, setupOID)
	ou, ouKnown := c.Get("cert.ou")
	exact := ouKnown && ou.Value == setupOU
	switch {
	case !server:
		c.name("rc-cert-no-oid", diag.Proven, "cert.eku", "cert.ou")
	case purpose || exact:
	default:
		c.nameMissing("rc-cert-no-oid", likelyIf(!ouKnown), []string{"cert.ou"}, "cert.eku", "cert.ou")
	}
}

func (c *caseView) outsideValidity() bool {
	moments := []time.Time{c.Now()}
	if skew, ok := c.Num("srv.clock_skew_s"); ok {
		moments = append(moments, c.Now().Add(seconds(skew)))
	}
	from, errFrom := time.Parse(time.RFC3339, c.Str("cert.not_before"))
	to, errTo := time.Parse(time.RFC3339, c.Str("cert.not_after"))
	return slices.ContainsFunc(moments, func(t time.Time) bool {
		return errFrom == nil && t.Before(from) || errTo == nil && t.After(to)
	})
}

// judgeAlgorithms: digests and key lengths that this version refuses (ver-9).
func (c *caseView) judgeAlgorithms() {
	algs, _ := c.Texts("cert.algorithms")
	weak := slices.ContainsFunc(algs, func(a string) bool {
		a = strings.ToLower(strings.ReplaceAll(a, "-", ""))
		return strings.Contains(a, "sha1") || strings.Contains(a, "md5")
	})
	f, _ := c.Get("cert.key_bits")
	l, _ := f.Value.([]any)
	for _, n := range l {
		bits, ok := n.(float64)
		weak = weak || ok && bits < 2048
	}
	decided := []string{"cert.algorithms", "cert.key_bits", "client.amt_version"}
	switch {
	case weak && c.amt().AtLeast(16, 0):
		c.name("rc-cert-hash-algorithm", diag.Proven, decided...)
	case weak && c.amt().AtLeast(15, 0):
		c.name("rc-cert-hash-algorithm", diag.Likely, decided...)
	}
}

// clientHashes are the hashes that the client trusts, as its latest hello and a local tool list
// them; key is the stronger of the two.
func (c *caseView) clientHashes() (hashes []diag.Obj, key string, known bool) {
	f, ok := c.Get("client.hashes")
	hashes, key = diag.Objs(f.Value), "client.hashes"
	for _, f := range slices.Backward(c.packets("wire.client.hello", "wire.server.hello")) {
		if o := diag.ObjOf(f); o.Has("hashes") {
			return append(diag.Objs(o.Any("hashes")), hashes...), f.Key, true
		}
	}
	return hashes, key, ok
}

func digestIn(list []diag.Obj, digest string) bool {
	return slices.ContainsFunc(list, func(o diag.Obj) bool { return o.Str("digest") == digest })
}

func (c *caseView) judgeRoot() {
	list, key, known := c.clientHashes()
	root := c.Str("cert.root_digest")
	f, rootsKnown := c.Get("cert.root_digests")
	roots := diag.Objs(f.Value)
	if root == "" && len(roots) > 0 {
		for _, o := range roots {
			if digestIn(list, o.Str("digest")) {
				return
			}
		}
		root = roots[0].Str("digest")
	}
	decided := []string{key, "cert.root_digest", "cert.root_digests", "cert.root_in_client_hashes"}
	switch {
	case root == "" || !known:
		if c.Truth("cert.root_in_client_hashes") == diag.No {
			c.nameMissing("rc-cert-hash-not-in-client", diag.Likely, []string{"client.hashes", "cert.root_digest"}, decided...)
		}
		return
	case digestIn(list, root):
		return
	}
	other := slices.ContainsFunc(list, func(o diag.Obj) bool { return len(o.Str("digest")) != len(root) })
	for _, o := range roots {
		if digestIn(list, o.Str("digest")) {
			c.name("rc-cert-hash-algorithm", diag.Proven, decided...)
			return
		}
	}
	switch {
	case other && !rootsKnown:
		if c.Truth("cert.root_in_client_hashes") == diag.No {
			c.nameMissing("rc-cert-hash-not-in-client", diag.Likely, []string{"cert.root_digests"}, decided...)
			return
		}
		c.want("cert.root_digests")
	default:
		_, defect := c.named["rc-tool-defect"]
		doubt := key == "client.hashes" && (len(list) == 0 || c.symptom("sym-root-list-empty") || defect)
		c.nameMissing("rc-cert-hash-not-in-client", likelyIf(doubt), []string{"wire.server.hello"}, decided...)
	}
}

// judgeSuffix compares the certificate's names with the ME's suffix by the rule of its version
// (symptom catalogue 7.7); where sources differ it only warns.
func (c *caseView) judgeSuffix() {
	suffix := c.Str("client.suffix")
	names, known := c.Texts("cert.names")
	if suffix == "" || !known || len(names) == 0 {
		return
	}
	two := false
	for _, n := range names {
		if n == suffix || zoneOf(n) == suffix {
			return
		}
		two = two || lastTwo(n) == lastTwo(suffix)
	}
	decided := []string{"cert.names", "client.suffix", "client.amt_version"}
	v := c.amt()
	top := suffix[strings.LastIndexByte(suffix, '.')+1:]
	switch {
	case !two:
		c.name("rc-cert-suffix-mismatch", diag.Proven, decided...)
	case !v.IsZero() && !v.AtLeast(2, 6):
		c.name("rc-cert-suffix-mismatch", diag.Proven, decided...)
	case slices.Contains([]string{"com", "net", "org"}, top) && v.AtLeast(3, 2) && lineAndPatch(v.String()):
	case lineOf(v) == "2.6" && (top == "com" || top == "net"):
	default:
		c.note("only the last two labels of the certificate's name and the suffix are equal: whether this firmware takes that is not settled")
	}
}

// lineAndPatch: 3.2.0 and below are not settled, 3.2.1 and later are.
func lineAndPatch(v string) bool { return v != "3.2" && !strings.HasPrefix(v, "3.2.0") }

func lastTwo(name string) string {
	l := strings.Split(name, ".")
	return strings.Join(l[max(0, len(l)-2):], ".")
}

// judgeOwnCert: the certificate on the server is fine, yet the session does not start, on 3.2.1
// reached by update.
func (c *caseView) judgeOwnCert(r *diag.Result) {
	looked := (c.Truth("cert.present") == diag.Yes || c.Truth("cert.private_key") == diag.Yes) && c.Known("cert.eku") && c.Known("cert.not_after") && c.Known("cert.chain")
	atFault := slices.ContainsFunc(r.Causes, func(n diag.Named) bool { return strings.HasPrefix(n.ID, "rc-cert-") })
	if !looked || atFault || !strings.HasPrefix(c.amt().String()+".", "3.2.1.") || !c.Known("client.amt_updated_from") || c.Has("client.amt_updated_from", diag.None) {
		return
	}
	code := c.logSays("0x80090308")
	if !code && !c.Has("wire.back", "tls-alert") {
		return
	}
	c.nameMissing("rc-amt-selfsigned-invalid", likelyIf(!code), []string{"srv.log"},
		"client.amt_version", "client.amt_updated_from", "srv.log", "wire.back", "cert.eku", "cert.not_after", "cert.chain")
}
