package probe

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"amtmedic/diag"
)

// Listeners gives the probe of srv.listen for this machine: who listens on port (0 means 9971),
// and, where the system tells (Linux), on which other ports the provisioning service listens
// instead. service names its processes; empty means amtmedic.
func Listeners(port uint16, service ...string) Probe {
	if port == 0 {
		port = usualPort["net.9971"]
	}
	if len(service) == 0 {
		service = []string{"amtmedic"}
	}
	return Probe{ID: "listen", Check: "chk-listen", Gives: []string{"srv.listen"}, Cost: Read, Limit: listenLimit,
		What: fmt.Sprintf("look who listens on port %d of this machine", port),
		Run: func(ctx context.Context, r Report) error {
			found, how, err := listeners(ctx, port, service)
			if err != nil {
				return err
			}
			list := []string{}
			for _, ap := range found {
				list = append(list, ap.String())
			}
			if len(list) == 0 {
				r.Saw(fmt.Sprintf("nobody listens on port %d (%s)", port, how))
			} else {
				r.Saw("listening: " + strings.Join(list, ", ") + " (" + how + ")")
			}
			r.Fact(diag.Fact{Key: "srv.listen", Vantage: diag.AtServer, Value: list, Evidence: diag.Evidence{how}})
			return nil
		}}
}

// socket is one listening socket of /proc/net/tcp.
type socket struct {
	at    netip.AddrPort
	inode uint64
}

// parseProcNet reads the listening sockets of /proc/net/tcp or tcp6 (Documentation/networking/
// proc_net_tcp: sl, local_address, rem_address, st ... inode). Other lines are passed over.
func parseProcNet(b []byte) []socket {
	const stateListen = "0A"
	var out []socket
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != stateListen {
			continue
		}
		at, ok := procAddress(f[1])
		inode, err := strconv.ParseUint(f[9], 10, 64)
		if ok && err == nil {
			out = append(out, socket{at, inode})
		}
	}
	return out
}

// procAddress reads 0100007F:26F3, whose address is 32-bit words in the byte order of the machine.
// All systems that amtmedic is built for are little-endian.
func procAddress(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	if !ok || (len(host) != 8 && len(host) != 32) {
		return netip.AddrPort{}, false
	}
	p, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	var b []byte
	for i := 0; i < len(host); i += 8 {
		w, err := strconv.ParseUint(host[i:i+8], 16, 32)
		if err != nil {
			return netip.AddrPort{}, false
		}
		b = append(b, byte(w), byte(w>>8), byte(w>>16), byte(w>>24))
	}
	a, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), ok
}

// pick keeps the sockets on port and those of the service, sorted, each once.
func pick(all []socket, port uint16, ours map[uint64]bool) []netip.AddrPort {
	var out []netip.AddrPort
	for _, s := range all {
		if (s.at.Port() == port || ours[s.inode]) && !slices.Contains(out, s.at) {
			out = append(out, s.at)
		}
	}
	slices.SortFunc(out, netip.AddrPort.Compare)
	return out
}
