package check

import (
	"slices"

	"amtmedic/amt/matrix"
	"amtmedic/diag"
)

func judgeVersions(c *caseView, r *diag.Result) {
	v, scs, oobm := c.amt(), c.version("srv.scs"), c.version("srv.oobm")
	method := c.method()
	before := len(r.Causes)
	if method == "psk" && v.AtLeast(11, 0) {
		c.name("rc-psk-removed", diag.Proven, "client.amt_version", c.methodKey())
	}
	if method == "rcfg" && c.rcfgImpossible() && !c.everSaid(3) {
		c.name("rc-amt-version-no-rcfg", diag.Proven, "client.amt_version", c.methodKey())
	}
	if fits, listed := matrix.Pair(oobm, scs); listed && !fits {
		c.name("rc-oobm-scs-mismatch", diag.Proven, "srv.oobm", "srv.scs")
	}
	if len(r.Causes) == before && c.pairUnsupported(method) {
		c.name("rc-version-matrix-unsupported", diag.Proven, "client.amt_version", "srv.scs", c.methodKey())
	}
	if lineOf(scs) == "1.2" {
		c.name("rc-scs-version-unstable", diag.Proven, "srv.scs")
	}
	if len(r.Causes) > before {
		return
	}
	if v.IsZero() || method == "" {
		c.want("client.amt_version", "case.method")
		return
	}
	if _, listed := matrix.Find(scs, v); !scs.IsZero() && !listed {
		c.note("this pair of AMT and SCS is not in the version table")
	}
	c.pass()
}

// everSaid: a hello of this version is known, however old.
func (c *caseView) everSaid(version float64) bool {
	return slices.ContainsFunc(c.packets("wire.client.hello", "wire.server.hello"), func(f diag.Fact) bool {
		n, _ := diag.ObjOf(f).Num("version")
		return n == version
	})
}

// methodKey is the key that told the method.
func (c *caseView) methodKey() string {
	switch {
	case c.Known("case.method"):
		return "case.method"
	case len(c.packets("wire.client.hello")) > 0:
		return "wire.client.hello"
	case len(c.packets("wire.server.hello")) > 0:
		return "wire.server.hello"
	}
	return "client.setup_data"
}

// pairUnsupported: the table says no or unlisted for the wanted method, or rule ver-4 does; clients
// of the same version that this server provisioned by the same method acquit the pair.
func (c *caseView) pairUnsupported(method string) bool {
	v, scs := c.amt(), c.version("srv.scs")
	if v.IsZero() || scs.IsZero() || method != "psk" && method != "rcfg" || c.fleetProvisioned(method) {
		return false
	}
	if method == "rcfg" && c.rcfgImpossible() {
		return false // contradicted by a hello of version 3
	}
	if row, listed := matrix.Find(scs, v); listed {
		s := row.PSK
		if method == "rcfg" {
			s = row.PKI
		}
		return s == matrix.No || s == matrix.Unlisted
	}
	needs := slices.Contains([]string{"2.2", "2.6"}, lineOf(v))
	low := scs.Major() < 3 || scs.Major() == 3 && !scs.AtLeast(3, 2)
	return method == "rcfg" && needs && low
}

// pskListed: the version table has this pair for PSK, or the versions are not known.
func (c *caseView) pskListed() bool {
	if c.amt().IsZero() || c.version("srv.scs").IsZero() {
		return true
	}
	row, ok := matrix.Find(c.version("srv.scs"), c.amt())
	return ok && row.PSK == matrix.Yes
}

func (c *caseView) fleetProvisioned(method string) bool {
	f, _ := c.Get("fleet.provisioned")
	for _, g := range diag.Objs(f.Value) {
		n, _ := g.Num("count")
		if n > 0 && g.Str("method") == method && g.Str("amt_version") != "" && g.Str("amt_version") == c.Str("client.amt_version") {
			return true
		}
	}
	return false
}

func judgeTool(c *caseView, r *diag.Result) {
	worked := false
	for _, k := range []string{"tool.tried", "srv.tried"} {
		f, _ := c.Get(k)
		for _, t := range diag.Objs(f.Value) {
			worked = worked || t.Truth("ok") == diag.Yes
		}
	}
	switch {
	case !worked && (c.Known("tool.tried") || c.Known("srv.tried")):
		c.pass()
	case !worked:
		c.res.Light = diag.Unlooked
	case c.tlsDiffers():
		c.note("another version works, and TLS is the difference: see the connection back")
		c.pass()
	default:
		handshake := c.Has("wire.back", "ok", "tls-alert", "tls-closed") || c.Has("wire.mps", "ok", "tls-alert", "tls-closed")
		lists := c.Known("srv.tls_versions") && c.Known("client.tls_versions")
		c.nameMissing("rc-tool-defect", likelyIf(!handshake && !lists), []string{"wire.back", "client.tls_versions", "srv.tls_versions"},
			"tool.tried", "srv.tried", "tool.version", "wire.back", "wire.mps")
	}
}

// tlsDiffers: versions of TLS, or speaking plain to a client that takes TLS only.
func (c *caseView) tlsDiffers() bool {
	return c.Has("wire.back", "tls-version") || c.Has("wire.mps", "tls-version") || c.noCommonTLS() || c.plainAgainstTLS()
}

func (c *caseView) noCommonTLS() bool {
	a, okA := c.Texts("srv.tls_versions")
	b, okB := c.Texts("client.tls_versions")
	return okA && okB && !overlap(a, b)
}

// plainAgainstTLS: the managing side speaks plain to a client that takes TLS only (ver-10).
func (c *caseView) plainAgainstTLS() bool {
	plain := c.Has("srv.tls_mode", "off") || c.Truth("tool.tls") == diag.No
	closed := c.Has("net.16992", "refused", "timeout", "unreachable") && c.Has("net.16993", "connect")
	return plain && (c.amt().AtLeast(16, 1) || closed)
}
