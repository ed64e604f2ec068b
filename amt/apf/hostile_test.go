package apf_test

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"amtmedic/amt/apf"
)

// scripted is a transport whose firmware says what a test tells it, in hex, and whose hearing is
// kept.
type scripted struct {
	max    int
	say    chan string
	heard  chan string // hex of what the PC wrote
	closed chan struct{}
	once   sync.Once
}

func newScripted() *scripted {
	return &scripted{max: 4096, say: make(chan string, 64), heard: make(chan string, 256), closed: make(chan struct{})}
}

func (s *scripted) MaxMessage() int { return s.max }
func (s *scripted) Close() error    { s.once.Do(func() { close(s.closed) }); return nil }

func (s *scripted) Read(ctx context.Context, p []byte) (int, error) {
	select {
	case m := <-s.say:
		if m == "fail" {
			return 0, errors.New("no such device")
		}
		b, err := hex.DecodeString(clean(m))
		if err != nil {
			panic(err) // a test with bad hex
		}
		return copy(p, b), nil
	case <-s.closed:
		return 0, errors.New("closed")
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (s *scripted) Write(ctx context.Context, p []byte) error {
	select {
	case s.heard <- hex.EncodeToString(p):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func clean(s string) string { return strings.Join(strings.Fields(s), "") }

// next gives the next message that begins so.
func (s *scripted) next(t *testing.T, prefix string) string {
	t.Helper()
	for {
		select {
		case m := <-s.heard:
			if strings.HasPrefix(m, prefix) {
				return m
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("nothing that begins with %s was sent", prefix)
		}
	}
}

const (
	version = "c0 00000001 00000000 000000fe" + "00000000000000000000000000000000" + "0000000000000000000000000000000000000000000000000000000000000000" + "0000000000000000000000000000000000000000000000000000000000000000"
	pfwd    = "05 00000012 7066776440616d742e696e74656c2e636f6d"
	auth    = "05 00000012 6175746840616d742e696e74656c2e636f6d"
	offer   = "50 0000000d 74637069702d666f7277617264 01 00000000 00004260"
	confirm = "5b 00000001 00000009 00000008 ffffffff" // channel 1, the firmware's 9, a window of 8 bytes
)

// begun gives a tunnel over a script that has said what a sound firmware says first.
func begun(t *testing.T, openTime time.Duration) (*scripted, *apf.Tunnel) {
	t.Helper()
	s := newScripted()
	for _, m := range []string{version, auth, pfwd, offer} {
		s.say <- m
	}
	tn, err := apf.Connect(context30(t), s, apf.Options{Settle: time.Millisecond, OpenTime: openTime})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tn.Close() })
	return s, tn
}

// The beginning, as bytes: our version first, then each of the firmware's wishes is granted.
func TestBeginningOnTheWire(t *testing.T) {
	s, _ := begun(t, 20*time.Second)
	if got := <-s.heard; got[:26] != "c00000000100000000000000fe" || len(got) != 2*93 {
		t.Errorf("first %s", got)
	}
	for _, want := range []string{"06000000126175746840616d742e696e74656c2e636f6d", "06000000127066776440616d742e696e74656c2e636f6d", "5100004260"} {
		if got := <-s.heard; got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

// A channel, as bytes: opened, the firmware's window of 8 bytes kept, closed.
func TestChannelOnTheWire(t *testing.T) {
	s, tn := begun(t, 20*time.Second)
	opened := make(chan *apf.Conn, 1)
	go func() { c, _ := tn.Open(context30(t), 16992); opened <- c }()
	want := "5a0000000f666f727761726465642d746370697000000001" + "00001000" + "ffffffff" + "000000093132372e302e302e31" + "00004260" + "000000093132372e302e302e31" + "0000c001"
	if got := s.next(t, "5a"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	s.say <- confirm
	c := <-opened
	if c == nil {
		t.Fatal(tn.Err())
	}
	done := make(chan error, 1)
	go func() { _, err := c.Write([]byte("0123456789")); done <- err }()
	if got := s.next(t, "5e"); got != "5e00000009"+"00000008"+hex.EncodeToString([]byte("01234567")) {
		t.Errorf("%s", got)
	}
	select {
	case m := <-s.heard:
		t.Errorf("without room: %s", m)
	case <-time.After(30 * time.Millisecond):
	}
	s.say <- "5d 00000001 00000001"
	if got := s.next(t, "5e"); got != "5e00000009"+"00000001"+"38" {
		t.Errorf("%s", got)
	}
	s.say <- "5d 00000001 00000064"
	if got := s.next(t, "5e"); got != "5e00000009"+"00000001"+"39" || <-done != nil {
		t.Errorf("%s", got)
	}
	s.say <- "5e 00000001 00000002 6869"
	s.say <- "61 00000001"
	b, err := io.ReadAll(c)
	if string(b) != "hi" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if got := s.next(t, "61"); got != "6100000009" {
		t.Errorf("%s", got)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("write after the firmware's close: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	_ = tn.Close()
	if got := s.next(t, "01"); got != "010000000b0000" {
		t.Errorf("leave %s", got)
	}
}

// The firmware's own wishes on the way: refused, answered, left alone; the tunnel stands.
func TestFirmwaresWishes(t *testing.T) {
	s, tn := begun(t, 20*time.Second)
	for _, c := range []struct{ say, prefix, want string }{
		{"5a 0000000c 6469726563742d7463706970 00000007 00000400 ffffffff 00000003 3a3a31 00003e81 00000003 3a3a31 00000001", "5c", "5c" + "00000007" + "00000001" + "0000000000000000"},
		{"d0 00000042", "d1", "d100000042"},
		{"d2 0000001e 0000000a", "d3", "d30000001e0000000a"},
		{"50 00000001 78 01", "52", "52"},
		{"50 00000014 63616e63656c2d74637069702d666f7277617264 01 00000000 00004260", "51", "51"},
		{version, "c0", ""},
		{"32 00000001 61 00000001 62 00000004 6e6f6e65", "34", "34"},
		{"5b 0000003f 00000005 00000400 ffffffff", "61", "6100000005"}, // a channel that nobody asked for
	} {
		s.say <- c.say
		if got := s.next(t, c.prefix); c.want != "" && got != c.want {
			t.Errorf("to %s: %s, want %s", c.say, got, c.want)
		}
	}
	s.say <- "5e 0000003e 00000001 00" // data for a channel that is not there
	s.say <- "d0 00000043"
	s.next(t, "d1")
	if err := tn.Err(); err != nil || len(tn.Ports()) != 0 {
		t.Errorf("%v, ports %v", err, tn.Ports())
	}
}

// A firmware that breaks the rules ends the tunnel with words that say how.
func TestHostileFirmware(t *testing.T) {
	var over []string
	for range 20 {
		over = append(over, "5e 00000001 00000f00"+strings.Repeat("00", 0xf00))
	}
	for name, c := range map[string]struct {
		say  []string
		want string
	}{
		"unknown type":            {[]string{"07"}, "type is not known"},
		"cut off":                 {[]string{"5b 00000001"}, "ends within the sender's channel"},
		"announces 4 GiB":         {[]string{"5e 00000001 ffffffff"}, "4294967295 bytes"},
		"data before it opened":   {[]string{"5e 00000001 00000001 00"}, "before it opened it"},
		"room before it opened":   {[]string{"5d 00000001 00000001"}, "before it opened it"},
		"close before it opened":  {[]string{"61 00000001"}, "before it opened it"},
		"opens twice":             {[]string{confirm, confirm}, "opens channel 1 twice"},
		"refuses what it opened":  {[]string{confirm, "5c 00000001 00000001 00000000 00000000"}, "after it opened it"},
		"a window beyond 2^32":    {[]string{confirm, "5d 00000001 ffffffff"}, "beyond 2^32"},
		"far beyond our window":   {append([]string{confirm}, over...), "more on channel 1 than it may"},
		"empty messages for ever": {append(make([]string, 20), "d0 00000001"), "empty messages"},
		"an unknown service":      {[]string{"05 00000001 78"}, `a service "x"`},
		"goes":                    {[]string{"01 0000000c 0000"}, "too many connections"},
		"device is gone":          {[]string{"fail"}, "no such device"},
	} {
		t.Run(name, func(t *testing.T) {
			s, tn := begun(t, 20*time.Second)
			opened := make(chan *apf.Conn, 1)
			go func() { c, _ := tn.Open(context30(t), 16992); opened <- c }()
			s.next(t, "5a")
			for _, m := range c.say {
				s.say <- m
			}
			for end := time.Now().Add(10 * time.Second); tn.Err() == nil; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("the tunnel stands")
				}
			}
			if err := tn.Err(); !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
			if conn := <-opened; conn != nil {
				_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
				if _, err := io.Copy(io.Discard, conn); err == nil {
					t.Error("the channel ended as if all were well")
				}
			}
		})
	}
}

// A firmware that says nothing, or stops on the way, is told by where it stopped. The transport is
// closed.
func TestBeginningThatStops(t *testing.T) {
	for name, c := range map[string]struct {
		say  []string
		want string
	}{
		"silence":            {nil, "does not answer"},
		"no service":         {[]string{version}, "does not ask for the port forwarding service"},
		"no port":            {[]string{version, pfwd}, "none of its ports"},
		"version 0":          {[]string{"c0 00000000 00000009" + strings.Repeat("00", 84)}, "version is 0.9"},
		"service at once":    {[]string{pfwd}, "before it told its version"},
		"port at once":       {[]string{version, offer}, "before the service"},
		"only remote":        {[]string{version, pfwd, "50 0000000d 74637069702d666f7277617264 01 00000007 302e302e302e30 00004260"}, "none of its ports"},
		"fails at the start": {[]string{"fail"}, "no such device"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScripted()
			for _, m := range c.say {
				s.say <- m
			}
			tn, err := apf.Connect(context30(t), s, apf.Options{Greeting: 200 * time.Millisecond})
			if err == nil {
				_ = tn.Close()
				t.Fatal("it began")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
			select {
			case <-s.closed:
			default:
				t.Error("the transport is open")
			}
		})
	}
	s := newScripted()
	s.max = 64
	if _, err := apf.Connect(context30(t), s, apf.Options{}); err == nil || !strings.Contains(err.Error(), "at most 64 bytes") {
		t.Errorf("%v", err)
	}
}

// A channel that is answered too late is closed, and its number is free again after that.
func TestLateConfirmation(t *testing.T) {
	s, tn := begun(t, 200*time.Millisecond)
	if c, err := tn.Open(context30(t), 16993); err == nil || !strings.Contains(err.Error(), "it offers [16992]") {
		t.Fatalf("%v, %v", c, err)
	}
	s.say <- confirm
	if got := s.next(t, "61"); got != "6100000009" {
		t.Errorf("%s", got)
	}
	s.say <- "61 00000001"
	s.say <- "d0 00000001"
	s.next(t, "d1")
	go func() { _, _ = tn.Open(context30(t), 16992) }()
	if got := s.next(t, "5a"); got[40:48] != "00000001" {
		t.Errorf("the number is not free: %s", got)
	}
}
