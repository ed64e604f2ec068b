package device

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/eoi"
	"amtmedic/amt/wsman"
)

// eoiDevice speaks the SOAP services of AMT 2.x over a session. What no public source states about them
// gives KindMissing: TLS settings, the access list, power policies, a new pair, the setup window. Nothing
// here was ever tried with firmware.
type eoiDevice struct{ *Session }

// NewEOI gives a client with AMT 2.x.
func NewEOI(s *Session) Device { return &eoiDevice{s} }

// New gives a client that speaks an interface, as Detect found it: how a client is reached after its
// commit.
func New(api API, s *Session) Device {
	if api == EOI {
		return NewEOI(s)
	}
	return NewWSMan(s)
}

// Detect finds out which interface a client speaks, with the log-ins of the session: WS-Man unless it is
// not there and the version is below 3.0. Its error is that of WS-Man otherwise.
func Detect(ctx context.Context, s *Session) (Device, error) {
	w := &wsmanDevice{Session: s}
	err := w.readGeneral(ctx)
	if err == nil {
		return w, nil
	}
	if kind := KindOf(err); kind != KindHTTP && kind != KindMissing {
		return nil, err
	}
	e := &eoiDevice{s}
	text, err2 := readEOI(ctx, e, eoi.GetCoreVersion(), eoi.ReadVersion)
	if err2 != nil {
		return nil, err
	}
	if v, err2 := amt.ParseVersion(text); err2 != nil || v.AtLeast(3, 0) {
		return nil, err
	}
	return e, nil
}

// API gives EOI.
func (d *eoiDevice) API() API { return EOI }

// ask carries one request and gives the values of its answer.
func (d *eoiDevice) ask(ctx context.Context, r eoi.Request) (*wsman.Node, error) {
	rep, err := d.do(ctx, call{op: r.Op.Name(), path: r.Op.Service.Path, body: r.Encode(), once: r.Op.Once,
		header: "Content-Type: text/xml; charset=utf-8\r\nSOAPAction: " + r.Action() + "\r\n"})
	if err != nil {
		return nil, err
	}
	n, err := eoi.Parse(rep.body, r)
	if err == nil && rep.status == http.StatusOK {
		return n, nil
	}
	var f *wsman.Fault
	var ret *wsman.ReturnError
	e := d.failure(r.Op.Name(), KindAnswer, err)
	switch {
	case errors.As(err, &f):
		e.Kind = KindFault
		if r.Op.Basis == eoi.Twin {
			e.Kind = KindMissing // its name is a guess: the firmware may have it under another one
			e.Err = fmt.Errorf("%w; the name of this operation is not from the maker", f)
		}
	case errors.As(err, &ret):
		e.Kind, e.Hint = KindReturn, ret.Status().Next
		return nil, e
	case rep.status == http.StatusNotFound || rep.status == http.StatusNotImplemented:
		e.Kind, e.Err = KindMissing, fmt.Errorf("HTTP status %d %s", rep.status, http.StatusText(rep.status))
	case rep.status != http.StatusOK:
		e.Kind, e.Err = KindHTTP, fmt.Errorf("HTTP status %d %s", rep.status, http.StatusText(rep.status))
	default:
		e.Sent = true
	}
	e.Hint, e.Evidence = hints[e.Kind], d.evidence(rep.body)
	return nil, e
}

// readEOI carries a request and reads its answer.
func readEOI[T any](ctx context.Context, d *eoiDevice, r eoi.Request, as func(*wsman.Node) (T, error)) (v T, err error) {
	n, err := d.ask(ctx, r)
	if err != nil {
		return v, err
	}
	if v, err = as(n); err != nil {
		e := d.failure(r.Op.Name(), KindAnswer, err)
		e.Sent = true
		return v, e
	}
	return v, nil
}

// unstated is the error for what no public source states of these services.
func (d *eoiDevice) unstated(op string) error {
	return d.failure(op, KindMissing, errors.New("how the services of AMT 2.x do it is stated by no public source"))
}

