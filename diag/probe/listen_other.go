//go:build !linux

package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"amtmedic/amt"
)

const listenLimit = 5 * time.Second

// listeners tries to take the port on every address of this machine and gives it back at once.
// Where it is taken somebody listens. The list names the addresses at which it is taken.
func listeners(ctx context.Context, port uint16, _ []string) ([]netip.AddrPort, string, error) {
	how := fmt.Sprintf("tried to take port %d", port)
	addrs := []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return nil, "", &amt.Error{Op: "list addresses", Err: err}
	}
	for _, a := range own {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLinkLocalUnicast() {
			addrs = append(addrs, p.Addr())
		}
	}
	var out []netip.AddrPort
	for _, a := range addrs {
		ap := netip.AddrPortFrom(a, port)
		taken, err := takenPort(ctx, ap)
		if err != nil {
			return nil, "", &amt.Error{Op: "try port", Subject: ap.String(), Err: err, Hint: "look with: netstat -an"}
		}
		if taken {
			out = append(out, ap)
		}
	}
	return out, how, nil
}

func takenPort(ctx context.Context, ap netip.AddrPort) (bool, error) {
	network := "tcp4"
	if ap.Addr().Is6() {
		network = "tcp6"
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, network, ap.String())
	switch {
	case err == nil:
		return false, l.Close()
	case isErrno(err, errnoInUse):
		return true, nil
	case ap.Addr().Is6() && !errors.Is(err, context.Canceled):
		return false, nil // IPv6 is off
	}
	return false, err
}
