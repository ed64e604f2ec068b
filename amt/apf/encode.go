package apf

import "encoding/binary"

// dataHeader is what stands before the bytes of a ChannelData: type, channel, length.
const dataHeader = 9

// writer collects a message.
type writer struct{ b []byte }

func (w *writer) u32(v uint32)   { w.b = binary.BigEndian.AppendUint32(w.b, v) }
func (w *writer) bytes(v []byte) { w.u32(uint32(len(v))); w.b = append(w.b, v...) }
func (w *writer) text(s string)  { w.u32(uint32(len(s))); w.b = append(w.b, s...) }
func (w *writer) bool(v bool) {
	if v {
		w.b = append(w.b, 1)
		return
	}
	w.b = append(w.b, 0)
}

// Encode gives the bytes of a message.
func Encode(m Message) []byte {
	w := &writer{b: make([]byte, 0, 96)}
	w.b = append(w.b, byte(m.Type()))
	m.put(w)
	return w.b
}

func (m ProtocolVersion) put(w *writer) {
	w.u32(m.Major)
	w.u32(m.Minor)
	w.u32(m.Trigger)
	w.b = append(w.b, m.UUID[:]...)
	w.b = append(w.b, make([]byte, 64)...)
}

func (m ServiceRequest) put(w *writer) { w.text(m.Service) }
func (m ServiceAccept) put(w *writer)  { w.text(m.Service) }

func (m UserAuthRequest) put(w *writer) {
	w.text(m.User)
	w.text(m.Service)
	w.text(m.Method)
	if m.Method == MethodPassword {
		w.bool(false)
		w.text(m.Password.Reveal())
	}
}

func (UserAuthSuccess) put(*writer) {}

func (m UserAuthFailure) put(w *writer) {
	w.text(m.Methods)
	w.bool(m.Partial)
}

func (m Forward) put(w *writer) {
	name := RequestForward
	if m.Cancel {
		name = RequestCancel
	}
	w.text(name)
	w.bool(m.WantReply)
	w.text(m.Address)
	w.u32(m.Port)
}

func (m SendUDP) put(w *writer) {
	w.text(RequestUDP)
	w.bool(m.WantReply)
	w.text(m.Address)
	w.u32(m.Port)
	w.text(m.Origin)
	w.u32(m.OriginPort)
	w.bytes(m.Data)
}

func (m OtherRequest) put(w *writer) {
	w.text(m.Name)
	w.bool(m.WantReply)
	w.b = append(w.b, m.Rest...)
}

func (m RequestSuccess) put(w *writer) {
	if m.HasPort {
		w.u32(m.Port)
	}
}

func (RequestFailure) put(*writer) {}

func (m ChannelOpen) put(w *writer) {
	w.text(m.Kind)
	w.u32(m.Sender)
	w.u32(m.Window)
	w.u32(0xffffffff) // reserved
	w.text(m.Address)
	w.u32(m.Port)
	w.text(m.Origin)
	w.u32(m.OriginPort)
}

func (m ChannelConfirmation) put(w *writer) {
	w.u32(m.Recipient)
	w.u32(m.Sender)
	w.u32(m.Window)
	w.u32(0xffffffff) // reserved
}

func (m ChannelFailure) put(w *writer) {
	w.u32(m.Recipient)
	w.u32(m.Reason)
	w.u32(0) // two reserved words
	w.u32(0)
}

func (m WindowAdjust) put(w *writer) {
	w.u32(m.Recipient)
	w.u32(m.Bytes)
}

func (m ChannelData) put(w *writer) {
	w.u32(m.Recipient)
	w.bytes(m.Data)
}

func (m ChannelClose) put(w *writer) { w.u32(m.Recipient) }

func (m Disconnect) put(w *writer) {
	w.u32(m.Reason)
	w.b = append(w.b, 0, 0) // reserved
}

func (m KeepAlive) put(w *writer) { w.u32(m.Cookie) }

func (m KeepAliveOptions) put(w *writer) {
	w.u32(m.Interval)
	w.u32(m.Timeout)
}
