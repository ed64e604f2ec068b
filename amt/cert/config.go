package cert

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
)

// legacySuites are what firmware offers on the certificate path, in the order of tls.md 6.1.
var legacySuites = []uint16{
	tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, tls.TLS_RSA_WITH_RC4_128_SHA,
	tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_CBC_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
}

// Identity gives what ClientConfig shows: the chain with its root, and the key.
func (f *File) Identity() (tls.Certificate, error) {
	c := f.Chain()
	switch {
	case f.Key == nil || c.Leaf() == nil || !belongs(f.Key, c.Leaf()):
		return tls.Certificate{}, errors.New("it has no certificate with its private key")
	case !c.Complete:
		return tls.Certificate{}, errors.New("its chain lacks the root")
	}
	out := tls.Certificate{PrivateKey: f.Key, Leaf: c.Leaf()}
	for _, x := range c.Certificates {
		out.Certificate = append(out.Certificate, x.Raw)
	}
	return out, nil
}

// ClientConfig is the TLS of a setup session with a Remote Configuration client (tls.md 6.1): old
// versions and suites, and the whole chain shown whatever the client asks for. The client's own
// certificate is self-signed and cannot be judged; the first one that is seen is pinned for all
// connections of this Config, and another one ends the handshake (device.Session.Security names it).
// Use it for AMT addresses only. That a 1.2 client may ask for SHA-1 signatures and have a negative
// serial number needs the godebug lines of go.mod, which hold for the whole program.
func ClientConfig(id tls.Certificate) *tls.Config {
	var mu sync.Mutex
	var pinned *[sha256.Size]byte
	return &tls.Config{
		MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS12, CipherSuites: legacySuites,
		InsecureSkipVerify: true, // nothing vouches for the certificate; VerifyPeerCertificate pins it
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			if len(raw) == 0 {
				return errors.New("the client shows no certificate")
			}
			sum := sha256.Sum256(raw[0])
			mu.Lock()
			defer mu.Unlock()
			if pinned == nil {
				pinned = &sum
			}
			if *pinned != sum {
				return fmt.Errorf("the client shows another certificate than in this session before: SHA-256 %x, then %x", *pinned, sum)
			}
			return nil
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &id, nil },
		Renegotiation:        tls.RenegotiateOnceAsClient,
	}
}
