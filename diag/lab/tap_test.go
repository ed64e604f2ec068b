package lab

import (
	"context"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
	"amtmedic/capture"
)

// tapped runs one connection between two real sockets, each behind a tap, and gives what a scan of
// both captures finds.
func tapped(t *testing.T, client, server func(net.Conn)) (atClient, atServer []capture.Kind) {
	t.Helper()
	w := newWorld(t, 1, "rc-amtconfig-stopped")
	l, err := w.net.listenTCP(context.Background(), w.service.address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	from := w.clock.now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := listener{Listener: l, tap: w.service.tap, at: w.service.address()}.Accept()
		if err == nil {
			server(c)
			_ = c.Close()
		}
	}()
	c, err := w.network.Dial(context.Background(), netip.AddrPortFrom(w.at.client, amt.HelloSourcePort), w.service.address())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	client(c)
	_ = c.Close()
	<-done
	to := w.clock.now()
	find := func(e *ether) (kinds []capture.Kind) {
		err := capture.Scan(context.Background(), e.excerpt(from, to), capture.Options{}, func(e capture.Event) {
			k := e.Kind
			if k == capture.KindClosed {
				k = capture.Kind(e.By + " " + e.How)
			}
			kinds = append(kinds, k)
		})
		if err != nil {
			t.Error(err)
		}
		return kinds
	}
	return find(w.clientEther), find(w.serverEther)
}

func TestTapMirrorsTheEnd(t *testing.T) {
	u, err := amt.ParseUUID("03020100-0504-0706-0809-0a0b0c0d0e0f") // symptom-catalogue 1
	if err != nil {
		t.Fatal(err)
	}
	whole, err := hello.Encode(hello.ForPSK(u, "4WMAPX70"))
	if err != nil {
		t.Fatal(err)
	}
	read := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	tests := []struct {
		name           string
		client, server func(net.Conn)
		want           []capture.Kind
	}{
		{"a hello, closed by the server", func(c net.Conn) { _, _ = c.Write(whole); read(c) },
			func(c net.Conn) { _, _ = io.ReadFull(c, make([]byte, len(whole))) },
			[]capture.Kind{capture.KindSYN, capture.KindSYNACK, capture.KindHello, "server fin"}},
		{"in two pieces", func(c net.Conn) {
			_, _ = c.Write(whole[:10])
			_, _ = c.Write(whole[10:])
			_ = c.(*conn).CloseWrite()
			read(c)
		}, read,
			[]capture.Kind{capture.KindSYN, capture.KindSYNACK, capture.KindHello, "client fin"}},
		{"half a hello", func(c net.Conn) { _, _ = c.Write(whole[:10]) }, read,
			[]capture.Kind{capture.KindSYN, capture.KindSYNACK, "client fin", capture.KindPartial}},
		{"reset by the server", func(c net.Conn) { _, _ = c.Write(whole); read(c) },
			func(c net.Conn) { _, _ = io.ReadFull(c, make([]byte, len(whole))); _ = c.(*conn).SetLinger(0) },
			[]capture.Kind{capture.KindSYN, capture.KindSYNACK, capture.KindHello, "server rst"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, server := tapped(t, tt.client, tt.server)
			slices.Sort(client)
			slices.Sort(server)
			want := slices.Sorted(slices.Values(tt.want))
			if !slices.Equal(client, want) {
				t.Errorf("client's side: %v, want %v", client, want)
			}
			if !slices.Equal(server, want) {
				t.Errorf("server's side: %v, want %v", server, want)
			}
		})
	}
}
