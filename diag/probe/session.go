package probe

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/device"
	"amtmedic/amt/provision"
	"amtmedic/diag"
)

// FactoryPassword is that of the account admin which nobody changed (provisioning-protocol 3.2).
const FactoryPassword = "admin"

// Session says with which client a session is tried, and with what.
type Session struct {
	PSK      bool           // with a PID/PPS pair; else with the provisioning certificate
	Address  netip.AddrPort // of the client's firmware; the zero value while it is not known
	Expected amt.Secret     // one-time password that the client should have; zero: none is used
	// Provisioned says that the setup is over: its ports do not take such a session any more.
	Provisioned bool
	// Open gives what the server opens the session with. Its error is one of the server's own part.
	Open func(ctx context.Context) (device.Options, error)
}

// sessionLimit ends the try.
const sessionLimit = 8 * time.Second

// Handshake gives the probe that opens a session with the client's firmware as the setup server does:
// the connection back, TLS, the log-in, one question. It sets nothing.
func Handshake(s Session) Probe {
	p := Probe{ID: "session", Check: "chk-back", Gives: []string{"wire.back", "wire.back_dst", "cred.psk", "cred.digest", "cred.otp"}, Cost: Reach, Limit: sessionLimit,
		What: "open a session from the server to " + s.Address.String()}
	if !s.Address.IsValid() || s.Provisioned {
		p.What, p.Needs = "open a session from the server to the client", "a hello of a client that is not provisioned"
		return p
	}
	p.Run = func(ctx context.Context, r Report) error {
		o, err := s.Open(ctx)
		if err != nil { // nothing was tried
			r.Saw("no session is tried: " + err.Error())
			return nil
		}
		state, err := s.try(ctx, o)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for _, f := range s.facts(state, err) {
			r.Fact(f)
		}
		if err != nil {
			r.Saw(err.Error())
		} else {
			r.Saw("a session with " + s.Address.String() + " stands, and the log-in is taken")
		}
		return nil
	}
	return p
}

// try opens the session and asks how far the client is.
func (s Session) try(ctx context.Context, o device.Options) (state device.State, err error) {
	d, err := device.Detect(ctx, device.Open(o))
	if err != nil {
		return state, err
	}
	defer func() { _ = d.Close() }()
	return d.State(ctx)
}

// facts says what the outcome proves.
func (s Session) facts(state device.State, err error) []diag.Fact {
	saw := "session with " + s.Address.String() + ": in order"
	if err != nil {
		saw = err.Error()
	}
	out := []diag.Fact{{Key: "wire.back_dst", Value: s.Address.String()}}
	for key, value := range device.Facts(err, s.PSK) {
		f := diag.Fact{Key: key, Value: value}
		if n, bad := strconv.Atoi(value); bad == nil {
			f.Value = n
		}
		out = append(out, f)
	}
	switch {
	case err != nil:
	case s.Expected.IsZero():
		out = append(out, diag.Fact{Key: "cred.otp", Value: "not-used"})
	case state.OTP.IsZero():
		out = append(out, diag.Fact{Key: "cred.otp", Value: "missing"})
	case subtle.ConstantTimeCompare([]byte(s.Expected.Reveal()), []byte(state.OTP.Reveal())) == 1:
		out = append(out, diag.Fact{Key: "cred.otp", Value: "ok"})
	default:
		out = append(out, diag.Fact{Key: "cred.otp", Value: "wrong"})
	}
	for i := range out {
		out[i].Vantage, out[i].Evidence = diag.AtServer, diag.Evidence{saw}
	}
	return out
}

// Script gives the probe that calls the properties script as the service does, for one client.
func Script(path string, a provision.Asked) Probe {
	p := Probe{ID: "script", Check: "chk-script", Gives: []string{"srv.script"}, Cost: Reach, Limit: 40 * time.Second, What: "call the properties script " + path}
	switch {
	case path == "":
		p.Needs = "the path of the properties script"
	case a.UUID.IsZero():
		p.Needs = "the UUID of the client"
	}
	if p.Needs != "" {
		return p
	}
	p.Run = func(ctx context.Context, r Report) error {
		v := map[string]any{"path": path, "exists": provision.CheckScript(path) == nil}
		if v["exists"] == true {
			began := time.Now()
			answer, known, err := provision.FromScript(path, 0).Properties(ctx, a)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			v["duration_s"] = time.Since(began).Round(time.Millisecond).Seconds()
			v["exit_code"], v["output"] = scriptEnd(answer, known, err)
		}
		r.Fact(diag.Fact{Key: "srv.script", Vantage: diag.AtServer, Value: v, Evidence: diag.Evidence{path}})
		if out, ok := v["output"].(string); ok {
			r.Saw(out)
		}
		return nil
	}
	return p
}

// scriptEnd gives exit code and output of a call. The code is -1 when it was ended before its time.
func scriptEnd(answer provision.Properties, known bool, err error) (code int, output string) {
	var ref *provision.Refusal
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		code = -1
	case !known:
		return 0, "it does not know this client"
	default:
		return 0, "it answers " + answer.FQDN
	}
	output = err.Error()
	if errors.As(err, &ref) {
		output = strings.TrimSpace(ref.Log)
	}
	return code, output
}
