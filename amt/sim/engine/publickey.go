package engine

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// storedCert is a certificate in the store.
type storedCert struct {
	der  []byte
	root bool
}

// What the store holds (unverified; PKI capabilities of the public EOI sample have four roots).
const (
	maxRoots = 4
	maxCerts = 8
	maxKeys  = 4
)

// keyClasses: certificates and keys.
var keyClasses = []class{
	{name: "AMT_PublicKeyManagementService", since: [2]int{3, 0}, keys: serviceKeys, common: true,
		list: func(e *Engine) []instance {
			i := service("AMT_PublicKeyManagementService", "Intel(r) AMT Certificate Store Service", "Intel(r) AMT Public Key Management Service")
			return []instance{i.insert("EnabledState", str("EnabledDefault", "5"))}
		},
		does: map[string]method{
			"AddCertificate":            {do: func(e *Engine, c *call) result { return e.addCertificate(c, false) }},
			"AddTrustedRootCertificate": {do: func(e *Engine, c *call) result { return e.addCertificate(c, true) }},
			"AddKey":                    {do: addKey},
			// Before 6.2 the caller makes the keys (Intel's guide, certificate management).
			"GenerateKeyPair":         {since: [2]int{6, 2}, do: generateKeyPair},
			"GeneratePKCS10RequestEx": {since: [2]int{6, 2}, do: signRequest},
			"AddCRL":                  {do: func(e *Engine, c *call) result { return ret(0) }},
			"ResetCRLList":            {do: func(e *Engine, c *call) result { return ret(0) }},
		}},
	{name: "AMT_PublicKeyCertificate", since: [2]int{3, 0}, keys: []string{"InstanceID"}, common: true,
		list: certificates, put: putCertificate, remove: removeCertificate},
	{name: "AMT_PublicPrivateKeyPair", since: [2]int{3, 0}, keys: []string{"InstanceID"}, common: true,
		list: keyPairs, remove: removeKeyPair},
}

func itoa(n int) string { return strconv.Itoa(n) }

func atoi(s string) int {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil {
		return -1
	}
	return n
}

// sorted gives the handles of a store in order.
func sorted[V any](m map[int]V) []int { return slices.Sorted(maps.Keys(m)) }

// free gives the lowest handle that is not taken.
func free[V any](m map[int]V) int {
	for h := 0; ; h++ {
		if _, taken := m[h]; !taken {
			return h
		}
	}
}

func certificates(e *Engine) []instance {
	var out []instance
	for _, h := range sorted(e.st.certs) {
		cert := e.st.certs[h]
		issuer, subject := "", ""
		if p, err := x509.ParseCertificate(cert.der); err == nil {
			issuer, subject = nameOf(p.RawIssuer), nameOf(p.RawSubject)
		}
		out = append(out, instance{str("ElementName", "Intel(r) AMT Certificate"), str("InstanceID", certID+itoa(h)),
			str("Issuer", issuer), str("Subject", subject), yes("TrustedRootCertficate", cert.root), // so spelt by the firmware
			str("X509Certificate", base64.StdEncoding.EncodeToString(cert.der))})
	}
	return out
}

func keyPairs(e *Engine) []instance {
	var out []instance
	for _, h := range sorted(e.st.keys) {
		out = append(out, instance{str("DERKey", base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&e.st.keys[h].PublicKey))),
			str("ElementName", "Intel(r) AMT Key"), str("InstanceID", keyID+itoa(h))})
	}
	return out
}

// roots gives the trusted roots in the store.
func (e *Engine) roots() [][]byte {
	var out [][]byte
	for _, h := range sorted(e.st.certs) {
		if e.st.certs[h].root {
			out = append(out, e.st.certs[h].der)
		}
	}
	return out
}

// keyOf finds the handle of the key that a certificate is made for; -1 for none.
func (e *Engine) keyOf(cert int) int {
	p, err := x509.ParseCertificate(e.st.certs[cert].der)
	if err != nil {
		return -1
	}
	for _, h := range sorted(e.st.keys) {
		if e.st.keys[h].PublicKey.Equal(p.PublicKey) {
			return h
		}
	}
	return -1
}

// blob decodes base64 that may be broken into lines.
func blob(s string) ([]byte, bool) {
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
	return b, err == nil && len(b) > 0
}

