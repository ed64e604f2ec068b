package hello

import (
	"encoding/binary"
	"errors"
	"fmt"

	"amtmedic/amt"
)

// ForPSK gives the hello of a client with a PID, as its first try, with the administrator password
// changed.
func ForPSK(u amt.UUID, pid amt.PID) Message {
	return Message{Type: PSK, Version: VersionPSK, UUID: u, PID: pid, AdminCredentialsSet: true, AdminWord: 1}
}

// ForPKI gives the hello of a client that waits for Remote Configuration, as its first try, with the
// administrator password changed.
func ForPKI(u amt.UUID, hashes ...Hash) Message {
	return Message{Type: PKI, Version: VersionPKI, UUID: u, Hashes: hashes, AdminCredentialsSet: true, AdminWord: 1}
}

// Encode gives the bytes of m; see Append.
func Encode(m Message) ([]byte, error) { return m.Append(nil) }

// Append adds the bytes that a client would send to dst. Only sound messages of version 2 and 3 can
// be written: a PID of A-Z and 0-9, at most 255 hashes, and known algorithms with the length of
// their digest. The check character of the PID is not asked for. The admin word is 1 or 0, by
// AdminCredentialsSet.
func (m Message) Append(dst []byte) ([]byte, error) {
	if err := m.fit(); err != nil {
		return dst, fmt.Errorf("encode hello: %w", err)
	}
	version, admin := VersionPSK, uint16(0)
	if m.Type == PKI {
		version = VersionPKI
	}
	if m.AdminCredentialsSet {
		admin = 1
	}
	wire := m.UUID.Wire()
	dst = binary.LittleEndian.AppendUint16(dst, admin)
	dst = binary.LittleEndian.AppendUint16(dst, version)
	dst = binary.LittleEndian.AppendUint32(dst, m.RetryCount)
	dst = append(dst, wire[:]...)
	if m.Type == PSK {
		return append(dst, m.PID...), nil
	}
	dst = append(dst, byte(len(m.Hashes)))
	for _, h := range m.Hashes {
		dst = append(dst, byte(h.Algorithm), byte(len(h.Digest)))
		dst = append(dst, h.Digest...)
	}
	return dst, nil
}

// fit says why m cannot be written.
func (m Message) fit() error {
	switch m.Type {
	case PSK:
		if m.Version != 0 && m.Version != VersionPSK {
			return fmt.Errorf("type psk has version %d, not %d", VersionPSK, m.Version)
		}
		if first, what := oddPID([]byte(m.PID)); first >= 0 {
			return errors.New(what)
		}
		if len(m.PID) != pidLen {
			return fmt.Errorf("a PID has %d characters, %q has %d", pidLen, string(m.PID), len(m.PID))
		}
		if len(m.Hashes) > 0 {
			return errors.New("a psk hello carries a PID, no hashes")
		}
		return nil
	case PKI:
		return m.fitPKI()
	}
	return fmt.Errorf("type %q cannot be sent: psk and pki can", string(m.Type))
}

func (m Message) fitPKI() error {
	if m.Version != 0 && m.Version != VersionPKI {
		return fmt.Errorf("type pki has version %d, not %d", VersionPKI, m.Version)
	}
	if m.PID != "" {
		return errors.New("a pki hello carries hashes, no PID")
	}
	if len(m.Hashes) > 255 {
		return fmt.Errorf("a hello has room for 255 hashes, these are %d", len(m.Hashes))
	}
	for i, h := range m.Hashes {
		switch n := h.Algorithm.Size(); {
		case n == 0:
			return fmt.Errorf("hash %d has the unknown algorithm %d", i+1, uint8(h.Algorithm))
		case n != len(h.Digest):
			return fmt.Errorf("hash %d: a digest of %s has %d bytes, this one has %d", i+1, h.Algorithm, n, len(h.Digest))
		}
	}
	return nil
}