// Identify reads version and realm. The UUID stands in the realm of this firmware: "Intel(R) AMT
// (ID:...)" in an emulation of 2.6.3; where it does not, none is told.
func (d *eoiDevice) Identify(ctx context.Context) (id Identity, err error) {
	text, err := readEOI(ctx, d, eoi.GetCoreVersion(), eoi.ReadVersion)
	if err != nil {
		return id, err
	}
	if id.Version, err = amt.ParseVersion(text); err != nil {
		return id, d.failure(eoi.GetCoreVersion().Op.Name(), KindAnswer, fmt.Errorf("the version: %w", err))
	}
	if id.Realm, err = d.realmOf(ctx); err != nil {
		return id, err
	}
	if _, rest, ok := strings.Cut(id.Realm, "(ID:"); ok {
		text, _, _ := strings.Cut(rest, ")")
		id.UUID, _ = amt.ParseUUID(text) // another form tells nothing
	}
	return id, nil
}

// realmOf gives the realm of the challenge, else the one that the firmware tells, else none.
func (d *eoiDevice) realmOf(ctx context.Context) (string, error) {
	if realm := d.Realm(); realm != "" {
		return realm, nil
	}
	realm, err := readEOI(ctx, d, eoi.GetDigestRealm(), eoi.ReadRealm)
	switch KindOf(err) {
	case KindFault, KindMissing, KindReturn:
		return "", nil
	}
	return realm, err
}

// inSetup reports whether the session is one that only a client in setup takes: with a pair, or with a
// provisioning certificate.
func (d *eoiDevice) inSetup() bool {
	switch c := d.o.TLS; {
	case d.o.PSK != nil:
		return true
	case c == nil:
		return false
	case c.GetClientCertificate != nil:
		own, err := c.GetClientCertificate(&tls.CertificateRequestInfo{})
		return err == nil && own != nil && len(own.Certificate) > 0
	default:
		return len(c.Certificates) > 0
	}
}

// State infers how far setup has come from the way in that the client takes: no operation that tells it
// is public. The one-time password is read where it can be set.
func (d *eoiDevice) State(ctx context.Context) (State, error) {
	if _, err := d.ask(ctx, eoi.GetCoreVersion()); err != nil {
		return State{}, err
	}
	if !d.inSetup() {
		return State{Provisioning: Post, Mode: 1}, nil
	}
	s := State{Provisioning: In}
	if d.o.TLS == nil {
		return s, nil
	}
	otp, err := readEOI(ctx, d, eoi.GetOTP(), eoi.ReadOTP)
	switch KindOf(err) {
	case KindFault, KindMissing, KindReturn:
		return s, nil
	}
	if strings.Trim(string(otp), "\x00") != "" { // an unset one is all zeros
		s.OTP = amt.NewSecret(string(otp))
	}
	s.ZeroTouch = err == nil
	return s, err
}

// Clock reads the client's clock.
func (d *eoiDevice) Clock(ctx context.Context) (time.Time, error) {
	ta0, err := readEOI(ctx, d, eoi.ReadClock(), eoi.ReadTa0)
	return time.Unix(ta0, 0).UTC(), err
}

// SetClock sets the client's clock.
func (d *eoiDevice) SetClock(ctx context.Context, now func() time.Time) error {
	ta0, err := readEOI(ctx, d, eoi.ReadClock(), eoi.ReadTa0)
	if err != nil {
		return err
	}
	tm1 := now().Unix()
	_, err = d.ask(ctx, eoi.SetClock(ta0, tm1, now().Unix()))
	return err
}

// Names reads host and domain name.
func (d *eoiDevice) Names(ctx context.Context) (n Names, err error) {
	if n.Host, err = readEOI(ctx, d, eoi.GetHostName(), eoi.ReadHostName); err == nil {
		n.Domain, err = readEOI(ctx, d, eoi.GetDomainName(), eoi.ReadDomainName)
	}
	return n, err
}

// SetNames sets host and domain name.
func (d *eoiDevice) SetNames(ctx context.Context, n Names) error {
	_, err := d.ask(ctx, eoi.SetHostName(n.Host))
	if err == nil && n.Domain != "" {
		_, err = d.ask(ctx, eoi.SetDomainName(n.Domain))
	}
	return err
}

