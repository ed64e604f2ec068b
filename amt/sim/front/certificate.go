package front

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"sync"
	"time"

	"amtmedic/amt"
)

// makeOf gives size and hash of the certificate that a firmware makes for itself before its setup.
// The early ones are not known; RSA 1024 with SHA-1 is what tls.md 2.5 tells to plan for.
func makeOf(v amt.Version) (bits int, hash x509.SignatureAlgorithm) {
	switch {
	case !v.AtLeast(6, 0):
		return 1024, x509.SHA1WithRSA
	case !v.AtLeast(11, 0):
		return 2048, x509.SHA1WithRSA
	}
	return 2048, x509.SHA256WithRSA
}

// keyring holds a key for each size. All clients share it: making one takes 0.1 s, and the key
// protects nothing here. Each client has a certificate of its own.
type keyring struct {
	mu   sync.Mutex
	keys map[int]*rsa.PrivateKey
}

func (k *keyring) key(bits int) (*rsa.PrivateKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key := k.keys[bits]; key != nil {
		return key, nil
	}
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, fmt.Errorf("make a key of %d bits: %w", bits, err)
	}
	if k.keys == nil {
		k.keys = map[int]*rsa.PrivateKey{}
	}
	k.keys[bits] = key
	return key, nil
}

// selfSigned makes the certificate of a client that was not provisioned yet.
func (k *keyring) selfSigned(uuid amt.UUID, v amt.Version) (tls.Certificate, error) {
	bits, hash := makeOf(v)
	key, err := k.key(bits)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial := new(big.Int).SetBytes(uuid[:])
	serial = serial.SetBit(serial, 127, 0)
	serial = serial.SetBit(serial, 126, 1) // positive, and never 0
	t := &x509.Certificate{
		SerialNumber: serial, SignatureAlgorithm: hash,
		Subject:   pkix.Name{CommonName: uuid.String(), Organization: []string{"Simulated AMT"}},
		NotBefore: time.Date(2006, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make the client's own certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
