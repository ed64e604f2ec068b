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
	LockedKey    bool                // Key is nil, and a private key in PEM form is there that needs a password

	keys []crypto.Signer
}

var errTooMany = fmt.Errorf("it has more than %d certificates: this is a list of authorities, not the chain of a certificate", maxCertificates)

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
	f.chooseKey()
	if len(f.Certificates) == 0 && f.Key == nil && !f.LockedKey {
		return nil, errors.New("it holds neither a certificate nor a private key")
	}
	return f, nil
}

// chooseKey takes the first key that belongs to a certificate of the file, a marked one before others;
// without any it takes the first.
func (f *File) chooseKey() {
	if len(f.keys) == 0 {
		return
	}
	f.Key, f.MoreKeys, f.LockedKey = f.keys[0], len(f.keys)-1, false
	best := 0
	for _, k := range f.keys {
		for _, c := range f.Certificates {
			rank := 1
			if marked(c) {
				rank = 2
			}
			if belongs(k, c) && rank > best {
				f.Key, best = k, rank
			}
		}
	}
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
			return errTooMany
		}
		f.Certificates = append(f.Certificates, c)
	case block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
		f.LockedKey = true
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		key, err := parseKey(block.Bytes)
		if err != nil {
			return errors.New("the private key cannot be read") // the parser's own words may quote it
		}
		f.keys = append(f.keys, key)
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
	return readPFX(b, password)
}
