package apf

import (
	"amtmedic/amt"
)

// Type is the first byte of a message.
type Type byte

// The types. All numbers behind the first byte are big-endian.
const (
	TypeDisconnect           Type = 1
	TypeServiceRequest       Type = 5
	TypeServiceAccept        Type = 6
	TypeUserAuthRequest      Type = 50
	TypeUserAuthFailure      Type = 51
	TypeUserAuthSuccess      Type = 52
	TypeGlobalRequest        Type = 80
	TypeRequestSuccess       Type = 81
	TypeRequestFailure       Type = 82
	TypeChannelOpen          Type = 90
	TypeChannelConfirmation  Type = 91
	TypeChannelFailure       Type = 92
	TypeWindowAdjust         Type = 93
	TypeChannelData          Type = 94
	TypeChannelClose         Type = 97
	TypeProtocolVersion      Type = 192
	TypeKeepAliveRequest     Type = 208
	TypeKeepAliveReply       Type = 209
	TypeKeepAliveOptions     Type = 210
	TypeKeepAliveOptionsDone Type = 211
)

// Names in messages.
const (
	ServiceAuth    = "auth@amt.intel.com" // log-in; LMS grants it without looking
	ServiceForward = "pfwd@amt.intel.com" // port forwarding
	RequestForward = "tcpip-forward"      // global requests
	RequestCancel  = "cancel-tcpip-forward"
	RequestUDP     = "udp-send-to@amt.intel.com"
	OpenForwarded  = "forwarded-tcpip" // channel towards the firmware
	OpenDirect     = "direct-tcpip"    // channel that the firmware opens to a port of the PC
	MethodNone     = "none"
	MethodPassword = "password"
)

// TriggerLME is the trigger reason of a session over this interface, as LMS names it (LMS_if_constants.h).
// rpc-go sends 9, and MeshAgent the firmware's own; all three work in the field.
const TriggerLME = 254

// Message is one message: of the types below those without a pointer.
type Message interface {
	// Type gives the first byte.
	Type() Type
	put(*writer)
}

type (
	// ProtocolVersion is the first message of both sides, 93 bytes with 64 that are reserved.
	ProtocolVersion struct {
		Major, Minor, Trigger uint32
		UUID                  [16]byte // of the PC, in wire order; zero from LMS
	}
	// ServiceRequest asks for a service.
	ServiceRequest struct{ Service string }
	// ServiceAccept grants it.
	ServiceAccept struct{ Service string }
	// UserAuthRequest is a log-in of the firmware. The password is there with MethodPassword only.
	UserAuthRequest struct {
		User, Service, Method string
		Password              amt.Secret
	}
	// UserAuthSuccess accepts it.
	UserAuthSuccess struct{}
	// UserAuthFailure refuses it and lists the methods that may go on, separated by commas.
	UserAuthFailure struct {
		Methods string
		Partial bool
	}
	// Forward asks the other side to accept connections for a port (tcpip-forward), or with Cancel no
	// longer. An empty address or that of the loopback means local callers, 0.0.0.0 the remote tunnel.
	Forward struct {
		Cancel    bool
		WantReply bool
		Address   string
		Port      uint32
	}
	// SendUDP asks to send a datagram for the firmware.
	SendUDP struct {
		WantReply  bool
		Address    string
		Port       uint32
		Origin     string
		OriginPort uint32
		Data       []byte
	}
	// OtherRequest is a global request of another name, with what follows WantReply.
	OtherRequest struct {
		Name      string
		WantReply bool
		Rest      []byte
	}
	// RequestSuccess answers a global request; Port is there in the answer to Forward only.
	RequestSuccess struct {
		HasPort bool
		Port    uint32
	}
	// RequestFailure refuses it.
	RequestFailure struct{}
	// ChannelOpen opens a channel: Address and Port are where it goes, Origin who called.
	ChannelOpen struct {
		Kind       string // OpenForwarded, OpenDirect
		Sender     uint32 // number of the channel with who sends this
		Window     uint32 // bytes that it takes before the first WindowAdjust
		Address    string
		Port       uint32
		Origin     string
		OriginPort uint32
	}
	// ChannelConfirmation opens it on the other side.
	ChannelConfirmation struct{ Recipient, Sender, Window uint32 }
	// ChannelFailure refuses it.
	ChannelFailure struct{ Recipient, Reason uint32 }
	// WindowAdjust lets the other side send so many bytes more.
	WindowAdjust struct{ Recipient, Bytes uint32 }
	// ChannelData carries bytes. Data of a decoded message shares the memory that was decoded.
	ChannelData struct {
		Recipient uint32
		Data      []byte
	}
	// ChannelClose ends a channel; the other side answers with its own.
	ChannelClose struct{ Recipient uint32 }
	// Disconnect ends the tunnel.
	Disconnect struct{ Reason uint32 }
	// KeepAlive is a request (or with Reply the answer) whose cookie comes back.
	KeepAlive struct {
		Reply  bool
		Cookie uint32
	}
	// KeepAliveOptions sets how often to ask, in seconds (or with Reply says what is set).
	KeepAliveOptions struct {
		Reply             bool
		Interval, Timeout uint32
	}
)

// Type gives TypeProtocolVersion.
func (ProtocolVersion) Type() Type { return TypeProtocolVersion }

// Type gives TypeServiceRequest.
func (ServiceRequest) Type() Type { return TypeServiceRequest }

// Type gives TypeServiceAccept.
func (ServiceAccept) Type() Type { return TypeServiceAccept }

// Type gives TypeUserAuthRequest.
func (UserAuthRequest) Type() Type { return TypeUserAuthRequest }

// Type gives TypeUserAuthSuccess.
func (UserAuthSuccess) Type() Type { return TypeUserAuthSuccess }

// Type gives TypeUserAuthFailure.
func (UserAuthFailure) Type() Type { return TypeUserAuthFailure }

// Type gives TypeGlobalRequest.
func (Forward) Type() Type { return TypeGlobalRequest }

// Type gives TypeGlobalRequest.
func (SendUDP) Type() Type { return TypeGlobalRequest }

// Type gives TypeGlobalRequest.
func (OtherRequest) Type() Type { return TypeGlobalRequest }

// Type gives TypeRequestSuccess.
func (RequestSuccess) Type() Type { return TypeRequestSuccess }

// Type gives TypeRequestFailure.
func (RequestFailure) Type() Type { return TypeRequestFailure }

// Type gives TypeChannelOpen.
func (ChannelOpen) Type() Type { return TypeChannelOpen }

// Type gives TypeChannelConfirmation.
func (ChannelConfirmation) Type() Type { return TypeChannelConfirmation }

// Type gives TypeChannelFailure.
func (ChannelFailure) Type() Type { return TypeChannelFailure }

// Type gives TypeWindowAdjust.
func (WindowAdjust) Type() Type { return TypeWindowAdjust }

// Type gives TypeChannelData.
func (ChannelData) Type() Type { return TypeChannelData }

// Type gives TypeChannelClose.
func (ChannelClose) Type() Type { return TypeChannelClose }

// Type gives TypeDisconnect.
func (Disconnect) Type() Type { return TypeDisconnect }

// Type gives the request's or the reply's.
func (k KeepAlive) Type() Type {
	if k.Reply {
		return TypeKeepAliveReply
	}
	return TypeKeepAliveRequest
}

// Type gives the request's or the reply's.
func (k KeepAliveOptions) Type() Type {
	if k.Reply {
		return TypeKeepAliveOptionsDone
	}
	return TypeKeepAliveOptions
}
