package device_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/device"
)

// One whole configuration of a simulated client, both ends included. The peer's figure is the number
// of calls that MeshCentral 1.1.55 makes up to its commit, always with TLS; it sets no names and does
// not look for the UUID.
func BenchmarkConfiguration(b *testing.B) {
	for _, c := range []struct {
		method  amt.Method
		version string
		tls     bool
		peer    string
	}{{amt.PSK, "3.2.1", false, "-"}, {amt.PKI, "9.0.0", false, "-"}, {amt.PKI, "9.0.0", true, "23"}} {
		name := string(c.method)
		if c.tls {
			name += " with TLS"
		}
		b.Run(name, func(b *testing.B) {
			var trips, verify, sent, received, connections int
			var took time.Duration
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				bench := simulate(b, c.method, c.version)
				m := bench.first()
				session := bench.setup(m)
				s := bench.settings(m, c.tls)
				s.Users = nil
				var after *device.Session
				reopen := s.Reopen
				s.Reopen = func(logins ...device.Login) device.Device {
					d := reopen(logins...)
					after = bench.last
					return d
				}
				begun := time.Now()
				b.StartTimer()
				if _, err := device.Configure(b.Context(), device.NewWSMan(session), s, &notes{}); err != nil {
					b.Fatal(err)
				}
				took += time.Since(begun)
				one, two := session.Stats(), after.Stats()
				trips, verify, sent, received = one.Exchanges, two.Exchanges, one.Sent+two.Sent, one.Received+two.Received
				connections = one.Connections + two.Connections
			}
			b.ReportMetric(float64(trips), "trips")
			say := func(what, format string, a ...any) {
				fmt.Printf("perf: device | %s %s: %s | "+format+"\n", append([]any{name, c.version, what}, a...)...)
			}
			say("round trips up to the commit", "%d | %s | - | below 30", trips, c.peer)
			say("round trips of the verification", "%d | - | - | -", verify)
			say("connections", "%d | - | - | 2", connections)
			say("kB out and in", "%.1f %.1f | - | - | -", float64(sent)/1000, float64(received)/1000)
			say("ms of a configuration on loopback, both ends", "%.1f | - | - | -", float64(took.Microseconds())/1000/float64(b.N))
		})
	}
}

// One call over an open connection: a request built, sent, answered and read.
func BenchmarkCall(b *testing.B) {
	const answer = `<?xml version="1.0" encoding="UTF-8"?><a:Envelope xmlns:a="http://www.w3.org/2003/05/soap-envelope" xmlns:b="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:c="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:g="http://intel.com/wbem/wscim/1/amt-schema/1/AMT_SetupAndConfigurationService"><a:Header><b:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</b:To><b:RelatesTo>0</b:RelatesTo><c:ResourceURI>http://intel.com/wbem/wscim/1/amt-schema/1/AMT_SetupAndConfigurationService</c:ResourceURI></a:Header><a:Body><g:AMT_SetupAndConfigurationService><g:ProvisioningState>2</g:ProvisioningState></g:AMT_SetupAndConfigurationService></a:Body></a:Envelope>`
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, answer)
	}), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	defer func() { _ = server.Close() }()
	s := device.Open(device.Options{Address: l.Addr().String()})
	defer func() { _ = s.Close() }()
	d := device.NewWSMan(s)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.State(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	fmt.Printf("perf: device | one call over an open connection, both ends | %.0f us | - | - | -\n", float64(b.Elapsed().Microseconds())/float64(b.N))
}
