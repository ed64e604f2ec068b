package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/chacha20poly1305"
)

// A cell is one encrypted value in a column: version 01, key id (4 bytes, big endian), nonce (24),
// ciphertext, tag (16). The algorithm is XChaCha20-Poly1305. Table, column and primary key are
// authenticated with it, so that a cell cannot be moved to another row.
const (
	cellVersion = 1
	cellHead    = 1 + 4 + chacha20poly1305.NonceSizeX
	keySize     = chacha20poly1305.KeySize
)

// place is where a cell belongs.
type place struct{ table, column, row string }

func (p place) aad() []byte { return []byte(p.table + "\x00" + p.column + "\x00" + p.row) }

// seal encrypts plain under key for its place, with the nonce from random.
func seal(random io.Reader, id uint32, key, plain []byte, p place) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	cell := make([]byte, cellHead, cellHead+len(plain)+aead.Overhead())
	cell[0] = cellVersion
	binary.BigEndian.PutUint32(cell[1:], id)
	if _, err := io.ReadFull(random, cell[5:]); err != nil {
		return nil, fmt.Errorf("read random bytes: %w", err)
	}
	return aead.Seal(cell, cell[5:], plain, p.aad()), nil
}

// cellKey gives the id of the key that a cell was encrypted with.
func cellKey(cell []byte) (uint32, error) {
	if len(cell) < cellHead+chacha20poly1305.Overhead || cell[0] != cellVersion {
		return 0, errors.New("an encrypted cell of this version was expected")
	}
	return binary.BigEndian.Uint32(cell[1:]), nil
}

// unseal decrypts a cell. It fails for another key, for changed bytes and for another place.
func unseal(key, cell []byte, p place) ([]byte, error) {
	if _, err := cellKey(cell); err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, cell[5:cellHead], cell[cellHead:], p.aad())
	if err != nil {
		return nil, fmt.Errorf("decrypt %s.%s of row %s: %w", p.table, p.column, p.row, err)
	}
	return plain, nil
}
