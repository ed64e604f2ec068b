package capture

import (
	"context"
	"errors"
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
