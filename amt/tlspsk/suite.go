package tlspsk

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/hmac"
	"crypto/rc4"
	"crypto/sha1"
	"fmt"
	"hash"
)

// The suites of RFC 4279 2 that this package knows.
const (
	SuiteRC4128SHA uint16 = 0x008A // TLS_PSK_WITH_RC4_128_SHA
	Suite3DESSHA   uint16 = 0x008B // TLS_PSK_WITH_3DES_EDE_CBC_SHA
	SuiteAES128SHA uint16 = 0x008C // TLS_PSK_WITH_AES_128_CBC_SHA
	SuiteAES256SHA uint16 = 0x008D // TLS_PSK_WITH_AES_256_CBC_SHA
)

// scsv in a list of suites says that the client knows RFC 5746.
const scsv uint16 = 0x00FF

// DefaultSuites gives the order in which suites are offered: 0x008C, 0x008D, 0x008B, 0x008A. Which
// of them firmware has is unverified.
func DefaultSuites() []uint16 {
	return []uint16{SuiteAES128SHA, SuiteAES256SHA, Suite3DESSHA, SuiteRC4128SHA}
}

const macSize = sha1.Size

// suite says how to protect records. Sizes are in bytes; iv 0 means a stream cipher.
type suite struct {
	id       uint16
	name     string
	key, iv  int
	newBlock func(key []byte) (cipher.Block, error)
}

var suites = []suite{
	{SuiteRC4128SHA, "TLS_PSK_WITH_RC4_128_SHA", 16, 0, nil},
	{Suite3DESSHA, "TLS_PSK_WITH_3DES_EDE_CBC_SHA", 24, des.BlockSize, des.NewTripleDESCipher},
	{SuiteAES128SHA, "TLS_PSK_WITH_AES_128_CBC_SHA", 16, aes.BlockSize, aes.NewCipher},
	{SuiteAES256SHA, "TLS_PSK_WITH_AES_256_CBC_SHA", 32, aes.BlockSize, aes.NewCipher},
}

func suiteOf(id uint16) *suite {
	for i := range suites {
		if suites[i].id == id {
			return &suites[i]
		}
	}
	return nil
}

// SuiteName gives the standard's name of a suite; of unknown ones the number in hexadecimal.
func SuiteName(id uint16) string {
	if s := suiteOf(id); s != nil {
		return s.name
	}
	return fmt.Sprintf("0x%04X", id)
}

// keys are what one direction of a session is protected with.
type keys struct{ mac, key, iv []byte }

// keysOf splits the key block (RFC 5246 6.3) into the client's and the server's half.
func (s *suite) keysOf(version uint16, master, clientRandom, serverRandom []byte) (client, server keys) {
	block := make([]byte, 2*(macSize+s.key+s.iv))
	prf(version, block, master, "key expansion", serverRandom, clientRandom)
	take := func(n int) []byte {
		part := block[:n:n]
		block = block[n:]
		return part
	}
	client.mac, server.mac = take(macSize), take(macSize)
	client.key, server.key = take(s.key), take(s.key)
	client.iv, server.iv = take(s.iv), take(s.iv)
	return client, server
}

// cbcMode is what package cipher's CBC types are.
type cbcMode interface {
	cipher.BlockMode
	SetIV([]byte)
}

// guard makes the protection of one direction; opening says that it reads.
func (s *suite) guard(version uint16, k keys, opening bool) (*guard, error) {
	g := &guard{explicitIV: version >= VersionTLS11}
	if s.iv == 0 {
		stream, err := rc4.NewCipher(k.key)
		if err != nil {
			return nil, err
		}
		g.stream, g.mac = stream, hmac.New(sha1.New, k.mac)
		return g, nil
	}
	block, err := s.newBlock(k.key)
	if err != nil {
		return nil, err
	}
	mode, newHash := cipher.NewCBCEncrypter(block, k.iv), sha1.New
	if opening {
		mode, newHash = cipher.NewCBCDecrypter(block, k.iv), newEvenSHA1
	}
	cbc, ok := mode.(cbcMode)
	if !ok {
		return nil, fmt.Errorf("cipher of %s cannot change its IV", s.name)
	}
	g.cbc, g.mac = cbc, hmac.New(newHash, k.mac)
	return g, nil
}

// evenSHA1 takes the same time for every length of the last block: what it hashes when a CBC record
// is opened ends at a place that the attacker must not learn.
type evenSHA1 struct{ constantTimeHash }

type constantTimeHash interface {
	hash.Hash
	ConstantTimeSum([]byte) []byte
}

func newEvenSHA1() hash.Hash {
	h := sha1.New()
	if even, ok := h.(constantTimeHash); ok {
		return evenSHA1{even}
	}
	return h
}

// Sum gives the digest in constant time.
func (e evenSHA1) Sum(b []byte) []byte { return e.ConstantTimeSum(b) }
