package device

import (
	"errors"
	"strings"

	"amtmedic/amt/tlspsk"
)

// Facts gives the facts that the outcome of a session stands for, by the keys of the catalogue:
// wire.back (ok, refused, timeout, tls-alert, tls-closed, tls-version), cred.psk (ok, alert, closed)
// and cred.digest (200, 401). What the outcome says nothing about is left out. psk says that the
// session was one with a PID/PPS pair; a nil error is a session that ended well.
func Facts(err error, psk bool) map[string]string {
	out := map[string]string{}
	var e *Error
	if err == nil {
		out["wire.back"], out["cred.digest"] = "ok", "200"
		if psk {
			out["cred.psk"] = "ok"
		}
		return out
	}
	if !errors.As(err, &e) {
		return out
	}
	if back := e.back(); back != "" {
		out["wire.back"] = back
		if psk && back == "ok" {
			out["cred.psk"] = "ok"
		}
	}
	switch {
	case e.Kind == KindKey && tlspsk.ReasonOf(err) != tlspsk.ReasonKey:
		out["cred.psk"] = "closed"
	case e.Kind == KindKey, e.Kind == KindPID:
		out["cred.psk"] = "alert"
	case e.Kind == KindLogin && strings.Contains(e.Err.Error(), "refuses"):
		out["cred.digest"] = "401"
	}
	return out
}

// back is the value of wire.back for an error.
func (e *Error) back() string {
	switch e.Kind {
	case KindUnreachable:
		switch {
		case isTimeout(e.Err):
			return "timeout"
		case strings.Contains(e.Err.Error(), "refused"): // so on every system
			return "refused"
		}
		return ""
	case KindVersion:
		return "tls-version"
	case KindReset:
		return "tls-closed"
	case KindKey, KindPID, KindSuite, KindCertificate, KindPeer, KindTLS:
		if isClosed(e.Err) {
			return "tls-closed"
		}
		return "tls-alert"
	case KindLogin, KindFault, KindReturn, KindMissing, KindClient, KindOTP, KindState, KindVerify, KindAnswer, KindHTTP, KindDropped:
		return "ok"
	}
	return ""
}
