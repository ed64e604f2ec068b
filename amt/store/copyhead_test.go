package store

import (
	"errors"
	"strings"
	"testing"
)

// A file of something else is told before anybody is asked for a passphrase.
func TestCheckCopyHead(t *testing.T) {
	for file, good := range map[string]bool{
		"age-encryption.org/v1\n-> X25519 8hrl": true, "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl": true, "age-enc": true, "": true,
		"PK\x03\x04": false, "uuid,fqdn,profile\n": false, "{\"copy\":\"amtmedic\"}\n": false, "-----BEGIN CERTIFICATE-----\n": false,
	} {
		err := CheckCopyHead(strings.NewReader(file))
		var c *CopyError
		if good != (err == nil) || err != nil && (!errors.As(err, &c) || c.Code != "no-copy") {
			t.Errorf("%q: %v", file, err)
		}
	}
}
