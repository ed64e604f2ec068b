package engine

import "strconv"

// wsFault is a WS-Management fault. Prefixes of codes are those of the fault envelope: a SOAP, b addressing,
// c enumeration, d transfer, e WS-Management.
type wsFault struct {
	status int    // HTTP
	action string // of the fault message
	code   string // a:Sender, a:Receiver, a:MustUnderstand, a:VersionMismatch
	sub    string
	reason string
	pt     int // PT_STATUS, told in the detail when not 0
}

const (
	actAddressFault  = nsAddress + "/fault"
	actWsmanFault    = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
	actEnumFault     = nsEnum + "/fault"
	actTransferFault = nsTransfer + "/fault"
)

// The faults, with the reasons of DSP0226, WS-Addressing, WS-Enumeration and WS-Transfer. The text of
// faultNoRoute and of faultExists is that of recorded firmware.
var (
	faultNoRoute    = wsFault{400, actAddressFault, "a:Sender", "b:DestinationUnreachable", "No route can be determined to reach the destination role defined by the WSAddressing To.", 0}
	faultAction     = wsFault{400, actAddressFault, "a:Sender", "b:ActionNotSupported", "The action is not supported by the service.", 0}
	faultHeader     = wsFault{400, actAddressFault, "a:Sender", "b:MessageInformationHeaderRequired", "A required message information header, To, MessageID, or Action, is not present.", 0}
	faultSelectors  = wsFault{400, actWsmanFault, "a:Sender", "e:InvalidSelectors", "The selectors for the resource are not valid.", 0}
	faultDenied     = wsFault{400, actWsmanFault, "a:Sender", "e:AccessDenied", "The sender was not authorized to access the resource.", 0}
	faultSchema     = wsFault{400, actWsmanFault, "a:Sender", "e:SchemaValidationError", "The supplied SOAP violates the corresponding XML schema definition.", 0}
	faultExists     = wsFault{400, actWsmanFault, "a:Sender", "e:AlreadyExists", "The sender attempted to create a resource which already exists.", 0}
	faultSize       = wsFault{400, actWsmanFault, "a:Sender", "e:EncodingLimit", "An internal encoding limit was exceeded in a request or would be violated if the message was processed.", 0}
	faultParameter  = wsFault{400, actWsmanFault, "a:Sender", "e:InvalidParameter", "An operation parameter is not valid.", 0}
	faultFeature    = wsFault{400, actWsmanFault, "a:Sender", "e:UnsupportedFeature", "The specified feature is not supported.", 0}
	faultContext    = wsFault{400, actEnumFault, "a:Receiver", "c:InvalidEnumerationContext", "The supplied enumeration context is invalid.", 0}
	faultFilter     = wsFault{400, actEnumFault, "a:Sender", "c:FilteringNotSupported", "Filtered enumeration is not supported.", 0}
	faultShape      = wsFault{400, actTransferFault, "a:Sender", "d:InvalidRepresentation", "The XML content was invalid.", 0}
	faultUnderstand = wsFault{400, actAddressFault, "a:MustUnderstand", "", "One or more mandatory SOAP header blocks not understood", 0}
	faultVersion    = wsFault{400, actAddressFault, "a:VersionMismatch", "", "Version Mismatch", 0}
)

// internal is how Get, Put, Create, Delete, Enumerate and Pull report a PT_STATUS: the fault InternalError
// with the number in its detail (Intel's guide, errors and return values).
func internal(pt int) *wsFault {
	return &wsFault{500, actWsmanFault, "a:Receiver", "e:InternalError", "The service cannot comply with the request due to internal processing errors.", pt}
}

// encode writes the fault in the form of recorded firmware: other prefixes than an answer has, and no
// resource URI.
func (f wsFault) encode(relates, message string) []byte {
	var w writer
	w.WriteString(xmlHead + `<a:Envelope`)
	for _, p := range [...][2]string{{"g", nsBinding}, {"f", nsEventing}, {"e", nsWsman}, {"d", nsTransfer}, {"c", nsEnum},
		{"b", nsAddress}, {"a", nsSOAP12}, {"h", nsTrust}, {"i", nsSecurity}, {"xsi", nsXSI}} {
		w.WriteString(` xmlns:` + p[0] + `="` + p[1] + `"`)
	}
	w.WriteString("><a:Header>")
	w.header(f.action, relates, message)
	w.WriteString("</a:Header><a:Body><a:Fault><a:Code>")
	w.element("a:Value", f.code)
	if f.sub != "" {
		w.WriteString("<a:Subcode>")
		w.element("a:Value", f.sub)
		w.WriteString("</a:Subcode>")
	}
	w.WriteString(`</a:Code><a:Reason><a:Text xml:lang="en-US">`)
	w.escape(f.reason)
	w.WriteString("</a:Text></a:Reason><a:Detail>")
	if f.pt != 0 {
		w.WriteString(`<a:Text xml:lang="en-US">AMT-STATUS ` + strconv.Itoa(f.pt) + `</a:Text>`)
	}
	w.WriteString("</a:Detail></a:Fault>")
	w.close()
	return w.Bytes()
}
