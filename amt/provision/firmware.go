package provision

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/ca"
	"amtmedic/amt/cert"
	"amtmedic/amt/device"
	"amtmedic/amt/profile"
	"amtmedic/amt/tlspsk"
)

// The ports of a client's firmware.
const (
	portPlain = 16992
	portTLS   = 16993
)

// adminUser is the account that every firmware has.
const adminUser = "admin"

// setupHours is how long the setup window is held open for a session.
const setupHours = 1

// Firmware configures clients through their own firmware: TLS to port 16993 of the hello's address,
// with the pair of its PID or with the provisioning certificate, and WS-Man inside.
type Firmware struct {
	// Certificate gives the settings of a session with a Remote Configuration client; nil: this server
	// has no provisioning certificate.
	Certificate func(t Task) (*tls.Config, error)
	// CA signs the certificates of clients whose profile uses TLS; nil: such a client is refused.
	CA *ca.CA
	// Dial opens TCP connections; nil is a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Settle is how long a client may take to come back after its commit; zero is 90 s.
	Settle time.Duration
	// OnExchange is told of every exchange with a client; nil is nobody.
	OnExchange func(device.Exchange)
}

// WithCertificate gives the settings of sessions that show the certificate of a file.
func WithCertificate(f *cert.File) (func(Task) (*tls.Config, error), error) {
	id, err := f.Identity()
	if err != nil {
		return nil, err
	}
	return func(Task) (*tls.Config, error) { return cert.ClientConfig(id), nil }, nil
}

// Configure implements Configurer.
func (f *Firmware) Configure(ctx context.Context, t Task, p device.Progress) (Result, error) {
	o := device.Options{Address: at(t, portTLS), Dial: f.Dial, OnExchange: f.OnExchange}
	switch t.Method {
	case amt.PSK:
		identity, key := tlspsk.PlainPair(string(t.Pair.PID), t.Pair.PPS.Reveal())
		o.PSK = &tlspsk.Config{Identity: identity, Key: func(string) ([]byte, bool) { return key, true }}
	default:
		if f.Certificate == nil {
			return Result{}, &Refusal{Cause: "rc-cert-missing", Words: "this server has no provisioning certificate"}
		}
		var err error
		if o.TLS, err = f.Certificate(t); err != nil {
			return Result{}, err
		}
	}
	for _, k := range t.Known {
		o.Logins = append(o.Logins, device.Login{User: adminUser, Password: k})
	}
	d, err := detect(ctx, device.Open(o), p)
	if err != nil {
		return Result{}, refusalOf(err)
	}
	defer func() { _ = d.Close() }()
	s := f.settings(t, d.API(), o.Logins)
	managed, err := f.managed(ctx, t, d.API(), &s)
	if err != nil {
		return Result{}, err
	}
	r, err := device.Configure(ctx, d, s, p)
	if err != nil {
		return Result{}, refusalOf(err)
	}
	if err := managed.done(ctx); err != nil {
		return Result{}, err
	}
	out := Result{Version: r.Identity.Version.String(), Password: t.Password, Notes: r.Notes}
	if d.API() == device.EOI {
		out.Notes = append(out.Notes, noteEOI)
	}
	return out, nil
}

// noteEOI marks every client that is set up in a way which no firmware has confirmed.
const noteEOI = "set up over the SOAP services of AMT 2.x, of which no sample is public: look at this client"

// stepEOI is noted of a client that speaks the interface of AMT 2.x.
const stepEOI = "speaks-eoi"

