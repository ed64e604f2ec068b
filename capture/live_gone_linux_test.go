package capture

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"testing"
	"time"
)

// TestLiveInterfaceGoneOnly: one that is removed while it is up is gone, and not also "down".
func TestLiveInterfaceGoneOnly(t *testing.T) {
	isolated(t, func(t *testing.T) {
		output(t, "ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
		output(t, "ip", "link", "set", "va", "up")
		output(t, "ip", "link", "set", "vb", "up")
		var warnings []string
		l, err := OpenLive("vb", LiveOptions{Warn: func(s string) { warnings = append(warnings, s) }})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		removed := false
		err = l.Run(ctx, func(p *Packet) error {
			if p.heartbeat() && !removed {
				removed = true
				output(t, "ip", "link", "del", "vb")
			}
			return nil
		})
		if !errors.Is(err, ErrInterfaceGone) || len(warnings) > 0 {
			t.Errorf("%v, warnings %q", err, warnings)
		}
	})
}

// TestLiveLastPacketsBeforeGone: what came right before an interface went down is told, and does not hide
// that it is removed a little later, which the system does not signal.
func TestLiveLastPacketsBeforeGone(t *testing.T) {
	for _, tt := range []struct {
		name, later string
		gather      time.Duration
	}{
		{"removed before the packets are handed over", "0.03", 400 * time.Millisecond},
		{"handed over before it is removed", "0.3", 30 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			isolated(t, func(t *testing.T) {
				output(t, "ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
				output(t, "ip", "link", "set", "va", "up")
				output(t, "ip", "link", "set", "vb", "up")
				l, err := OpenLive("vb", LiveOptions{Gather: tt.gather})
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				bare, err := Frame(clientV4, serverV4, PSH|ACK, 5, 5, psk(t, 0))
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				remove := exec.Command("sh", "-c", "ip link set vb down; sleep "+tt.later+"; ip link del vb")
				frames := 0
				err = l.Run(ctx, func(p *Packet) error {
					switch {
					case bytes.Contains(p.Data, []byte("4JA2DDBV")):
						frames++
					case p.heartbeat() && remove.Process == nil:
						inject(t, "va", bare)
						return remove.Start()
					}
					return nil
				})
				if !errors.Is(err, ErrInterfaceGone) || frames != 1 {
					t.Errorf("%v, %d frames", err, frames)
				}
				if err := remove.Wait(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