func (e *Engine) addCertificate(c *call, root bool) result {
	h, pt := e.storeCertificate(c, c.in.value("CertificateBlob"), root)
	if pt != 0 {
		return ret(pt)
	}
	return result{fields: []field{to("CreatedCertificate", byInstance("AMT_PublicKeyCertificate", certID+itoa(h)))}}
}

func (e *Engine) storeCertificate(c *call, text string, root bool) (handle, pt int) {
	der, ok := blob(text)
	if !ok || len(der) > 4100 { // X509Certificate is uint8[4100] in the MOF
		return 0, ptInvalidParam
	}
	p, err := x509.ParseCertificate(der)
	if err != nil {
		return 0, ptInvalidCert
	}
	if _, isRSA := p.PublicKey.(*rsa.PublicKey); !isRSA && !e.cfg.Version.AtLeast(15, 0) {
		return 0, ptInvalidCert
	}
	roots := 0
	for _, o := range e.st.certs {
		if bytes.Equal(o.der, der) {
			return 0, ptDuplicate
		}
		if o.root {
			roots++
		}
	}
	if len(e.st.certs) >= maxCerts || (root && roots >= maxRoots) {
		return 0, ptMaxLimit
	}
	if root && e.st.force.setting.enabled && e.st.force.setting.mutual {
		return 0, ptNotPermitted // Intel's guide, add a trusted root certificate
	}
	if e.st.certs == nil {
		e.st.certs = map[int]storedCert{}
	}
	handle = free(e.st.certs)
	e.st.certs[handle] = storedCert{der: der, root: root}
	e.changed(c, ChangeTLS)
	return handle, 0
}

// putCertificate exchanges the certificate itself.
func putCertificate(e *Engine, c *call, old instance, b *node) int {
	der, ok := blob(b.value("X509Certificate"))
	if !ok {
		return ptInvalidParam
	}
	if _, err := x509.ParseCertificate(der); err != nil {
		return ptInvalidCert
	}
	h := handleIn(old.get("InstanceID"), certID)
	e.st.certs[h] = storedCert{der: der, root: e.st.certs[h].root}
	e.changed(c, ChangeTLS)
	return 0
}

// removeCertificate: not while TLS uses it (Intel's class reference).
func removeCertificate(e *Engine, c *call, old instance) int {
	h := handleIn(old.get("InstanceID"), certID)
	if h == e.st.context {
		return ptNotPermitted
	}
	delete(e.st.certs, h)
	e.changed(c, ChangeTLS)
	return 0
}

func removeKeyPair(e *Engine, c *call, old instance) int {
	h := handleIn(old.get("InstanceID"), keyID)
	if e.st.context >= 0 && e.keyOf(e.st.context) == h {
		return ptNotPermitted
	}
	delete(e.st.keys, h)
	e.st.generation++
	return 0
}

// keep stores a key and gives its handle.
func (e *Engine) keep(k *rsa.PrivateKey) (handle, pt int) {
	for _, o := range e.st.keys {
		if o.Equal(k) {
			return 0, ptDuplicate
		}
	}
	if len(e.st.keys) >= maxKeys {
		return 0, ptMaxLimit
	}
	if e.st.keys == nil {
		e.st.keys = map[int]*rsa.PrivateKey{}
	}
	handle = free(e.st.keys)
	e.st.keys[handle] = k
	e.st.generation++
	return handle, 0
}

func addKey(e *Engine, c *call) result {
	h, pt := e.storeKey(c.in.value("KeyBlob"))
	if pt != 0 {
		return ret(pt)
	}
	return result{fields: []field{to("CreatedKey", byInstance("AMT_PublicPrivateKeyPair", keyID+itoa(h)))}}
}

// storeKey takes a PKCS#1 or PKCS#8 private key.
func (e *Engine) storeKey(text string) (handle, pt int) {
	der, ok := blob(text)
	if !ok {
		return 0, ptInvalidParam
	}
	k, err := x509.ParsePKCS1PrivateKey(der)
	if err != nil {
		any, err := x509.ParsePKCS8PrivateKey(der)
		if k, ok = any.(*rsa.PrivateKey); err != nil || !ok {
			return 0, ptInvalidKey
		}
	}
	return e.keep(k)
}
