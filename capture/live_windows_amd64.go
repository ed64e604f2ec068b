package capture

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// readWait is the longest that the driver waits for a packet. A read without an end would hold up
// the heartbeat, and with an old driver also the stop.
const readWait = 250 * time.Millisecond

// Live is a live capture of one interface through Npcap, which must be installed.
type Live struct {
	name  string
	h     *handle
	link  LinkType
	opt   LiveOptions
	match *Matcher
	seen  pcapStat // counters of the driver when they were read last

	tally
	closeOnce sync.Once
}

// Available tells what keeps live captures from working on this machine at all, as OpenLive would; nil
// when nothing does. It opens no interface.
func Available() error {
	if _, err := loadWpcap(); err != nil {
		return liveError(AnyInterface, err)
	}
	return nil
}

// OpenLive opens an interface by its name in Windows, such as Ethernet, by its description, or by its
// name in Npcap (\Device\NPF_...). Errors come as amt.Error around ErrNoDriver, ErrNoInterface,
// ErrPermission or what the driver said. Close it after Run.
func OpenLive(iface string, opt LiveOptions) (*Live, error) {
	opt.fill()
	if iface == "" {
		iface = AnyInterface
	}
	lib, err := loadWpcap()
	if err != nil {
		return nil, liveError(iface, err)
	}
	all, err := lib.devices()
	if err != nil {
		return nil, liveError(iface, err)
	}
	found, ok := findDevice(all, iface)
	if !ok {
		return nil, deviceError(iface, all)
	}
	l := &Live{name: iface, opt: opt, match: NewMatcher(opt.Ports...)}
	if l.h, err = lib.open(found.device, opt.Promisc); err != nil {
		return nil, liveError(iface, fmt.Errorf("open device: %w", err))
	}
	l.link = l.h.link()
	if !l.link.Known() {
		l.h.close()
		return nil, liveError(iface, fmt.Errorf("link type %d is not known", l.link))
	}
	switch l.link {
	case LinkEthernet, LinkRaw, LinkRaw12, LinkIPv4, LinkIPv6:
		if err := l.h.filter(program(newPortSet(opt.Ports), l.link, false)); err != nil {
			opt.Warn(fmt.Sprintf("%v; packets are sorted out after reading", err))
		}
	}
	return l, nil
}

// Link gives the link type of the packets.
func (l *Live) Link() LinkType { return l.link }

// Interfaces gives the one interface of this capture.
func (l *Live) Interfaces() []RecordedInterface {
	return []RecordedInterface{{Name: l.name, Link: l.link}}
}

// Close closes the device. It must not be called while Run runs.
func (l *Live) Close() error {
	l.closeOnce.Do(l.h.close)
	return nil
}

// Run gives packets until ctx ends, and a heartbeat behind each burst of them and at least once a
// second.
func (l *Live) Run(ctx context.Context, fn func(*Packet) error) error {
	defer onStop(ctx, l.h.breakLoop)()
	defer l.countLost()
	p := Packet{Link: l.link}
	beat, burst, over := time.Now(), false, false // over: no packet follows the burst at once
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if now := time.Now(); over || now.Sub(beat) >= time.Second {
			beat, burst, over = now, false, false
			l.countLost()
			if err := fn(&Packet{Time: now}); err != nil {
				return err
			}
		}
		head, data, err := l.h.next()
		if err != nil {
			return l.readError(err)
		}
		if head == nil {
			over = burst
			continue
		}
		if !l.match.Match(l.link, data) { // the driver's filter may be missing
			continue
		}
		burst = true
		p.Data, p.OrigLen, p.Time = data, int(min(head.size, 1<<30)), time.Unix(int64(head.sec), int64(head.usec)*1000)
		p.Number++
		l.count(&p)
		if err := fn(&p); err != nil {
			return err
		}
	}
}

// readError recognises the words with which the driver tells that an adapter was removed.
func (l *Live) readError(err error) error {
	if strings.Contains(err.Error(), "disappeared") {
		err = errors.Join(ErrInterfaceGone, err)
	}
	return liveError(l.name, err)
}

// countLost reads the driver's counters, which have 32 bits and only grow.
func (l *Live) countLost() {
	now, ok := l.h.stats()
	if !ok {
		return
	}
	lost := uint64(now.dropped-l.seen.dropped) + uint64(now.ifDropped-l.seen.ifDropped)
	l.seen = now
	l.lose(lost, l.opt.Warn)
}
