package cert

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"

	"software.sslmate.com/src/go-pkcs12"
)

// The forms of RFC 7292 4 and RFC 9579 that splitting needs.
type (
	pfxForm struct {
		Version  int
		AuthSafe itemForm
		Mac      macForm
	}
	itemForm struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"tag:0,explicit"`
	}
	macForm struct {
		Mac struct {
			Algorithm pkix.AlgorithmIdentifier
			Digest    []byte
		}
		Salt   []byte
		Rounds int
	}
	kdfForm struct {
		Salt   []byte
		Rounds int
		Length int
		PRF    pkix.AlgorithmIdentifier
	}
	pbmacForm struct{ KDF, MAC pkix.AlgorithmIdentifier }
)

// maxItems bounds the parts of a PFX: certtool makes one for each certificate and key.
const maxItems = maxCertificates + 8

// splitPFX makes several PFX of two parts, which the library reads, of one with more: each part beside
// an empty one, under a check value of our own. That of b is not looked at: the library does so first.
func splitPFX(b []byte, password string) ([][]byte, error) {
	var whole struct {
		Version  int
		AuthSafe itemForm
		Rest     asn1.RawValue `asn1:"optional"`
	}
	var safe []byte
	var items []itemForm
	if _, err := asn1.Unmarshal(b, &whole); err != nil {
		return nil, err
	}
	if _, err := asn1.Unmarshal(whole.AuthSafe.Content.Bytes, &safe); err != nil {
		return nil, err
	}
	if _, err := asn1.Unmarshal(safe, &items); err != nil {
		return nil, err
	}
	if len(items) > maxItems {
		return nil, errTooMany
	}
	empty, err := dataItem([]byte{0x30, 0})
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for _, item := range items {
		item.Content.FullBytes = nil // it is written anew
		pair, err := sealPFX([]itemForm{item, empty}, password)
		if err != nil {
			return nil, err
		}
		out = append(out, pair)
	}
	return out, nil
}

// dataItem wraps content as a part of the type data (RFC 2315 8).
func dataItem(content []byte) (itemForm, error) {
	octets, err := asn1.Marshal(content)
	return itemForm{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1},
		Content: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: octets}}, err
}

// sealPFX makes a PFX of parts, with a check value after RFC 9579. It never leaves this process: one
// round is enough.
func sealPFX(items []itemForm, password string) ([]byte, error) {
	safe, err := asn1.Marshal(items)
	if err != nil {
		return nil, err
	}
	sha := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}} // HMAC with SHA-256
	salt := []byte("no secret")
	kdf, err := asn1.Marshal(kdfForm{salt, 1, sha256.Size, sha})
	if err != nil {
		return nil, err
	}
	params, err := asn1.Marshal(pbmacForm{
		pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}, Parameters: asn1.RawValue{FullBytes: kdf}}, sha})
	if err != nil {
		return nil, err
	}
	key, err := pbkdf2.Key(sha256.New, password, salt, 1, sha256.Size)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(safe)
	p := pfxForm{Version: 3}
	if p.AuthSafe, err = dataItem(safe); err != nil {
		return nil, err
	}
	p.Mac.Mac.Algorithm = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}, Parameters: asn1.RawValue{FullBytes: params}}
	p.Mac.Mac.Digest, p.Mac.Salt, p.Mac.Rounds = mac.Sum(nil), salt, 1
	return asn1.Marshal(p)
}

// readSplit reads a PFX part by part: it may have many parts, or no key.
func readSplit(b []byte, password string) *File {
	parts, err := splitPFX(b, password)
	if err != nil {
		return nil
	}
	f := &File{Form: "PFX"}
	for _, part := range parts {
		//lint:ignore SA1019 its keys are in the old forms, which parseKey reads
		blocks, err := pkcs12.ToPEM(part, password)
		if err != nil {
			return nil
		}
		for _, block := range blocks {
			if f.addBlock(block) != nil {
				return nil
			}
		}
	}
	return f
}
