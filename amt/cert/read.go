// Package cert reads, judges and makes provisioning certificates: what a setup server shows to a
// Remote Configuration client. Read, Judge and Make are the entry points; ClientConfig is how such a
// certificate is used. It does no input or output of its own.
package cert

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"software.sslmate.com/src/go-pkcs12"

	"amtmedic/amt"
)

// MaxFile is the most that is read of a certificate file, in bytes.
const MaxFile = 1 << 20

// maxCertificates bounds a file; a chain has three or four.
const maxCertificates = 64

// ErrPassword is given for a file that its password does not open.
var ErrPassword = errors.New("the password does not open it")

// File is what a certificate file holds.
type File struct {
	Form         string              // "PEM", "PFX" or "DER"
	Key          crypto.Signer       // nil when the file has none
	Certificates []*x509.Certificate // in the order of the file
	MoreKeys     int                 // private keys beside Key
	LockedKey    bool                // a private key is there that needs a password which PEM files are not asked for here
}

// Read reads PEM (certificates in any order, the key in PKCS#1, PKCS#8 or SEC 1 form), PFX, or one
// certificate in DER. password opens a PFX; it is not used otherwise.
func Read(b []byte, password amt.Secret) (*File, error) {
	if len(b) > MaxFile {
		return nil, fmt.Errorf("it has more than %d bytes; a certificate file has a few thousand", MaxFile)
	}
	var f *File
	var err error
	switch {
	case bytes.Contains(b, []byte("-----BEGIN ")):
		f, err = readPEM(b)
	case len(b) > 0 && b[0] == 0x30:
		f, err = readBinary(b, password)
	default:
		return nil, errors.New("it is neither PEM nor PFX nor DER")
	}
	if err != nil {
		return nil, err
	}
	if len(f.Certificates) == 0 && f.Key == nil {
		return nil, errors.New("it holds neither a certificate nor a private key")
	}
	return f, nil
}

func readPEM(b []byte) (*File, error) {
	f := &File{Form: "PEM"}
	for number := 1; ; number++ {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		if err := f.addBlock(block); err != nil {
			return nil, fmt.Errorf("PEM block %d (%s): %w", number, block.Type, err)
		}
	}
	f.LockedKey = f.LockedKey && f.Key == nil
	return f, nil
}

func (f *File) addBlock(block *pem.Block) error {
	switch {
	case block.Type == "CERTIFICATE" || block.Type == "X509 CERTIFICATE" || block.Type == "TRUSTED CERTIFICATE":
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return err
		}
		if len(f.Certificates) == maxCertificates {
			return fmt.Errorf("more than %d certificates: this is a list of authorities, not the chain of a certificate", maxCertificates)
		}
		f.Certificates = append(f.Certificates, c)
	case block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
		f.LockedKey = true
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		key, err := parseKey(block.Bytes)
		if err != nil {
			return errors.New("the private key cannot be read") // the parser's own words may quote it
		}
		if f.Key == nil {
			f.Key = key
		} else {
			f.MoreKeys++
		}
	}
	return nil
}

func parseKey(der []byte) (crypto.Signer, error) {
	if k, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		if s, ok := k.(crypto.Signer); ok {
			return s, nil
		}
	}
	if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return k, nil
	}
	k, err := x509.ParseECPrivateKey(der)
	if err != nil {
		return nil, err
	}
	return k, nil
}

// readBinary tells a certificate from a PFX by parsing: both begin with a sequence.
func readBinary(b []byte, password amt.Secret) (*File, error) {
	if c, err := x509.ParseCertificate(b); err == nil {
		return &File{Form: "DER", Certificates: []*x509.Certificate{c}}, nil
	}
	key, leaf, more, err := pkcs12.DecodeChain(b, password.Reveal())
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword), errors.Is(err, pkcs12.ErrDecryption):
		return nil, ErrPassword
	case err != nil:
		certs, storeErr := pkcs12.DecodeTrustStore(b, password.Reveal())
		if storeErr != nil {
			return nil, fmt.Errorf("it is neither a certificate nor a PFX that can be read: %w", err)
		}
		return &File{Form: "PFX", Certificates: certs}, nil
	}
	f := &File{Form: "PFX", Certificates: append([]*x509.Certificate{leaf}, more...)}
	f.Key, _ = key.(crypto.Signer)
	return f, nil
}