// detect finds out which interface a client speaks. One whose commit was sent may be closed for setup
// by now: then what an earlier attempt found out counts.
func detect(ctx context.Context, s *device.Session, p device.Progress) (device.Device, error) {
	if p.Finished(device.StepSent) {
		if p.Finished(stepEOI) {
			return device.NewEOI(s), nil
		}
		return device.NewWSMan(s), nil
	}
	d, err := device.Detect(ctx, s)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if d.API() == device.EOI {
		if err := p.Done(ctx, stepEOI); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return d, nil
}

func (f *Firmware) settings(t Task, api device.API, known []device.Login) device.Settings {
	host, domain, _ := strings.Cut(t.Properties.FQDN, ".")
	s := device.Settings{UUID: t.Job.UUID, Hours: setupHours, Settle: f.Settle, Known: known,
		Names: device.Names{Host: host, Domain: domain}, MEBx: t.MEBx, Users: t.Users, OnlyUsers: t.Profile.Others == profile.Remove,
		Admin: device.Login{User: adminUser, Password: t.Password},
		Reopen: func(logins ...device.Login) device.Device {
			return device.New(api, device.Open(device.Options{Address: at(t, portPlain), Logins: logins, Dial: f.Dial, OnExchange: f.OnExchange}))
		},
		ReopenTLS: func(logins ...device.Login) device.Device {
			return device.New(api, device.Open(device.Options{Address: at(t, portTLS), TLS: cert.ClientConfig(tls.Certificate{}), Logins: logins, Dial: f.Dial, OnExchange: f.OnExchange}))
		}}
	if t.Profile.HostName == profile.Keep {
		s.Names = device.Names{}
	}
	s.OTP = t.OTP
	rights(&s, t.Profile, t.Job.Address.String())
	return s
}

func at(t Task, port int) string {
	return net.JoinHostPort(t.Job.Address.String(), strconv.Itoa(port))
}

// causes names the cause of the catalogue for what ended a session.
var causes = map[device.Kind]string{
	device.KindKey: "rc-pps-mismatch", device.KindPID: "rc-pps-mismatch",
	device.KindSuite: "rc-tls-version", device.KindVersion: "rc-tls-version",
	device.KindUnreachable: "rc-return-path-blocked", device.KindReset: "rc-return-path-blocked", device.KindTimeout: "rc-return-path-blocked",
	device.KindLogin: "rc-admin-password-mismatch", device.KindClient: "rc-uuid-duplicate", device.KindOTP: "rc-otp-mismatch",
	device.KindState: "rc-already-provisioned",
}

// certificateCauses reads the alert by which a client refuses the provisioning certificate. Which alert
// firmware sends for what is not known; these are the meanings of RFC 5246 7.2.2. The first look goes
// there, no more.
var certificateCauses = map[int]string{43: "rc-cert-no-oid", 45: "rc-cert-expired", 48: "rc-cert-hash-not-in-client"}

func certificateCause(err error) string {
	if cause := certificateCauses[device.AlertOf(err)]; cause != "" {
		return cause
	}
	return "rc-cert-suffix-mismatch"
}

// evidenceShown is how many bytes of an answer that is none stand in the log: enough to tell a web
// server from firmware.
const evidenceShown = 256

// refusalOf gives the reason of a delayed entry. Where the session ended decides it; what the catalogue
// has no cause for is a configuration that stopped in the middle.
func refusalOf(err error) error {
	var e *device.Error
	if !errors.As(err, &e) || e.Kind == device.KindLocal { // the database, not the client
		return err
	}
	r := &Refusal{Cause: "rc-half-provisioned", Words: "the configuration stopped at " + e.Step, Err: err}
	if e.Step == "" { // the first look, nothing was set yet
		r.Words = fmt.Sprintf("the session ended at %s (%s)", e.Op, e.Kind)
	}
	if e.Kind == device.KindCertificate {
		r.Cause, r.Words = certificateCause(err), "the client refuses the provisioning certificate"
	}
	if cause := causes[e.Kind]; cause != "" {
		r.Cause, r.Words = cause, fmt.Sprintf("the session ended at %s (%s)", e.Op, e.Kind)
	}
	if e.Kind == device.KindOTP {
		r.Words = e.Err.Error()
	}
	r.Log = err.Error()
	if len(e.Evidence) > 0 {
		r.Log += fmt.Sprintf("; it began with %q", e.Evidence[:min(len(e.Evidence), evidenceShown)])
	}
	if e.Hint != "" {
		r.Log += "; next: " + e.Hint
	}
	return r
}
