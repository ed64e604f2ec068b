package cert

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"

	"software.sslmate.com/src/go-pkcs12"

	"amtmedic/amt"
)

// maxRounds bounds the key derivation that a PFX asks for, all its parts together. OpenSSL writes 3 times
// 2,048, certtool 600,000 for each certificate and key; a file that asks for more wants to keep this
// program busy.
const maxRounds = 10_000_000

// readPFX reads a PFX with any of its encryptions: RC2 and 3DES of Windows and of old programs, PBES2
// with AES of today's.
func readPFX(b []byte, password amt.Secret) (*File, error) {
	if rounds(b, 0) > maxRounds {
		return nil, fmt.Errorf("it is a PFX that asks for more than %d rounds of key derivation", maxRounds)
	}
	key, leaf, more, err := pkcs12.DecodeChain(b, password.Reveal())
	switch {
	case err == nil:
		f := &File{Form: "PFX", Certificates: append([]*x509.Certificate{leaf}, more...)}
		if s, ok := key.(crypto.Signer); ok {
			f.keys = []crypto.Signer{s}
		}
		return f, tooMany(f)
	case errors.Is(err, pkcs12.ErrIncorrectPassword), errors.Is(err, pkcs12.ErrDecryption):
		return nil, ErrPassword
	}
	if f := readSplit(b, password.Reveal()); f != nil { // many parts, several keys, none
		return f, tooMany(f)
	}
	var n pkcs12.NotImplementedError
	switch {
	case errors.As(err, &n):
		return nil, fmt.Errorf("it is a PFX of a form that is not read here (%w); openssl pkcs12 -in FILE -nodes -out FILE.pem makes a PEM file of it", err)
	case strings.Contains(err.Error(), "no MAC in data"):
		return nil, errors.New("it is a PFX without a check value, so that its password cannot be told from a wrong one; try it without a password, or openssl pkcs12 -in FILE -nodes -nomacver -out FILE.pem")
	}
	return nil, fmt.Errorf("it is neither a certificate nor a PFX that can be read: %w", err)
}

func tooMany(f *File) error {
	if len(f.Certificates) > maxCertificates {
		return errTooMany
	}
	return nil
}

// rounds adds up the rounds that a PFX asks for, without its password: an INTEGER right after an OCTET
// STRING, as in the parameters of RFC 7292 and RFC 8018. It stops counting beyond the limit.
func rounds(b []byte, depth int) (sum int64) {
	if depth > 24 {
		return 0
	}
	salted := false
	for len(b) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(b, &v)
		if err != nil {
			return sum
		}
		b = rest
		if salted && v.Class == asn1.ClassUniversal && v.Tag == asn1.TagInteger {
			var n int64
			if _, err := asn1.Unmarshal(v.FullBytes, &n); err != nil { // too large for 64 bits
				n = maxRounds + 1
			}
			sum += min(max(n, 0), maxRounds+1)
		}
		salted = v.Class == asn1.ClassUniversal && v.Tag == asn1.TagOctetString
		if v.IsCompound || salted {
			sum += rounds(v.Bytes, depth+1)
		}
		if sum > maxRounds {
			return maxRounds + 1
		}
	}
	return sum
}
