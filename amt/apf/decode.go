package apf

import (
	"encoding/binary"
	"fmt"

	"amtmedic/amt"
)

// maxName bounds names, addresses and log-in fields, in bytes: the longest known has 25.
const maxName = 1024

// MessageError says why bytes are no message.
type MessageError struct {
	Type   Type
	Length int    // of all
	Text   string // "it ends within the port"
}

// Error gives type, length and fault.
func (e *MessageError) Error() string {
	return fmt.Sprintf("message of type %d with %d bytes: %s", e.Type, e.Length, e.Text)
}

// Is makes every MessageError an ErrProtocol.
func (e *MessageError) Is(target error) bool { return target == ErrProtocol }

// reader takes a message apart. After the first fault it gives zeros.
type reader struct {
	b    []byte
	text string // the fault
}

func (r *reader) fail(format string, a ...any) {
	if r.text == "" {
		r.text = fmt.Sprintf(format, a...)
	}
	r.b = nil
}

func (r *reader) take(n int, what string) []byte {
	if r.text != "" {
		return nil
	}
	if n > len(r.b) {
		r.fail("it ends within %s", what)
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) u32(what string) uint32 {
	b := r.take(4, what)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

func (r *reader) bool(what string) bool {
	b := r.take(1, what)
	return b != nil && b[0] != 0
}

func (r *reader) name(what string) string {
	n := r.u32("the length of " + what)
	if n > maxName {
		r.fail("%s is said to have %d bytes", what, n)
		return ""
	}
	return string(r.take(int(n), what))
}

func (r *reader) data(what string) []byte {
	n := r.u32("the length of " + what)
	if r.text == "" && uint64(n) > uint64(len(r.b)) {
		r.fail("%s is said to have %d bytes, %d are there", what, n, len(r.b))
		return nil
	}
	return r.take(int(n), what)
}

// Decode reads one message. Bytes behind it are left alone, as the peers do. An error is a
// *MessageError; a type that is not known is one too.
func Decode(b []byte) (Message, error) {
	if len(b) == 0 {
		return nil, &MessageError{Text: "it is empty"}
	}
	r := &reader{b: b[1:]}
	m := r.message(Type(b[0]))
	if r.text != "" {
		return nil, &MessageError{Type: Type(b[0]), Length: len(b), Text: r.text}
	}
	return m, nil
}

func (r *reader) message(t Type) Message {
	switch t {
	case TypeDisconnect:
		return Disconnect{r.u32("the reason")} // two reserved bytes follow
	case TypeServiceRequest:
		return ServiceRequest{r.name("the service")}
	case TypeServiceAccept:
		return ServiceAccept{r.name("the service")}
	case TypeUserAuthRequest:
		return r.userAuth()
	case TypeUserAuthFailure:
		return UserAuthFailure{r.name("the methods"), r.bool("the partial success")}
	case TypeUserAuthSuccess:
		return UserAuthSuccess{}
	case TypeGlobalRequest:
		return r.request()
	case TypeRequestSuccess:
		if len(r.b) == 0 {
			return RequestSuccess{}
		}
		return RequestSuccess{HasPort: true, Port: r.u32("the port")}
	case TypeRequestFailure:
		return RequestFailure{}
	case TypeProtocolVersion:
		return r.version()
	case TypeKeepAliveRequest, TypeKeepAliveReply:
		return KeepAlive{t == TypeKeepAliveReply, r.u32("the cookie")}
	case TypeKeepAliveOptions, TypeKeepAliveOptionsDone:
		return KeepAliveOptions{t == TypeKeepAliveOptionsDone, r.u32("the interval"), r.u32("the timeout")}
	}
	return r.channel(t)
}

// channel reads the messages that concern one channel.
func (r *reader) channel(t Type) Message {
	switch t {
	case TypeChannelOpen:
		m := ChannelOpen{Kind: r.name("the kind of channel"), Sender: r.u32("the channel"), Window: r.u32("the window")}
		r.u32("the reserved word")
		m.Address, m.Port = r.name("the address"), r.u32("the port")
		m.Origin, m.OriginPort = r.name("the origin"), r.u32("the origin's port")
		return m
	case TypeChannelConfirmation:
		m := ChannelConfirmation{r.u32("the channel"), r.u32("the sender's channel"), r.u32("the window")}
		r.u32("the reserved word")
		return m
	case TypeChannelFailure:
		return ChannelFailure{r.u32("the channel"), r.u32("the reason")} // 8 reserved bytes follow, in some 0
	case TypeWindowAdjust:
		return WindowAdjust{r.u32("the channel"), r.u32("the number of bytes")}
	case TypeChannelData:
		return ChannelData{r.u32("the channel"), r.data("the data")}
	case TypeChannelClose:
		return ChannelClose{r.u32("the channel")}
	}
	r.fail("the type is not known")
	return nil
}

func (r *reader) version() Message {
	m := ProtocolVersion{Major: r.u32("the version"), Minor: r.u32("the version"), Trigger: r.u32("the trigger reason")}
	copy(m.UUID[:], r.take(16, "the UUID"))
	r.take(64, "the reserved bytes")
	return m
}

func (r *reader) userAuth() Message {
	m := UserAuthRequest{User: r.name("the user"), Service: r.name("the service"), Method: r.name("the method")}
	if m.Method == MethodPassword {
		r.bool("the flag")
		m.Password = amt.NewSecret(r.name("the password"))
	}
	return m
}

func (r *reader) request() Message {
	name, reply := r.name("the request"), r.bool("the wish for a reply")
	switch name {
	case RequestForward, RequestCancel:
		return Forward{name == RequestCancel, reply, r.name("the address"), r.u32("the port")}
	case RequestUDP:
		return SendUDP{reply, r.name("the address"), r.u32("the port"), r.name("the origin"), r.u32("the origin's port"), r.data("the datagram")}
	}
	return OtherRequest{name, reply, r.b}
}
