package lab

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"amtmedic/amt"
	"amtmedic/amt/keys"
)

// identity is who lives in a world: names, UUID and keys. All of it comes from the seed.
type identity struct {
	rand     *rand.ChaCha8
	uuid     amt.UUID
	pair     keys.Pair
	spare    []keys.Pair // other rows of the PID map
	password amt.Secret  // what the MEBx password was changed to
	lost     amt.Secret  // what somebody changed it to who is gone
	suffix   string      // what DHCP option 15 says: berlin.corp.example
	domain   string      // where the server lives: corp.example
	server   string      // its name
	client   string      // the client's name
	dnsKey   string      // secret of the key for dynamic updates, base64
}

var places = []string{"berlin", "bonn", "delft", "graz", "lyon", "oslo", "porto", "turin"}

// newIdentity draws a world's names and keys.
func newIdentity(seed int64) (identity, error) {
	var key [32]byte
	copy(key[:], "amtmedic practice world ")
	binary.LittleEndian.PutUint64(key[24:], uint64(seed))
	id := identity{rand: rand.NewChaCha8(key)}
	if _, err := id.rand.Read(id.uuid[:]); err != nil {
		return id, err
	}
	id.uuid[6] = id.uuid[6]&0x0f | 0x40
	id.uuid[8] = id.uuid[8]&0x3f | 0x80
	var err error
	if id.pair, err = keys.Generate(id.rand); err != nil {
		return id, err
	}
	for range 4 {
		p, err := keys.Generate(id.rand)
		if err != nil {
			return id, err
		}
		id.spare = append(id.spare, p)
	}
	if id.password, err = keys.Password(id.rand); err != nil {
		return id, err
	}
	if id.lost, err = keys.Password(id.rand); err != nil {
		return id, err
	}
	r := rand.New(id.rand)
	id.domain = "corp.example"
	id.suffix = places[r.IntN(len(places))] + "." + id.domain
	id.server = fmt.Sprintf("scs%02d.%s", 1+r.IntN(9), id.domain)
	id.client = fmt.Sprintf("pc-%04d.%s", 1000+r.IntN(9000), id.suffix)
	var secret [32]byte
	_, err = id.rand.Read(secret[:])
	id.dnsKey = base64.StdEncoding.EncodeToString(secret[:])
	return id, err
}

// question is the name that the client looks up.
func (id identity) question() string { return "provisionserver." + id.suffix }
