package provision

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"amtmedic/amt"
)

// TLSMode says how a provisioned client is managed.
type TLSMode string

// The modes of a profile.
const (
	TLSOff    TLSMode = "off"    // plain on 16992
	TLSServer TLSMode = "server" // the client shows a certificate on 16993
)

// Profile is what a configuration sets in every client that it is assigned to.
type Profile struct {
	Name string `json:"-"`
	// NetworkPassword is the rule for the admin account: "random" makes one per client.
	NetworkPassword string  `json:"network_password"`
	TLS             TLSMode `json:"tls"`
}

// readProfile reads the body of a row of csti_profiles. What this version cannot do is refused, not
// left out: a client would look configured and would not be.
func readProfile(name, body string) (Profile, error) {
	p := Profile{Name: name, NetworkPassword: "random", TLS: TLSOff}
	dec := json.NewDecoder(strings.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return p, fmt.Errorf("profile %s: %w", name, err)
	}
	if p.NetworkPassword != "random" {
		return p, fmt.Errorf("profile %s: network_password %q is not in this version; random is", name, p.NetworkPassword)
	}
	if p.TLS != TLSOff {
		return p, fmt.Errorf("profile %s: tls %q is not in this version; off is", name, p.TLS)
	}
	return p, nil
}

// The characters of a random password: one of each kind at least, as AMT demands of 8 to 32
// (provisioning-protocol 3.4), and none that MEBx keyboards or XML make trouble with.
const (
	upperChars   = "ABCDEFGHJKLMNPQRSTUVWXYZ"
	lowerChars   = "abcdefghijkmnopqrstuvwxyz"
	digitChars   = "23456789"
	specialChars = "!@#$%^*-+="
	passwordLen  = 20
)

// randomPassword makes a password of 20 characters, about 115 bits.
func randomPassword(random io.Reader) (amt.Secret, error) {
	all := upperChars + lowerChars + digitChars + specialChars
	kinds := []string{upperChars, lowerChars, digitChars, specialChars}
	out := make([]byte, passwordLen)
	for i := range out {
		from := all
		if i < len(kinds) {
			from = kinds[i]
		}
		n, err := draw(random, len(from))
		if err != nil {
			return amt.Secret{}, err
		}
		out[i] = from[n]
	}
	for i := len(out) - 1; i > 0; i-- { // so that the kinds do not stand in a known order
		n, err := draw(random, i+1)
		if err != nil {
			return amt.Secret{}, err
		}
		out[i], out[n] = out[n], out[i]
	}
	return amt.NewSecret(string(out)), nil
}

// draw gives a number below n, each equally likely.
func draw(random io.Reader, n int) (int, error) {
	limit := 256 - 256%n // above it the remainders would not be even
	var b [1]byte
	for {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return 0, fmt.Errorf("read random bytes: %w", err)
		}
		if int(b[0]) < limit {
			return int(b[0]) % n, nil
		}
	}
}
