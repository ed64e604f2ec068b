package tlspsk

import "fmt"

// Alert is the description byte of a TLS alert (RFC 5246 7.2, RFC 4279 6).
type Alert uint8

// The alerts that this package sends or that say something about a PSK handshake.
const (
	AlertCloseNotify           Alert = 0
	AlertUnexpectedMessage     Alert = 10
	AlertBadRecordMAC          Alert = 20
	AlertDecryptionFailed      Alert = 21
	AlertRecordOverflow        Alert = 22
	AlertHandshakeFailure      Alert = 40
	AlertIllegalParameter      Alert = 47
	AlertDecodeError           Alert = 50
	AlertDecryptError          Alert = 51
	AlertProtocolVersion       Alert = 70
	AlertInsufficientSecurity  Alert = 71
	AlertInternalError         Alert = 80
	AlertInappropriateFallback Alert = 86
	AlertUserCanceled          Alert = 90
	AlertNoRenegotiation       Alert = 100
	AlertUnsupportedExtension  Alert = 110
	AlertUnknownPSKIdentity    Alert = 115
)

// alertNames holds the standard's names, those of alerts that only others send included.
var alertNames = map[Alert]string{
	AlertCloseNotify: "close_notify", AlertUnexpectedMessage: "unexpected_message",
	AlertBadRecordMAC: "bad_record_mac", AlertDecryptionFailed: "decryption_failed",
	AlertRecordOverflow: "record_overflow", 30: "decompression_failure",
	AlertHandshakeFailure: "handshake_failure", 41: "no_certificate", 42: "bad_certificate",
	43: "unsupported_certificate", 44: "certificate_revoked", 45: "certificate_expired",
	46: "certificate_unknown", AlertIllegalParameter: "illegal_parameter", 48: "unknown_ca",
	49: "access_denied", AlertDecodeError: "decode_error", AlertDecryptError: "decrypt_error",
	60: "export_restriction", AlertProtocolVersion: "protocol_version",
	AlertInsufficientSecurity: "insufficient_security", AlertInternalError: "internal_error",
	AlertInappropriateFallback: "inappropriate_fallback", AlertUserCanceled: "user_canceled",
	AlertNoRenegotiation: "no_renegotiation", AlertUnsupportedExtension: "unsupported_extension",
	112: "unrecognized_name", AlertUnknownPSKIdentity: "unknown_psk_identity",
}

// String gives number and name, as in "20 bad_record_mac".
func (a Alert) String() string {
	if n := alertNames[a]; n != "" {
		return fmt.Sprintf("%d %s", uint8(a), n)
	}
	return fmt.Sprintf("%d", uint8(a))
}

// AlertError says that an alert ended the session: one that the peer sent, or one that this side
// sent because of Err.
type AlertError struct {
	Alert Alert
	Sent  bool  // by this side; else received
	Step  Step  // how far the handshake was
	Err   error // why this side sent it; nil for a received one
}

// Error names the step, who sent the alert, and why if that is known.
func (e *AlertError) Error() string {
	if !e.Sent {
		return fmt.Sprintf("tls-psk, %s: the peer sent alert %s", e.Step.words(), e.Alert)
	}
	return fmt.Sprintf("tls-psk, %s: %v (sent alert %s)", e.Step.words(), e.Err, e.Alert)
}

// Unwrap gives why this side sent the alert.
func (e *AlertError) Unwrap() error { return e.Err }
