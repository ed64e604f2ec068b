package apf_test

import (
	"encoding/hex"
	"testing"
	"time"

	"amtmedic/amt/apf"
)

// Whatever a firmware says in the course of a session, the tunnel ends or stands: it does not crash,
// and closing it never waits. Each message of the input is a byte that says how long it is, and its bytes.
func FuzzTunnel(f *testing.F) {
	for _, m := range []string{confirm, "5d 00000001 00000100", "5e 00000001 00000002 6869", "61 00000001", "5c 00000001 00000001 00000000 00000000", "01 00000002 0000", offer, pfwd, "d0 00000001"} {
		b, _ := hex.DecodeString(clean(m))
		f.Add(append([]byte{byte(len(b))}, b...))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		s := newScripted()
		for _, m := range []string{version, pfwd, offer} {
			s.say <- m
		}
		go func() {
			for {
				select {
				case <-s.heard:
				case <-s.closed:
					return
				}
			}
		}()
		tn, err := apf.Connect(context30(t), s, apf.Options{Settle: time.Nanosecond, OpenTime: 20 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		opened := make(chan *apf.Conn, 1)
		go func() { c, _ := tn.Open(context30(t), 16992); opened <- c }()
		for n := 0; len(in) > 0 && n < 40; n++ {
			l := min(int(in[0]), len(in)-1)
			s.say <- hex.EncodeToString(in[1 : 1+l])
			in = in[1+l:]
		}
		if c := <-opened; c != nil {
			_ = c.SetDeadline(time.Now().Add(time.Millisecond))
			_, _ = c.Read(make([]byte, 100))
			_, _ = c.Write(make([]byte, 100))
			_ = c.Close()
		}
		done := make(chan struct{})
		go func() { _ = tn.Close(); close(done) }()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatal("the tunnel does not close")
		}
	})
}
