package device

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/wsman"
)

// wsmanDevice speaks WS-Man over a session.
type wsmanDevice struct {
	*Session
	id      int            // of the last message
	general *wsman.General // as read last; nil when it has changed since
	realm   string         // of the log-in, as the settings name it
}

// NewWSMan gives a client with AMT 3.0 or later.
func NewWSMan(s *Session) Device { return &wsmanDevice{Session: s} }

// API gives WSMan.
func (d *wsmanDevice) API() API { return WSMan }

// ask carries one request and gives its answer, which is no fault.
func (d *wsmanDevice) ask(ctx context.Context, r wsman.Request, once bool) (*wsman.Answer, error) {
	d.id++
	rep, err := d.do(ctx, call{op: r.Op, path: "/wsman", body: r.Encode(d.id), once: once,
		header: "Content-Type: application/soap+xml;charset=UTF-8\r\n"})
	if err != nil {
		return nil, err
	}
	a, err := wsman.Parse(rep.body)
	if err != nil {
		return nil, d.nonsense(r.Op, rep, err)
	}
	if f := a.Fault(); f != nil {
		return nil, d.outcome(r.Op, a, f)
	}
	if rep.status != http.StatusOK {
		return nil, d.nonsense(r.Op, rep, errors.New("it is no fault"))
	}
	return a, nil
}

// nonsense is the error for a reply that is no answer.
func (d *wsmanDevice) nonsense(op string, rep reply, err error) error {
	e := d.failure(op, KindAnswer, err)
	if rep.status != http.StatusOK {
		e.Kind, e.Status, e.Err = KindHTTP, rep.status, fmt.Errorf("HTTP status %d %s: %w", rep.status, http.StatusText(rep.status), err)
		e.Hint = hints[KindHTTP]
	}
	e.Sent, e.Evidence = true, d.evidence(rep.body)
	return e
}

// outcome makes an error of what an answer says; nil stays nil. Anything but a fault and a return
// value means that the answer does not fit the request.
func (d *wsmanDevice) outcome(op string, a *wsman.Answer, err error) error {
	if err == nil {
		return nil
	}
	var f *wsman.Fault
	var ret *wsman.ReturnError
	e := d.failure(op, KindAnswer, err)
	switch {
	case errors.As(err, &f):
		f.Reason, f.Detail = string(d.evidence([]byte(f.Reason))), string(d.evidence([]byte(f.Detail)))
		e.Kind = KindFault
		if f.Unsupported() {
			e.Kind = KindMissing
		}
		e.Hint = hints[e.Kind]
	case errors.As(err, &ret):
		e.Kind, e.Hint = KindReturn, ret.Status().Next
	default:
		e.Sent = true
		if n := a.Content(); n != nil {
			e.Evidence = d.evidence([]byte(fmt.Sprintf("<%s> of %s", n.Local, n.Space)))
		}
	}
	return e
}

func (d *wsmanDevice) get(ctx context.Context, class string, selectors ...wsman.Selector) (*wsman.Node, error) {
	r := wsman.Get(class, selectors...)
	a, err := d.ask(ctx, r, false)
	if err != nil {
		return nil, err
	}
	n, err := a.Instance(class)
	return n, d.outcome(r.Op, a, err)
}

func (d *wsmanDevice) put(ctx context.Context, class string, n wsman.Node, selectors ...wsman.Selector) (*wsman.Node, error) {
	r := wsman.Put(class, n, selectors...)
	a, err := d.ask(ctx, r, false)
	if err != nil {
		return nil, err
	}
	out, err := a.Instance(class)
	return out, d.outcome(r.Op, a, err)
}

// maxPulls bounds a list: no firmware has that many certificates or users.
const maxPulls = 50

// list reads all instances of a class, from the beginning when the connection was lost on the way.
func (d *wsmanDevice) list(ctx context.Context, class string) (all []wsman.Node, err error) {
	for range listTries {
		if all, err = d.listOnce(ctx, class); KindOf(err) != KindDropped || ctx.Err() != nil {
			break
		}
	}
	return all, err
}

// listTries is how often a list is begun.
const listTries = 3

func (d *wsmanDevice) listOnce(ctx context.Context, class string) ([]wsman.Node, error) {
	r := wsman.Enumerate(class)
	a, err := d.ask(ctx, r, false)
	if err != nil {
		return nil, err
	}
	next, err := a.Context()
	if err != nil {
		return nil, d.outcome(r.Op, a, err)
	}
	var all []wsman.Node
	for range maxPulls {
		r := wsman.Pull(class, next)
		// A context is used up by its Pull: what was lost is not sent again under it.
		if a, err = d.ask(ctx, r, true); err != nil {
			return nil, err
		}
		items, more, err := a.Pulled()
		if err != nil {
			return nil, d.outcome(r.Op, a, err)
		}
		all = append(all, items...)
		if more == "" {
			return all, nil
		}
		next = more
	}
	return nil, d.failure(r.Op, KindAnswer, fmt.Errorf("the list does not end after %d answers", maxPulls))
}

// invoke calls a method that may be repeated.
func (d *wsmanDevice) invoke(ctx context.Context, class, method string, params ...wsman.Node) (*wsman.Node, error) {
	return d.result(ctx, wsman.Invoke(class, method, params), class, method, false)
}

func (d *wsmanDevice) result(ctx context.Context, r wsman.Request, class, method string, once bool) (*wsman.Node, error) {
	a, err := d.ask(ctx, r, once)
	if err != nil {
		return nil, err
	}
	n, err := a.Output(class, method)
	return n, d.outcome(r.Op, a, err)
}

