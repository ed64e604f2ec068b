package tui

import (
	"testing"

	"amtmedic/diag/probe"
)

// The steps of the core come by themselves behind the last repair, in the place of the walk, and the
// verdict stands behind them.
func TestProvisioningFollowsTheRepair(t *testing.T) {
	f := newFake(split(), beingProvisioned(probe.ProgressRunning), beingProvisioned(probe.ProgressDone))
	d := newDriver(t, options(f), 80, 24)
	d.keys("enter", "enter", "type:geheim", "enter", "type:yes", "enter")
	d.want("Provisioning runs", "◐           commit", "7 of 10 steps", "nothing is lost", "carries on at commit", "back (it carries on)")
	d.keys("esc").want("done:")
	d.keys(":", "type:provisioning", "enter").want("Provisioning runs")
	f.next("done")
	d.message(d.m.feed.look())
	d.want("The client is provisioned, and by this server.", "10 of 10 steps", "✓ 10:05:35  provisioned")
	d.keys("enter").want("ok-provisioned")
}

// A client that was put off shows why, and the way to the page about it.
func TestProvisioningDelayed(t *testing.T) {
	d := newDriver(t, options(newFake(beingProvisioned(probe.ProgressDelayed))), 80, 24)
	d.want("The core put the client off: rc-pps-mismatch", "✗ 10:05:32  TLS-PSK session", "the session ended at connect (key)", "tries again at 10:06:05")
	d.keys("enter").want("rc-pps-mismatch")
}

// Without a repair in this case there is nothing to follow.
func TestProvisioningEmpty(t *testing.T) {
	d := newDriver(t, options(newFake(probing())), 80, 24)
	d.keys(":", "type:provisioning", "enter").want("Nothing is being provisioned in this case.")
}
