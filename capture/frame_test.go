package capture

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

func TestFeedToHello(t *testing.T) {
	u, _ := amt.ParseUUID("4c4c4544-0058-3910-8059-b7c04f4b5a31")
	msg, err := hello.Encode(hello.ForPSK(u, "4JA2DDBV"))
	if err != nil {
		t.Fatal(err)
	}
	c, s := netip.MustParseAddrPort("10.20.0.7:16994"), netip.MustParseAddrPort("10.1.0.10:9971")
	f := NewFeed(LinkEthernet, 16)
	at := time.Unix(1700000000, 0)
	push := func(src, dst netip.AddrPort, fl Flags, seq, ack uint32, b []byte) {
		fr, err := Frame(src, dst, fl, seq, ack, b)
		if err != nil {
			t.Fatal(err)
		}
		at = at.Add(10 * time.Millisecond)
		if err := f.Push(context.Background(), at, fr); err != nil {
			t.Fatal(err)
		}
	}
	push(c, s, SYN, 1000, 0, nil)
	push(s, c, SYN|ACK, 9000, 1001, nil)
	push(c, s, ACK, 1001, 9001, nil)
	push(c, s, ACK, 1011, 9001, msg[10:])
	push(c, s, ACK, 1001, 9001, msg[:10])
	push(c, s, FIN|ACK, 1033, 9001, nil)
	f.Close()
	var got []string
	if err := Scan(context.Background(), f, Options{}, func(e Event) {
		got = append(got, fmt.Sprintf("%d %s", e.Packet, e.Kind))
	}); err != nil {
		t.Fatal(err)
	}
	if s := fmt.Sprint(got); s != "[1 syn 2 synack 5 hello 6 closed]" {
		t.Error(s)
	}
}
