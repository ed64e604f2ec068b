package device_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/device"
	"amtmedic/amt/sim/engine"
)

// Firmware of unusual manners is configured like any other, over both methods: answers byte by byte, every
// record byte by byte, chunks, connections that end after each answer with a word and without, nonces for
// one request.
func TestMannersOfSimulatedClients(t *testing.T) {
	for _, method := range []amt.Method{amt.PSK, amt.PKI} {
		for _, manner := range []string{"tls=pieces", "http=pieces", "http=chunked", "http=close", "http=drop-after", "http=stale"} {
			t.Run(string(method)+" "+manner, func(t *testing.T) {
				b := simulate(t, method, map[amt.Method]string{amt.PSK: "3.2.1", amt.PKI: "9.0.0"}[method], manner)
				m := b.first()
				sess := b.setup(m)
				ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // the machine may be loaded
				defer cancel()
				r, err := device.Configure(ctx, device.NewWSMan(sess), b.settings(m, method == amt.PKI), &notes{})
				if err != nil || r.Commit != device.Committed || b.client.Line().State != engine.Post {
					t.Errorf("%s, state %s: %v\n%s", r.Commit, b.client.Line().State, err, strings.Join(b.asked, "\n"))
				}
				// That it was so: without it the setup takes one connection, and one challenge at most.
				st := sess.Stats()
				if often := manner == "http=close" || manner == "http=drop-after"; often != (st.Connections > 10) {
					t.Errorf("%d connections", st.Connections)
				}
				refused := strings.Count(strings.Join(b.asked, "\n")+"\n", " 401\n")
				if again := manner == "http=stale"; method == amt.PSK && again != (refused > 10) {
					t.Errorf("%d answers asked for the log-in again", refused)
				}
			})
		}
	}
}

// A client that never comes to the end of its answer, but always says a byte more, costs no more than the
// time of one exchange.
func TestEndlessAnswerIsBounded(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
				for {
					if _, err := c.Write([]byte("<")); err != nil {
						return
					}
					time.Sleep(20 * time.Millisecond)
				}
			}()
		}
	}()
	s := device.Open(device.Options{Address: ln.Addr().String(), CallTime: 300 * time.Millisecond})
	defer func() { _ = s.Close() }()
	begun := time.Now()
	_, err = device.NewWSMan(s).State(t.Context())
	if device.KindOf(err) != device.KindTimeout {
		t.Errorf("got %v", err)
	}
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("it took %v", took)
	}
}