// SetMEBxPassword sets the password of the local menu.
func (d *eoiDevice) SetMEBxPassword(ctx context.Context, password amt.Secret) error {
	d.hide(password.Reveal())
	_, err := d.ask(ctx, eoi.SetMEBxPassword(password.Reveal()))
	return err
}

// SetAdmin sets the administrator. Also when its answer was lost, both log-ins are tried afterwards.
func (d *eoiDevice) SetAdmin(ctx context.Context, l Login) error {
	realm, err := d.realmOf(ctx)
	if err != nil {
		return err
	}
	r := eoi.SetAdmin(l.User, HA1(realm, l))
	if realm == "" {
		return d.failure(r.Op.Name(), KindAnswer, errors.New("the client names no realm for its log-in"))
	}
	sum := HA1(realm, l)
	d.hide(hex.EncodeToString(sum[:]))
	d.hide(base64.StdEncoding.EncodeToString(sum[:]))
	if _, err = d.ask(ctx, r); err != nil && !AfterSend(err) {
		return err
	}
	d.LogIn(append([]Login{l}, without(d.logins, l)...)...)
	return err
}

// Commit ends the setup. It is never sent twice.
func (d *eoiDevice) Commit(ctx context.Context) error {
	_, err := d.ask(ctx, eoi.CommitChanges())
	return err
}

// Unprovision undoes the setup. It is never sent twice.
func (d *eoiDevice) Unprovision(ctx context.Context, full bool) error {
	r := eoi.PartialUnprovision()
	if full {
		r = eoi.Unprovision()
	}
	_, err := d.ask(ctx, r)
	return err
}

// Users gives KindMissing.
func (d *eoiDevice) Users(context.Context) ([]User, error) {
	return nil, d.unstated("read the access list")
}

// SetUser gives KindMissing.
func (d *eoiDevice) SetUser(context.Context, User) error { return d.unstated("set a user") }

// RemoveUser gives KindMissing.
func (d *eoiDevice) RemoveUser(context.Context, string) error { return d.unstated("remove a user") }

// TLS gives KindMissing.
func (d *eoiDevice) TLS(context.Context) (TLSState, error) {
	return TLSState{}, d.unstated("read the TLS settings")
}

// SetTLS gives KindMissing.
func (d *eoiDevice) SetTLS(context.Context, TLS) error { return d.unstated("set TLS") }

// PowerPolicies gives KindMissing.
func (d *eoiDevice) PowerPolicies(context.Context) ([]PowerPolicy, error) {
	return nil, d.unstated("read the power policies")
}

// SetPowerPolicy gives KindMissing.
func (d *eoiDevice) SetPowerPolicy(context.Context, string) error {
	return d.unstated("set the power policy")
}

// TidyTLS gives KindMissing.
func (d *eoiDevice) TidyTLS(context.Context, *x509.Certificate) error {
	return d.unstated("remove certificates")
}

// Redirection gives KindMissing.
func (d *eoiDevice) Redirection(context.Context) (Redirection, error) {
	return Redirection{}, d.unstated("read redirection")
}

// SetRedirection gives KindMissing.
func (d *eoiDevice) SetRedirection(context.Context, Redirection) error {
	return d.unstated("switch redirection")
}

// Consent gives KindMissing: it came with AMT 6.2.
func (d *eoiDevice) Consent(context.Context) (Consent, error) {
	return 0, d.unstated("read the consent of the user")
}

// SetConsent gives KindMissing.
func (d *eoiDevice) SetConsent(context.Context, Consent) error {
	return d.unstated("set the consent of the user")
}

// Network gives KindMissing.
func (d *eoiDevice) Network(context.Context) (Network, error) {
	return Network{}, d.unstated("read the network interface")
}

// SetNetwork gives KindMissing.
func (d *eoiDevice) SetNetwork(context.Context, Network) error {
	return d.unstated("set the network interface")
}

// SetPair gives KindMissing: a pair that is set wrongly would lock the server out.
func (d *eoiDevice) SetPair(context.Context, amt.PID, amt.Secret) error {
	return d.unstated("set a new PID/PPS pair")
}

// ExtendWindow gives KindMissing.
func (d *eoiDevice) ExtendWindow(context.Context, int) error {
	return d.unstated("extend the setup window")
}