// unreadable is the error for an instance whose fields cannot be read.
func (d *wsmanDevice) unreadable(op string, err error) error {
	e := d.failure(op, KindAnswer, err)
	e.Sent = true
	return e
}

// Identify reads version, UUID and realm.
func (d *wsmanDevice) Identify(ctx context.Context) (id Identity, err error) {
	if d.general == nil { // Detect has just read them
		if err = d.readGeneral(ctx); err != nil {
			return id, err
		}
	}
	id.Realm = d.realm
	items, err := d.list(ctx, wsman.ClassSoftware)
	if err != nil {
		return id, err
	}
	text := wsman.Software(items)["AMT"]
	if id.Version, err = amt.ParseVersion(text); err != nil {
		return id, d.unreadable(wsman.ClassSoftware, fmt.Errorf("the version of AMT: %w", err))
	}
	id.UUID, err = d.uuid(ctx, id.Version)
	return id, err
}

// uuid reads the UUID by the way of the version first and by the other one after it. Firmware that
// knows neither has none to tell.
func (d *wsmanDevice) uuid(ctx context.Context, v amt.Version) (amt.UUID, error) {
	ways := []func(context.Context) ([]byte, error){d.setupUUID, d.packageUUID}
	if !v.AtLeast(6, 0) {
		ways[0], ways[1] = ways[1], ways[0]
	}
	for _, way := range ways {
		b, err := way(ctx)
		switch KindOf(err) {
		case KindMissing, KindFault, KindReturn:
			continue
		}
		if err != nil {
			return amt.UUID{}, err
		}
		if len(b) == 16 && !bytes.Equal(b, bytes.Repeat(b[:1], 16)) { // all zeros or ones: none was set
			return amt.UUIDFromWire([16]byte(b)), nil
		}
	}
	return amt.UUID{}, nil
}

func (d *wsmanDevice) setupUUID(ctx context.Context) ([]byte, error) {
	n, err := d.invoke(ctx, wsman.ClassSetup, "GetUuid")
	if err != nil {
		return nil, err
	}
	b, err := base64.StdEncoding.DecodeString(n.Value("UUID"))
	if err != nil {
		return nil, d.unreadable(wsman.ClassSetup+".GetUuid", errors.New("the UUID is not base64"))
	}
	return b, nil
}

func (d *wsmanDevice) packageUUID(ctx context.Context) ([]byte, error) {
	n, err := d.get(ctx, wsman.ClassPackage)
	if err != nil {
		return nil, err
	}
	b, err := hex.DecodeString(n.Value("PlatformGUID"))
	if err != nil {
		return nil, d.unreadable(wsman.ClassPackage, errors.New("PlatformGUID is not hexadecimal"))
	}
	return b, nil
}

func (d *wsmanDevice) readGeneral(ctx context.Context) error {
	n, err := d.get(ctx, wsman.ClassGeneral)
	if err != nil {
		return err
	}
	g := wsman.ReadGeneral(n)
	d.general, d.realm = &g, g.DigestRealm
	return nil
}

// State reads the setup service.
func (d *wsmanDevice) State(ctx context.Context) (State, error) {
	n, err := d.get(ctx, wsman.ClassSetup)
	if err != nil {
		return State{}, err
	}
	s, err := wsman.ReadSetup(n)
	if err != nil {
		return State{}, d.unreadable(wsman.ClassSetup, err)
	}
	return State{Provisioning: ProvState(s.ProvisioningState), Mode: s.ProvisioningMode, ZeroTouch: s.ZeroTouch, OTP: amt.NewSecret(string(s.OTP))}, nil
}

// Clock reads the client's clock.
func (d *wsmanDevice) Clock(ctx context.Context) (time.Time, error) {
	ta0, err := d.lowAccuracy(ctx)
	return time.Unix(ta0, 0).UTC(), err
}

func (d *wsmanDevice) lowAccuracy(ctx context.Context) (int64, error) {
	n, err := d.invoke(ctx, wsman.ClassTime, "GetLowAccuracyTimeSynch")
	if err != nil {
		return 0, err
	}
	v, err := n.Int("Ta0")
	if err != nil {
		return 0, d.unreadable(wsman.ClassTime+".GetLowAccuracyTimeSynch", err)
	}
	return int64(v), nil
}

// SetClock sets the clock in the two calls that the firmware wants for it.
func (d *wsmanDevice) SetClock(ctx context.Context, now func() time.Time) error {
	ta0, err := d.lowAccuracy(ctx)
	if err != nil {
		return err
	}
	tm1 := now().Unix()
	_, err = d.invoke(ctx, wsman.ClassTime, "SetHighAccuracyTimeSynch",
		wsman.ParamInt("Ta0", ta0), wsman.ParamInt("Tm1", tm1), wsman.ParamInt("Tm2", now().Unix()))
	return err
}

// Names reads host and domain.
func (d *wsmanDevice) Names(ctx context.Context) (Names, error) {
	if err := d.readGeneral(ctx); err != nil {
		return Names{}, err
	}
	return Names{Host: d.general.HostName, Domain: d.general.DomainName}, nil
}

// SetNames writes host and domain into the settings as they were read.
func (d *wsmanDevice) SetNames(ctx context.Context, n Names) error {
	if d.general == nil {
		if err := d.readGeneral(ctx); err != nil {
			return err
		}
	}
	if d.general.HostName == n.Host && d.general.DomainName == n.Domain {
		return nil
	}
	changed := d.general.Node.Set("HostName", n.Host).Set("DomainName", n.Domain)
	d.general = nil // what is there after the Put is read again
	_, err := d.put(ctx, wsman.ClassGeneral, changed)
	return err
}
