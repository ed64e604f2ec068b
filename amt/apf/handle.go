package apf

import (
	"fmt"
)

// handle acts on a message of the firmware. An error ends the tunnel.
func (t *Tunnel) handle(m Message) error {
	switch m := m.(type) {
	case ProtocolVersion:
		return t.gotVersion(m)
	case Disconnect:
		return &DisconnectError{m.Reason}
	case ServiceRequest:
		return t.gotService(m)
	case UserAuthRequest: // LMS grants it without looking: whoever may open the device may speak here
		return t.send(UserAuthSuccess{})
	case Forward:
		return t.gotForward(m)
	case SendUDP: // the firmware's events; nothing here would send them on
		return t.decline(m.WantReply)
	case OtherRequest:
		return t.decline(m.WantReply)
	case ChannelOpen: // the firmware wants to reach a port of the PC, as for events
		return t.send(ChannelFailure{m.Sender, OpenProhibited})
	case KeepAlive:
		if !m.Reply {
			return t.send(KeepAlive{Reply: true, Cookie: m.Cookie})
		}
	case KeepAliveOptions:
		if !m.Reply {
			return t.send(KeepAliveOptions{Reply: true, Interval: m.Interval, Timeout: m.Timeout})
		}
	default:
		return t.channelMessage(m)
	}
	return nil
}

func (t *Tunnel) decline(reply bool) error {
	if !reply {
		return nil
	}
	return t.send(RequestFailure{})
}

// gotVersion takes the firmware's version. A second one says that it begins anew: it is answered.
func (t *Tunnel) gotVersion(m ProtocolVersion) error {
	if m.Major < 1 {
		_ = t.send(Disconnect{DisconnectVersion})
		return fmt.Errorf("%w: its version is %d.%d, 1.0 is the first", ErrProtocol, m.Major, m.Minor)
	}
	t.mu.Lock()
	again := t.version != nil
	t.version = &m
	t.notify()
	t.mu.Unlock()
	if again {
		return t.send(ProtocolVersion{Major: 1, Trigger: m.Trigger})
	}
	return nil
}

func (t *Tunnel) gotService(m ServiceRequest) error {
	if m.Service != ServiceAuth && m.Service != ServiceForward {
		_ = t.send(Disconnect{DisconnectNoService})
		return fmt.Errorf("%w: it asks for a service %q", ErrProtocol, m.Service)
	}
	t.mu.Lock()
	early := t.version == nil
	t.mu.Unlock()
	if early {
		return fmt.Errorf("%w: it asks for a service before it told its version", ErrProtocol)
	}
	if err := t.send(ServiceAccept(m)); err != nil || m.Service != ServiceForward {
		return err
	}
	t.mu.Lock()
	t.forward = true
	t.notify()
	t.mu.Unlock()
	return nil
}

// gotForward takes or gives up a port. The address says whether callers are those of this PC or of
// the remote tunnel; an offer for the latter is of no use here.
func (t *Tunnel) gotForward(m Forward) error {
	if m.Port == 0 || m.Port > 65535 {
		return t.decline(m.WantReply)
	}
	t.mu.Lock()
	if !t.forward {
		t.mu.Unlock()
		return fmt.Errorf("%w: it offers a port before the service", ErrProtocol)
	}
	switch {
	case m.Cancel:
		delete(t.ports, int(m.Port))
	case m.Address != "0.0.0.0": // that means the remote tunnel, for IPv6 too (LMS, Protocol.cpp)
		t.ports[int(m.Port)] = true
	}
	t.notify()
	t.mu.Unlock()
	if !m.WantReply {
		return nil
	}
	return t.send(RequestSuccess{HasPort: !m.Cancel, Port: m.Port})
}

// channelMessage finds the channel of a message. One that is not known is left alone: it may have
// been closed a moment ago.
func (t *Tunnel) channelMessage(m Message) error {
	var id uint32
	switch m := m.(type) {
	case ChannelConfirmation:
		id = m.Recipient
	case ChannelFailure:
		id = m.Recipient
	case WindowAdjust:
		id = m.Recipient
	case ChannelData:
		id = m.Recipient
	case ChannelClose:
		id = m.Recipient
	default:
		return nil // answers to what we never ask
	}
	t.mu.Lock()
	c := t.channels[id]
	t.mu.Unlock()
	if c != nil {
		return c.handle(m)
	}
	if m, ok := m.(ChannelConfirmation); ok {
		return t.send(ChannelClose{m.Sender})
	}
	return nil
}

// forget gives a channel's number back.
func (t *Tunnel) forget(id uint32) {
	t.mu.Lock()
	delete(t.channels, id)
	t.mu.Unlock()
}
