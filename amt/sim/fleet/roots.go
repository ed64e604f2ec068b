package fleet

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

// builtIn are roots whose hashes makers put into firmware: name, SHA-1, SHA-256, and the major
// version from which on they are there. Real lists are longer; which root came when is not known.
var builtIn = []struct {
	name, sha1, sha256 string
	from               int
}{
	{"Go Daddy Class 2", "2796bae63f1801e277261ba0d77770028f20eee4", "c3846bf24b9e93ca64274c0ec67c1ecc5e024ffcacd2d74019350e81fe546ae4", 2},
	{"Starfield Class 2", "ad7e1c28b064ef8f6003402014c3d0e3370eb58a", "1465fa205397b876faa6f0a9958e5590e40fcc7faa4fb7c2c8677521fb5fb658", 2},
	{"Comodo AAA", "d1eb23a46d17d68fd92564c2f1f1601764d8e349", "d7a7a0fb5d7e2731d771e9484ebcdef71d5f0c3e0a2948782bc83ee0ea699ef4", 2},
	{"Go Daddy G2", "47beabc922eae80e78783462a79f45c254fde68b", "45140b3247eb9cc8c5b4f0d7b53091f73292089e6e5a63e2749dd3aca9198eda", 7},
	{"Starfield G2", "b51c067cee2b0c3df855ab2d92f4fe39d4e70f0e", "2ce1cb0bf9d2f9e102993fbe215152c3b2dd0cabde1c68e5319b839154dbb7f5", 7},
}

// hashed says which hashes a version keeps: SHA-1 before 6.0, both up to 10, SHA-256 alone from 11.0
// on (provisioning-protocol 1.4, tls.md 2.5; the first boundary is unverified).
func hashed(v amt.Version) (withSHA1, withSHA256 bool) { return !v.AtLeast(11, 0), v.AtLeast(6, 0) }

// activeHashes gives the built-in hashes of a version and those of more roots. Firmware keeps at
// most 33.
func activeHashes(v amt.Version, more []*x509.Certificate) []hello.Hash {
	withSHA1, withSHA256 := hashed(v)
	var out []hello.Hash
	add := func(s1, s256 []byte) {
		if withSHA256 {
			out = append(out, hello.Hash{Algorithm: hello.SHA256, Digest: s256})
		}
		if withSHA1 {
			out = append(out, hello.Hash{Algorithm: hello.SHA1, Digest: s1})
		}
	}
	for _, r := range builtIn {
		s1, err1 := hex.DecodeString(r.sha1)
		s256, err2 := hex.DecodeString(r.sha256)
		if v.Major() >= r.from && err1 == nil && err2 == nil {
			add(s1, s256)
		}
	}
	for _, c := range more {
		s1, s256 := sha1.Sum(c.Raw), sha256.Sum256(c.Raw)
		add(s1[:], s256[:])
	}
	return out
}

// MaxRoots is how many roots can be trusted beside the built-in ones.
func MaxRoots(v amt.Version) int {
	const most = 33
	each := len(activeHashes(v, []*x509.Certificate{{}})) - len(activeHashes(v, nil))
	return (most - len(activeHashes(v, nil))) / each
}
