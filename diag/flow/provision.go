package flow

import (
	"context"
	"errors"
	"slices"

	"amtmedic/diag"
	"amtmedic/diag/probe"
)

// goesOn reports whether the road is open behind a repair, in a world whose core can be followed: then
// the walk goes on until the client is provisioned. Nothing is followed twice for one repair.
func (w *Walk) goesOn() bool {
	_, can := w.o.World.(Provisioner)
	w.mu.Lock()
	defer w.mu.Unlock()
	return can && !w.o.ReadOnly && w.repaired && len(w.j.Further) == 0 &&
		slices.Contains([]string{"ok-in-progress", "ok-waiting-retry"}, w.j.Verdict)
}

// provision follows the core until the client is provisioned or delayed; Skip and Recheck end it
// before, and the core goes on alone. What the core saw becomes facts, and the road is judged anew.
// The error is that of the journal.
func (w *Walk) provision(ctx context.Context) error {
	core := w.o.World.(Provisioner)
	v := w.view()
	pctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.mu.Lock()
	w.stop, w.then = cancel, nil
	w.step = Step{Kind: Provisioning, What: "the core provisions the client", Since: w.o.World.Now()}
	w.mu.Unlock()
	w.signal()
	p, err := core.Provision(pctx, v, func(p probe.Progress) {
		w.mu.Lock()
		w.progress = &p
		w.mu.Unlock()
		w.signal()
	})
	w.mu.Lock()
	w.stop = nil
	if pctx.Err() == nil { // it came to its end, or cannot be followed
		w.repaired = false
	}
	if err != nil && pctx.Err() == nil && !errors.Is(err, ErrNoCore) {
		w.notice = "provisioning was not followed further: " + err.Error()
	}
	w.mu.Unlock()
	if ctx.Err() != nil {
		return nil
	}
	if errors.Is(err, ErrNoCore) {
		return nil
	}
	if p.State == probe.ProgressDone {
		if err := w.provisioned(p); err != nil {
			return err
		}
	}
	w.Recheck("")
	return nil
}

// provisioned adds what the core saw when it logged in with the new password.
func (w *Walk) provisioned(p probe.Progress) error {
	saw := diag.Evidence{p.Core + ": the core logged in with the new password and read the state"}
	for _, f := range []diag.Fact{
		{Key: "client.prov_state", Vantage: diag.AtClient, Value: "post", Evidence: saw},
		{Key: "cred.digest", Vantage: diag.AtServer, Value: 200, Evidence: saw},
	} {
		if err := w.add(f, "core"); err != nil {
			return err
		}
	}
	return nil
}
