package device

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"amtmedic/amt/tlspsk"
)

func TestFacts(t *testing.T) {
	refusedErr := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	handshake := func(step tlspsk.Step, alert tlspsk.Alert) error { return &tlspsk.AlertError{Step: step, Alert: alert} }
	cases := map[string]struct {
		err  error
		psk  bool
		want string
	}{
		"all well":          {nil, true, "map[cred.digest:200 cred.psk:ok wire.back:ok]"},
		"all well, pki":     {nil, false, "map[cred.digest:200 wire.back:ok]"},
		"refused":           {&Error{Kind: KindUnreachable, Err: refusedErr}, true, "map[wire.back:refused]"},
		"time-out":          {&Error{Kind: KindUnreachable, Err: os.ErrDeadlineExceeded}, true, "map[wire.back:timeout]"},
		"no route":          {&Error{Kind: KindUnreachable, Err: errors.New("no route to host")}, true, "map[]"},
		"wrong PPS, alert":  {&Error{Kind: KindKey, Err: handshake(tlspsk.StepFinished, tlspsk.AlertBadRecordMAC)}, true, "map[cred.psk:alert wire.back:tls-alert]"},
		"wrong PPS, closed": {&Error{Kind: KindKey, Err: &tlspsk.HandshakeError{Step: tlspsk.StepFinished, Err: syscall.ECONNRESET}}, true, "map[cred.psk:closed wire.back:tls-closed]"},
		"version":           {&Error{Kind: KindVersion, Err: errors.New("x")}, false, "map[wire.back:tls-version]"},
		"log-in":            {&Error{Kind: KindLogin, Err: errors.New("401: the client refuses user \"admin\"")}, true, "map[cred.digest:401 cred.psk:ok wire.back:ok]"},
		"log-in not known":  {&Error{Kind: KindLogin, Err: errors.New("401: the client asks for a log-in, and none is known")}, true, "map[cred.psk:ok wire.back:ok]"},
		"return value":      {fmt.Errorf("x: %w", &Error{Kind: KindReturn, Err: errors.New("x")}), true, "map[cred.psk:ok wire.back:ok]"},
		"local":             {&Error{Kind: KindLocal, Err: errors.New("x")}, true, "map[]"},
		"of another":        {errors.New("x"), true, "map[]"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := fmt.Sprint(Facts(c.err, c.psk)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
