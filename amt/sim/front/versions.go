package front

import (
	"crypto/tls"
	"fmt"
	"strings"

	"amtmedic/amt"
)

// tlsVersions gives the lowest and highest version of TLS that a firmware speaks (tls.md 2.1, much
// of it unverified there). TLS 1.3 of the newest is left out: setup over it is reported to break.
func tlsVersions(v amt.Version) (lowest, highest uint16) {
	switch {
	case !v.AtLeast(4, 0):
		return tls.VersionTLS10, tls.VersionTLS10
	case !v.AtLeast(12, 0):
		return tls.VersionTLS10, tls.VersionTLS11
	case !v.AtLeast(16, 0):
		return tls.VersionTLS11, tls.VersionTLS12
	}
	return tls.VersionTLS12, tls.VersionTLS12
}

// suites gives what a firmware has of the suites with certificates (tls.md 2.2). The key exchange
// is RSA throughout, as it is all that MeshCentral offers to any firmware.
func suites(v amt.Version) []uint16 {
	switch {
	case !v.AtLeast(4, 0):
		return []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, tls.TLS_RSA_WITH_RC4_128_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA}
	case !v.AtLeast(12, 0):
		return []uint16{tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA}
	}
	return []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA}
}

// fullVersion gives three parts, as firmware tells them: what is missing is 0, a build is left out.
func fullVersion(v amt.Version) string {
	parts := append(strings.Split(v.String(), "."), "0", "0")
	return strings.Join(parts[:3], ".")
}

// serverHeader is the Server line of every HTTP answer (provisioning-protocol 4.1).
func serverHeader(v amt.Version) string {
	return fmt.Sprintf("Intel(R) Active Management Technology %s", fullVersion(v))
}

// PlainClosed reports whether a firmware never opens 16992 and the presence ping to the network:
// CSME 16.1 and later.
func PlainClosed(v amt.Version) bool { return v.AtLeast(16, 1) }
