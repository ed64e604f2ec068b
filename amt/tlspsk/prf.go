package tlspsk

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"hash"
)

const (
	masterSize   = 48 // bytes of a master secret
	randomSize   = 32 // bytes of a hello random
	finishedSize = 12 // bytes of verify data
)

// premaster gives RFC 4279 2: as many zero bytes as the key has, then the key, each after its length
// as a big-endian uint16.
func premaster(key []byte) []byte {
	n := len(key)
	p := make([]byte, 4+2*n)
	binary.BigEndian.PutUint16(p, uint16(n))
	binary.BigEndian.PutUint16(p[2+n:], uint16(n))
	copy(p[4+n:], key)
	return p
}

// prf fills out: RFC 2246 5 up to TLS 1.1, RFC 5246 5 with SHA-256 for 1.2.
func prf(version uint16, out, secret []byte, label string, seed ...[]byte) {
	s := []byte(label)
	for _, part := range seed {
		s = append(s, part...)
	}
	clear(out)
	if version >= VersionTLS12 {
		expand(out, sha256.New, secret, s)
		return
	}
	half := (len(secret) + 1) / 2 // of an odd length both halves have the middle byte
	expand(out, md5.New, secret[:half], s)
	expand(out, sha1.New, secret[len(secret)-half:], s)
}

// expand adds (xor) the standard's P_hash to out.
func expand(out []byte, h func() hash.Hash, secret, seed []byte) {
	mac := hmac.New(h, secret)
	var room [2][sha256.Size]byte
	mac.Write(seed)
	a, sum := mac.Sum(room[0][:0]), room[1][:0]
	for {
		mac.Reset()
		mac.Write(a)
		mac.Write(seed)
		sum = mac.Sum(sum[:0])
		if out = out[subtle.XORBytes(out, out, sum):]; len(out) == 0 {
			return
		}
		mac.Reset()
		mac.Write(a)
		a = mac.Sum(a[:0])
	}
}

// masterOf gives the 48 bytes of the master secret.
func masterOf(version uint16, key, clientRandom, serverRandom []byte) []byte {
	m := make([]byte, masterSize)
	prf(version, m, premaster(key), "master secret", clientRandom, serverRandom)
	return m
}

// verifyData gives the 12 bytes of a Finished message of the client or of the server after the given
// handshake messages.
func verifyData(version uint16, master []byte, client bool, messages []byte) []byte {
	label := "server finished"
	if client {
		label = "client finished"
	}
	out := make([]byte, finishedSize)
	if version >= VersionTLS12 {
		sum := sha256.Sum256(messages)
		prf(version, out, master, label, sum[:])
		return out
	}
	m, s := md5.Sum(messages), sha1.Sum(messages)
	prf(version, out, master, label, m[:], s[:])
	return out
}
