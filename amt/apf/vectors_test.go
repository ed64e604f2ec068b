package apf

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"amtmedic/amt"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// text gives the hex of a counted string.
func text(s string) string {
	return hex.EncodeToString(append([]byte{0, 0, 0, byte(len(s))}, s...))
}

// Messages in hex. "peer" ones stand so in the tests of go-wsman-messages (pkg/apf, their type byte
// put right where the test leaves it out), the others are the packed structures of LMS (LMS_if.h) and
// the buffers that LMEConnection.cpp and amt-lme.js fill, laid out by hand.
var vectors = []struct {
	name, hex string
	m         Message
}{
	{"protocol version (peer: 1.0, reason 1)", "c0 00000001 00000000 00000001" + strings.Repeat("00", 80), ProtocolVersion{Major: 1, Trigger: 1}},
	{"service request auth (peer)", "05 00000012 6175746840616d742e696e74656c2e636f6d", ServiceRequest{"auth@amt.intel.com"}},
	{"service request pfwd (peer)", "05 00000012 7066776440616d742e696e74656c2e636f6d", ServiceRequest{"pfwd@amt.intel.com"}},
	{"service accept", "06 00000012 7066776440616d742e696e74656c2e636f6d", ServiceAccept{"pfwd@amt.intel.com"}},
	{"forward 16992 (peer: 3 zero bytes as address)", "50 0000000d 74637069702d666f7277617264 00 00000003 000000 00004260", Forward{Address: "\x00\x00\x00", Port: 16992}},
	{"forward 16993 with reply", "50 0000000d 74637069702d666f7277617264 01 00000000 00004261", Forward{WantReply: true, Port: 16993}},
	{"cancel 16992", "50 00000014 63616e63656c2d74637069702d666f7277617264 01 00000007 302e302e302e30 00004260", Forward{Cancel: true, WantReply: true, Address: "0.0.0.0", Port: 16992}},
	{"udp", "50 00000019 7564702d73656e642d746f40616d742e696e74656c2e636f6d 00 00000009 3132372e302e302e31 00003e81 00000003 3a3a31 0000007b 00000002 cafe",
		SendUDP{Address: "127.0.0.1", Port: 16001, Origin: "::1", OriginPort: 123, Data: []byte{0xca, 0xfe}}},
	{"other request", "50 00000001 78 01 0102", OtherRequest{"x", true, []byte{1, 2}}},
	{"request success with port", "51 00004260", RequestSuccess{true, 16992}},
	{"request success", "51", RequestSuccess{}},
	{"request failure", "52", RequestFailure{}},
	{"channel open of rpc-go: ::1, origin port 123", "5a 0000000f 666f727761726465642d7463706970 00000002 00001000 ffffffff 00000003 3a3a31 00004260 00000003 3a3a31 0000007b",
		ChannelOpen{Kind: OpenForwarded, Sender: 2, Window: 4096, Address: "::1", Port: 16992, Origin: "::1", OriginPort: 123}},
	{"confirmation", "5b 00000002 00000009 00000400 ffffffff", ChannelConfirmation{2, 9, 1024}},
	{"failure", "5c 00000002 00000004 00000000 00000000", ChannelFailure{2, 4}},
	{"window adjust", "5d 00000009 00000200", WindowAdjust{9, 512}},
	{"data", "5e 00000009 00000003 474554", ChannelData{9, []byte("GET")}},
	{"no data", "5e 00000009 00000000", ChannelData{9, []byte{}}},
	{"close", "61 00000009", ChannelClose{9}},
	{"disconnect", "01 0000000b 0000", Disconnect{11}},
	{"log-in none (peer)", "32" + text("testuser") + text("pfwd@amt.intel.com") + text("none"), UserAuthRequest{User: "testuser", Service: ServiceForward, Method: "none"}},
	{"log-in accepted", "34", UserAuthSuccess{}},
	{"log-in refused", "33" + text("password") + "00", UserAuthFailure{"password", false}},
	{"keepalive (peer)", "d0 00000042", KeepAlive{false, 0x42}},
	{"keepalive answer (peer)", "d1 00000042", KeepAlive{true, 0x42}},
	{"keepalive options (peer)", "d2 0000001e 0000000a", KeepAliveOptions{false, 30, 10}},
	{"keepalive options answer (peer)", "d3 0000001e 0000000a", KeepAliveOptions{true, 30, 10}},
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		b := unhex(t, v.hex)
		m, err := Decode(b)
		if err != nil || !reflect.DeepEqual(m, v.m) {
			t.Errorf("%s: %#v, %v", v.name, m, err)
		}
		if out := Encode(v.m); !bytes.Equal(out, b) {
			t.Errorf("%s: %x\nwant %x", v.name, out, b)
		}
	}
}

// The password of a log-in is read, and never shown.
func TestUserAuthPassword(t *testing.T) {
	b := unhex(t, "32"+text("testuser")+text("pfwd@amt.intel.com")+text("password")+"00"+text("secret123"))
	m, err := Decode(b)
	u, ok := m.(UserAuthRequest)
	if err != nil || !ok || u.User != "testuser" || !u.Password.Equal(amt.NewSecret("secret123")) {
		t.Fatalf("%v, %v", m, err)
	}
	if !bytes.Equal(Encode(u), b) {
		t.Errorf("%x", Encode(u))
	}
}

// What ends too early, announces too much, or has an unknown type is refused in words. Bytes behind a
// message are left alone.
func TestDecodeRefuses(t *testing.T) {
	for _, v := range vectors {
		b := unhex(t, v.hex)
		if _, err := Decode(append(bytes.Clone(b), 7, 7, 7, 7)); err != nil && !strings.Contains(v.name, "success") {
			t.Errorf("%s with bytes behind it: %v", v.name, err)
		}
		for n := range len(b) {
			m, err := Decode(b[:n])
			switch {
			case err == nil && n > 0 && !shorter(v.m, n):
				t.Errorf("%s cut to %d bytes: %#v", v.name, n, m)
			case err != nil && !strings.Contains(err.Error(), "bytes: "):
				t.Errorf("%s cut to %d bytes: %v", v.name, n, err)
			}
		}
	}
	for name, c := range map[string]struct{ hex, want string }{
		"unknown type":         {"63 00000001", "type is not known"},
		"empty":                {"", "it is empty"},
		"a name of 4 GiB":      {"05 ffffffff 00", "4294967295 bytes"},
		"data of 4 GiB":        {"5e 00000001 ffffffff 00", "4294967295 bytes, 1 are there"},
		"data shorter than it": {"5e 00000001 00000004 000000", "4 bytes, 3 are there"},
	} {
		if m, err := Decode(unhex(t, c.hex)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
}

// shorter says that a message is whole at n bytes too: its end is reserved, or free.
func shorter(m Message, n int) bool {
	switch m.(type) {
	case Disconnect:
		return n >= 5
	case ChannelFailure:
		return n >= 9
	case RequestSuccess:
		return n == 1
	case OtherRequest:
		return n >= 7
	}
	return false
}

func FuzzDecode(f *testing.F) {
	for _, v := range vectors {
		f.Add(unhex(f, v.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Decode(Encode(m))
		if err != nil || !bytes.Equal(Encode(again), Encode(m)) {
			t.Errorf("%x: %#v, then %#v, %v", b, m, again, err)
		}
	})
}
