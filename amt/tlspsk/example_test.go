package tlspsk_test

import (
	"fmt"
	"io"
	"net"

	"amtmedic/amt/tlspsk"
)

// Both ends of a setup session over a connection in memory.
func Example() {
	identity, key := tlspsk.PlainPair("A1B2-C3D4", "ABCD-EFGH-1234-5678-JKLM-NPQR-9876-5432")
	cfg := &tlspsk.Config{
		Identity: identity,
		Key:      func(id string) ([]byte, bool) { return key, id == identity },
	}
	firmware, server := net.Pipe()
	go func() {
		c := tlspsk.Server(firmware, cfg)
		_, _ = io.WriteString(c, "hello from the firmware")
		_ = c.Close()
	}()
	c := tlspsk.Client(server, cfg)
	got, err := io.ReadAll(c)
	fmt.Printf("%s, %v\n", got, err)
	fmt.Println(tlspsk.VersionName(c.State().Version), tlspsk.SuiteName(c.State().Suite))
	// Output:
	// hello from the firmware, <nil>
	// TLS 1.2 TLS_PSK_WITH_AES_128_CBC_SHA
}
