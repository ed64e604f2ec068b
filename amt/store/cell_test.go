package store

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// The vector of storage-and-queue 7: key 00..1f, nonce 40..57, key id 7. It was made by another
// implementation of XChaCha20-Poly1305.
const vectorCell = "0100000007404142434445464748494a4b4c4d4e4f5051525354555657" +
	"e4093540fdd14827bed9b58c9dae48a1a1899ee9276d67ae4704c8703c2915a620cf2f5962a5b331d9c457d9ac80440b47c436e4b0e93a"

func vector(t *testing.T) (key, nonce, cell []byte, p place) {
	t.Helper()
	for i := range 32 {
		key = append(key, byte(i))
	}
	for i := range 24 {
		nonce = append(nonce, byte(0x40+i))
	}
	cell, err := hex.DecodeString(vectorCell)
	if err != nil {
		t.Fatal(err)
	}
	return key, nonce, cell, place{"csti_pid_map", "pps", "4444-4444"}
}

func TestCellVector(t *testing.T) {
	key, nonce, want, p := vector(t)
	plain := []byte("0000-1111-2222-3333-4444-5555-6666-7777")
	got, err := seal(bytes.NewReader(nonce), 7, key, plain, p)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("seal: %x, %v", got, err)
	}
	back, err := unseal(key, want, p)
	if err != nil || !bytes.Equal(back, plain) {
		t.Errorf("unseal: %q, %v", back, err)
	}
}

func TestCellRefusals(t *testing.T) {
	key, _, cell, p := vector(t)
	flip := func(i int) []byte {
		c := bytes.Clone(cell)
		c[i] ^= 1
		return c
	}
	other := bytes.Clone(key)
	other[0] ^= 1
	for _, c := range []struct {
		name string
		key  []byte
		cell []byte
		at   place
	}{
		{"another row", key, cell, place{p.table, p.column, "4444-4445"}},
		{"another column", key, cell, place{p.table, "admin_password", p.row}},
		{"column and row run together", key, cell, place{p.table, "pps\x004444-4444", ""}},
		{"another key", other, cell, p},
		{"another version", key, flip(0), p},
		{"changed nonce", key, flip(9), p},
		{"changed text", key, flip(40), p},
		{"changed tag", key, flip(len(cell) - 1), p},
		{"cut off", key, cell[:len(cell)-1], p},
		{"empty", key, nil, p},
	} {
		if got, err := unseal(c.key, c.cell, c.at); err == nil {
			t.Errorf("%s: gave %q", c.name, got)
		}
	}
}
