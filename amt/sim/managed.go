package sim

import (
	"time"

	"amtmedic/amt"
)

// Commit ends the setup over the network: the client is provisioned, and its hellos end.
func (c *Client) Commit() {
	_ = c.change(func(f *firmware, _ time.Time) error {
		f.provisioned = true
		f.close()
		return nil
	})
}

// Unprovision is the call of a managing program. Like that of the MEBx it forgets the configuration;
// partly it keeps pair and server, and hellos begin anew where something is left to set up by.
func (c *Client) Unprovision(partial bool) {
	_ = c.change(func(f *firmware, now time.Time) error { f.unprovision(now, partial); return nil })
}

// SetPair takes a new pair over the network. The sequence of hellos goes on; the next one has the
// new PID.
func (c *Client) SetPair(pid amt.PID, pps amt.Secret) {
	_ = c.change(func(f *firmware, _ time.Time) error { f.pid, f.pps = pid, pps; return nil })
}

// SetCredentials says that the administrator's password was set over the network, or that it is the
// factory's again. The MEBx keeps the one that was typed there.
func (c *Client) SetCredentials(set bool) {
	_ = c.change(func(f *firmware, _ time.Time) error { f.adminSet = set; return nil })
}

// SetWindowEnd moves the end of an open setup window to a moment of the client's clock; one that is
// past closes it.
func (c *Client) SetWindowEnd(at time.Time) {
	_ = c.change(func(f *firmware, now time.Time) error {
		switch {
		case f.ends.IsZero():
		case !at.After(now):
			f.close()
		default:
			f.ends = at
			f.sequence++ // wakes who waits for the old end
		}
		return nil
	})
}

// unprovision forgets the configuration. In full it forgets pair, server, Remote Configuration and,
// before 12.0, the domain too. The password stays.
func (f *firmware) unprovision(now time.Time, partial bool) {
	f.provisioned = false
	if !partial {
		f.rcfg, f.pid, f.pps, f.override = f.cfg.ShipsRemote, "", amt.Secret{}, Override{}
		if !f.version().AtLeast(12, 0) {
			f.domain = ""
		}
		f.everOpened = false
	}
	f.open(now, false)
}
