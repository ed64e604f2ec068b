//go:build !linux && !darwin && !(windows && amd64)

package capture

import "context"

// Live is a live capture, which this version has on Linux, macOS and Windows (amd64).
type Live struct{}

// Available always gives ErrNotSupported on this system.
func Available() error { return liveError(AnyInterface, ErrNotSupported) }

// OpenLive always gives ErrNotSupported on this system.
func OpenLive(iface string, opt LiveOptions) (*Live, error) {
	opt.fill()
	return nil, liveError(iface, ErrNotSupported)
}

// Link gives the link type of the packets.
func (l *Live) Link() LinkType { return LinkEthernet }

// Interfaces gives none.
func (l *Live) Interfaces() []RecordedInterface { return nil }

// Run gives ErrNotSupported.
func (l *Live) Run(context.Context, func(*Packet) error) error { return ErrNotSupported }

// Stats counts nothing.
func (l *Live) Stats() Stats { return Stats{} }

// Close does nothing.
func (l *Live) Close() error { return nil }
