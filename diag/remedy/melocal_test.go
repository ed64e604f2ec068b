package remedy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"amtmedic/amt/mei"
	"amtmedic/amt/sim/me"
)

// wire is a connection to a client of a simulated firmware, which was written apart from package mei.
type wire struct {
	fw     *me.Firmware
	id     mei.ID
	answer []byte
}

func (w *wire) MaxMessage() int       { return me.MaxMessage }
func (w *wire) ProtocolVersion() byte { return 1 }
func (w *wire) Close() error          { return nil }

func (w *wire) Write(_ context.Context, p []byte) error {
	w.answer = w.fw.Answer(w.id.Wire(), p)
	return nil
}

func (w *wire) Read(_ context.Context, p []byte) (int, error) { return copy(p, w.answer), nil }

func localME(fw *me.Firmware) LocalME {
	return LocalME{ID: "rm-restart-hello", Poll: time.Millisecond, Dial: func(_ context.Context, id mei.ID) (mei.Link, error) {
		if !fw.Has(id.Wire()) {
			return nil, mei.ErrNoClient
		}
		return &wire{fw: fw, id: id}, nil
	}}
}

// A client whose window has ended says hello again after the repair, and stops with its undo.
func TestRestartHello(t *testing.T) {
	fw := &me.Firmware{AMT: true, On: true, Version: "3.2.1", UUID: [16]byte{0x33, 0x22, 0x11}, State: 1, TLS: 1, WindowOver: true}
	a := RestartHello(localME(fw))
	p, err := a.Plan(t.Context())
	if err != nil || p.Confirm != "yes" || p.Undo == "" || fw.Hellos() {
		t.Fatalf("%+v, %v, hellos %v before the word", p, err, fw.Hellos())
	}
	if rows := fmt.Sprint(p.Rows); !strings.Contains(rows, "00112233-0000") || !strings.Contains(rows, "provisioning state is in") || !strings.Contains(strings.Join(p.ByHand, "\n"), "amtmedic mei restart-hello") {
		t.Errorf("%s", rows)
	}
	done, err := a.Apply(t.Context(), nil)
	if err != nil || !fw.Hellos() || !strings.Contains(done, "accepted") {
		t.Fatalf("%q, %v, hellos %v", done, err, fw.Hellos())
	}
	if done, err = a.Apply(t.Context(), nil); err != nil || !strings.Contains(done, "already") {
		t.Errorf("with an open window: %q, %v", done, err)
	}
	if err := a.Undo(t.Context()); err != nil || fw.Hellos() {
		t.Errorf("undo: %v, hellos %v", err, fw.Hellos())
	}
	if err := a.Undo(t.Context()); err != nil {
		t.Errorf("undo again: %v", err)
	}
}

// What cannot be restarted from here is said before anything is sent.
func TestRestartHelloCannot(t *testing.T) {
	for name, tt := range map[string]struct {
		fw   *me.Firmware
		want error
	}{
		"provisioned":  {&me.Firmware{AMT: true, On: true, Version: "9.0.0", State: 2, Mode: 1}, mei.ErrNothing},
		"nothing held": {&me.Firmware{AMT: true, On: true, Version: "3.2.1"}, mei.ErrCannot},
		"switched off": {&me.Firmware{AMT: true, Watchdog: true, Version: "9.0.0"}, mei.ErrCannot},
		"no AMT":       {&me.Firmware{}, mei.ErrCannot},
	} {
		a := RestartHello(localME(tt.fw))
		if _, err := a.Plan(t.Context()); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := a.Apply(t.Context(), nil); !errors.Is(err, tt.want) || tt.fw.Hellos() {
			t.Errorf("%s: %v, hellos %v", name, err, tt.fw.Hellos())
		}
	}
}
