package engine

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// generateKeyPair makes a key in the firmware. It may not be ready at once: MeshCentral repeats the call
// while the HTTP status is not 200, so "not ready" is a fault with the number of "generating keys"
// (unverified which form firmware gives).
func generateKeyPair(e *Engine, c *call) result {
	algorithm, length := c.in.value("KeyAlgorithm"), atoi(c.in.value("KeyLength"))
	if algorithm != "0" || (length != 1024 && length != 1536 && length != 2048 && length != 3072 && length != 4096) {
		return ret(ptInvalidParam)
	}
	if len(e.st.keys) >= maxKeys {
		return ret(ptMaxLimit)
	}
	if e.cfg.KeyDelay > 0 {
		if e.keysFrom.IsZero() {
			e.keysFrom = c.s.Now
		}
		if c.s.Now.Sub(e.keysFrom) < e.cfg.KeyDelay {
			return result{fault: internal(ptGeneratingKeys)}
		}
		e.keysFrom = time.Time{}
	}
	k, err := e.newKey(length)
	if err != nil {
		return ret(ptInternal)
	}
	h, pt := e.keep(k)
	if pt != 0 {
		return ret(pt)
	}
	return result{fields: []field{to("KeyPair", byInstance("AMT_PublicPrivateKeyPair", keyID+itoa(h)))}}
}

// newKey makes a key while the lock is free: it takes long.
func (e *Engine) newKey(bits int) (*rsa.PrivateKey, error) {
	e.mu.Unlock()
	defer e.mu.Lock()
	return e.cfg.Keys(bits)
}

// pkcs10 is a certificate request; the parts that are not changed stay raw.
type pkcs10 struct {
	Info      asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

// signRequest signs a request whose signature is empty, with a key of the firmware.
func signRequest(e *Engine, c *call) result {
	keyRef := c.in.kid("KeyPair")
	if keyRef == nil {
		return ret(ptInvalidParam)
	}
	r, ok := readReference(keyRef, 0)
	id, _ := r.value("InstanceID")
	key := e.st.keys[handleIn(id, keyID)]
	if !ok || r.class != "AMT_PublicPrivateKeyPair" || key == nil {
		return ret(ptInvalidKey)
	}
	der, ok := blob(c.in.value("NullSignedCertificateRequest"))
	if !ok {
		return ret(ptInvalidParam)
	}
	signed, pt := signPKCS10(der, key, c.in.value("SigningAlgorithm"))
	if pt != 0 {
		return ret(pt)
	}
	return result{fields: []field{str("SignedCertificateRequest", base64.StdEncoding.EncodeToString(signed))}}
}

func signPKCS10(der []byte, key *rsa.PrivateKey, algorithm string) ([]byte, int) {
	var req pkcs10
	if rest, err := asn1.Unmarshal(der, &req); err != nil || len(rest) > 0 {
		return nil, ptInvalidParam
	}
	hash, digest, oid := crypto.SHA1, []byte(nil), asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}
	switch algorithm {
	case "0":
		d := sha1.Sum(req.Info.FullBytes)
		digest = d[:]
	case "1":
		d := sha256.Sum256(req.Info.FullBytes)
		hash, digest, oid = crypto.SHA256, d[:], asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	case "2":
		d := sha512.Sum384(req.Info.FullBytes)
		hash, digest, oid = crypto.SHA384, d[:], asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}
	default:
		return nil, ptInvalidParam
	}
	sig, err := rsa.SignPKCS1v15(nil, key, hash, digest)
	if err != nil {
		return nil, ptInternal
	}
	req.Algorithm = pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.NullRawValue}
	req.Signature = asn1.BitString{Bytes: sig, BitLength: len(sig) * 8}
	out, err := asn1.Marshal(req)
	if err != nil {
		return nil, ptInternal
	}
	return out, 0
}

// Certificate gives what 16993 shows now: a self-signed certificate of the firmware during setup
// (made when it is first asked for), that of AMT_TLSCredentialContext once it is in force.
func (e *Engine) Certificate() (tls.Certificate, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := &e.st.force
	if e.st.stage == Post && f.setting.enabled && f.key >= 0 {
		if key := e.st.keys[f.key]; key != nil {
			return tls.Certificate{Certificate: [][]byte{f.cert}, PrivateKey: key}, nil
		}
	}
	if e.own != nil {
		return *e.own, nil
	}
	key, err := e.newKey(2048)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("key of the firmware's own certificate: %w", err)
	}
	if e.own == nil { // nobody was faster
		cert, err := e.selfSigned(key)
		if err != nil {
			return tls.Certificate{}, err
		}
		e.own = &cert
	}
	return *e.own, nil
}

func (e *Engine) selfSigned(key *rsa.PrivateKey) (tls.Certificate, error) {
	now := e.cfg.Now()
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(20, 0, 0),
		Subject: pkix.Name{CommonName: "iAMT", Organization: []string{"Intel(R) AMT self-signed"}}}
	der, err := x509.CreateCertificate(e.cfg.Random, t, t, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("the firmware's own certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// nameOf writes a name as firmware does: last part first, comma without space (recorded answers).
func nameOf(raw []byte) string {
	var seq pkix.RDNSequence
	if _, err := asn1.Unmarshal(raw, &seq); err != nil {
		return ""
	}
	var parts []string
	for i := len(seq) - 1; i >= 0; i-- {
		for _, a := range seq[i] {
			parts = append(parts, attributeName(a.Type)+"="+fmt.Sprint(a.Value))
		}
	}
	return strings.Join(parts, ",")
}

func attributeName(o asn1.ObjectIdentifier) string {
	names := map[string]string{"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU",
		"1.2.840.113549.1.9.1": "E", "0.9.2342.19200300.100.1.25": "DC"}
	if n, ok := names[o.String()]; ok {
		return n
	}
	return o.String()
}
