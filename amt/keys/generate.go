package keys

import (
	"fmt"
	"io"
	"strings"

	"amtmedic/amt"
)

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// Generate makes a pair with right check characters. rand must be a cryptographic source
// (crypto/rand.Reader); it is read until 31 symbols were drawn without bias. A PPS has 24 free
// characters, 124 bits.
func Generate(rand io.Reader) (Pair, error) {
	pid, err := draw(rand, alphabet, PIDLen-1)
	if err != nil {
		return Pair{}, fmt.Errorf("generate pair: %w", err)
	}
	var pps strings.Builder
	for range PPSLen / groupLen {
		g, err := draw(rand, alphabet, groupLen-1)
		if err != nil {
			return Pair{}, fmt.Errorf("generate pair: %w", err)
		}
		pps.WriteString(g)
		pps.WriteByte(CheckChar(g))
	}
	return Pair{PID: amt.PID(pid + string(CheckChar(pid))), PPS: amt.NewSecret(pps.String())}, nil
}

// Password makes a MEBx password of 16 characters that every firmware and every maker's rule takes:
// 8 to 32 characters, with a digit, a lower and an upper case letter and a special character that
// counts as one, without those that Intel or HP forbid (setup-bin-and-keys 4), and without letters
// and digits that are read or, on a German keyboard, typed for each other.
func Password(rand io.Reader) (amt.Secret, error) {
	const (
		lower   = "abcdefghkmnpqrstuvwx"
		upper   = "ABCDEFGHKLMNPQRTUVWX"
		digit   = "234679"
		special = "!$%."
	)
	for {
		s, err := draw(rand, lower+upper+digit+special, 16)
		if err != nil {
			return amt.Secret{}, fmt.Errorf("generate password: %w", err)
		}
		// Drawn again as a whole when a kind is missing, so that no place is better known than another.
		if strings.ContainsAny(s, lower) && strings.ContainsAny(s, upper) && strings.ContainsAny(s, digit) && strings.ContainsAny(s, special) {
			return amt.NewSecret(s), nil
		}
	}
}

// draw gives n symbols of set, each as likely as the others: bytes above the last whole multiple of
// the set's size are thrown away.
func draw(rand io.Reader, set string, n int) (string, error) {
	limit := 256 - 256%len(set)
	out := make([]byte, 0, n)
	var one [1]byte
	for len(out) < n {
		if _, err := io.ReadFull(rand, one[:]); err != nil {
			return "", err
		}
		if int(one[0]) < limit {
			out = append(out, set[int(one[0])%len(set)])
		}
	}
	return string(out), nil
}

// GenerateRows makes n rows of a key file: pairs with different PIDs, the MEBx password of the factory
// as the current one, and a new one for each.
func GenerateRows(rand io.Reader, n int) ([]Row, error) {
	taken := map[amt.PID]bool{}
	rows := make([]Row, 0, n)
	for len(rows) < n {
		pair, err := Generate(rand)
		if err != nil {
			return nil, err
		}
		if taken[pair.PID] {
			continue
		}
		taken[pair.PID] = true
		password, err := Password(rand)
		if err != nil {
			return nil, err
		}
		rows = append(rows, Row{Pair: pair, ID: int64(len(rows) + 1), CurrentPassword: amt.NewSecret("admin"), AdminPassword: password})
	}
	return rows, nil
}
