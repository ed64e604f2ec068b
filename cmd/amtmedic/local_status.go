package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"amtmedic/amt"
	"amtmedic/amt/device"
)

// localStatus is the JSON form of local status. What could not be read is empty or null.
type localStatus struct {
	Via         string        `json:"via"`
	Port        int           `json:"port"`
	Ports       []int         `json:"ports"`
	TLS         bool          `json:"tls"`
	Certificate *localCert    `json:"certificate"`
	Server      string        `json:"server"`
	AMTVersion  string        `json:"amt_version"`
	UUID        string        `json:"uuid"`
	ProvState   string        `json:"prov_state"`
	ControlMode string        `json:"control_mode"`
	FQDN        string        `json:"fqdn"`
	Clock       string        `json:"clock"`
	Network     *localNetwork `json:"network"`
	Redirection *localSwitch  `json:"redirection"`
	NetworkTLS  *localTLS     `json:"tls_settings"`
	Problems    []amt.Problem `json:"problems"`
	Notes       []amt.Problem `json:"notes"`
}

type localNetwork struct {
	MAC     string   `json:"mac"`
	Link    *bool    `json:"link"`
	DHCP    *bool    `json:"dhcp"`
	Address string   `json:"address"`
	Mask    string   `json:"mask"`
	Gateway string   `json:"gateway"`
	DNS     []string `json:"dns"`
	Ping    *bool    `json:"ping"`
	RMCP    *bool    `json:"rmcp"`
}

type localSwitch struct {
	SOL      *bool `json:"sol"`
	IDER     *bool `json:"ider"`
	Listener *bool `json:"listener"`
}

type localTLS struct {
	Network bool `json:"network"`
	Local   bool `json:"local"`
	Plain   bool `json:"plain"`
	Mutual  bool `json:"mutual"`
}

func localStatusRun(e *env, w localWorld, args []string) (int, error) {
	fs := flags("local status [--user NAME] [--password-file FILE] [--via lms|tunnel] [--root FILE] [--pin SHA256] [--json]")
	f := addLocal(fs, "print one JSON object")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	trust, err := f.check(fs, words)
	if err != nil {
		return exitUsage, err
	}
	ctx, cancel := context.WithTimeout(e.ctx, *f.timeout)
	defer cancel()
	st := localStatus{Ports: []int{}, Problems: []amt.Problem{}, Notes: []amt.Problem{}}
	code, err := st.gather(ctx, e, w, f, trust)
	if e.ctx.Err() != nil {
		return exitInterrupt, &amt.Error{Op: "ask the local AMT", Err: errors.New("interrupted")}
	}
	if *f.json {
		if werr := writeJSON(e.stdout, st); werr != nil {
			return exitFound, werr
		}
		return code, err
	}
	if st.Via != "" || st.AMTVersion != "" {
		if werr := st.print(e.stdout); werr != nil {
			return exitFound, werr
		}
	}
	return code, err
}

// gather asks for one thing after the other; the first thing that cannot be had at all ends it.
func (st *localStatus) gather(ctx context.Context, e *env, w localWorld, f *localFlags, trust localTrust) (int, error) {
	const op = "ask the local AMT"
	st.fromME(ctx, w)
	fw, err := w.reach(ctx, *f.via, trust)
	if fw != nil {
		defer func() { _ = fw.Close() }()
		st.Via, st.Port, st.Ports, st.TLS, st.Certificate = fw.way.via, fw.port, fw.way.ports, fw.tls, fw.cert
	}
	if err != nil {
		st.blame(err)
		return localError(op, err)
	}
	st.note(fw)
	server, version, err := fw.server(ctx, func() *tls.Config { return trust.config(func(*localCert) {}) })
	if err != nil {
		st.Problems = append(st.Problems, amt.In("server", "no-answer", "the port does not answer as a web server: %v", err))
		return exitUndecided, &amt.Error{Op: op, Err: fmt.Errorf("port %d does not answer as a web server: %w", fw.port, err), Hint: "does another program than LMS own the port? --via tunnel goes past it"}
	}
	st.Server = plain(server)
	if !version.IsZero() {
		st.AMTVersion = version.String()
	}
	login, ok, err := f.login(e)
	if err != nil {
		return exitUsage, err
	}
	if !ok {
		st.blame(errNoPassword)
		return exitUndecided, noLogin()
	}
	fw.device.LogIn(login)
	asked, cancel := context.WithTimeout(e.ctx, *f.timeout) // without the time of typing a password
	defer cancel()
	if err := st.ask(asked, fw.device); err != nil {
		st.blame(err)
		return localError(op, err)
	}
	if len(st.Problems) > 0 {
		return exitUndecided, nil
	}
	return exitOK, nil
}

// fromME takes what the Management Engine tells without a log-in, where it can be asked.
func (st *localStatus) fromME(ctx context.Context, w localWorld) {
	var h thisHost
	if w.look == nil || w.look(ctx, &h) != nil {
		return
	}
	st.AMTVersion, st.UUID, st.ProvState = h.AMTVersion, h.UUID, h.State
}

// note says what the way itself is worth.
func (st *localStatus) note(fw *localFirmware) {
	if fw.way.via == "lms" && !fw.tls {
		st.Notes = append(st.Notes, amt.In("via", "unproven-lms", "who listens on port %d of this computer is not proven: any program may; --via tunnel or a certificate says more", fw.port))
	}
}

// blame makes a problem of an error.
func (st *localStatus) blame(err error) {
	var u *localUnreached
	var bad *untrusted
	switch {
	case errors.As(err, &u):
		st.Problems = append(st.Problems, u.problems...)
	case errors.As(err, &bad):
		st.Problems = append(st.Problems, amt.In("certificate", "not-trusted", "%v", bad))
	case errors.Is(err, errNoPassword):
		st.Problems = append(st.Problems, amt.In("log in", "no-password", "no password is known: only what needs no log-in was read"))
	case device.KindOf(err) == device.KindLogin:
		st.Problems = append(st.Problems, amt.In("log in", "login-refused", "%v", err))
	default:
		st.Problems = append(st.Problems, amt.In("firmware", "not-read", "%v", err))
	}
}

// ask reads over WS-Man. An operation that this firmware does not have is a note.
func (st *localStatus) ask(ctx context.Context, d device.Device) error {
	id, err := d.Identify(ctx)
	if err != nil {
		return err
	}
	st.AMTVersion = id.Version.String()
	if id.UUID != (amt.UUID{}) {
		st.UUID = id.UUID.String()
	}
	for _, part := range []struct {
		name string
		read func() error
	}{
		{"state", func() error {
			s, err := d.State(ctx)
			if err == nil {
				st.ProvState, st.ControlMode = s.Provisioning.String(), controlWord(s)
			}
			return err
		}},
		{"names", func() error { n, err := d.Names(ctx); st.FQDN = n.FQDN(); return err }},
		{"clock", func() error {
			at, err := d.Clock(ctx)
			if err == nil {
				st.Clock = at.Format("2006-01-02T15:04:05Z")
			}
			return err
		}},
		{"network", func() error { return st.askNetwork(ctx, d) }},
		{"redirection", func() error {
			r, err := d.Redirection(ctx)
			if err == nil {
				st.Redirection = &localSwitch{r.SOL, r.IDER, r.Listener}
			}
			return err
		}},
		{"tls", func() error {
			t, err := d.TLS(ctx)
			if err == nil {
				st.NetworkTLS = &localTLS{t.Remote, t.Local, t.Plain, t.Mutual}
			}
			return err
		}},
	} {
		err := part.read()
		switch device.KindOf(err) {
		case "":
			if err != nil {
				return err
			}
		case device.KindMissing:
			st.Notes = append(st.Notes, amt.In(part.name, "not-there", "this firmware does not tell it"))
		case device.KindFault, device.KindReturn, device.KindAnswer, device.KindHTTP:
			st.Problems = append(st.Problems, amt.In(part.name, "not-read", "%v", err))
		default: // the session itself
			return err
		}
	}
	return nil
}

func (st *localStatus) askNetwork(ctx context.Context, d device.Device) error {
	n, err := d.Network(ctx)
	if err != nil {
		return err
	}
	st.Network = &localNetwork{DHCP: n.DHCP, Address: n.Address, Mask: n.Mask, Gateway: n.Gateway, DNS: n.DNS, Ping: n.Ping, RMCP: n.RMCP}
	c, err := device.Wired(ctx, d)
	if err == nil {
		st.Network.MAC, st.Network.Link = c.MAC, &c.Up
	}
	return err
}

// controlWord gives the control mode as AMT_SetupAndConfigurationService tells it.
func controlWord(s device.State) string {
	switch {
	case s.Provisioning != device.Post:
		return "none"
	case s.Mode == 4:
		return "client"
	case s.Mode == 1:
		return "admin"
	}
	return ""
}

// print writes the status for a person.
func (st *localStatus) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, plain(value))
		}
	}
	if st.Via != "" {
		line("reached through", map[string]string{"lms": "LMS", "tunnel": "a tunnel of the Management Engine interface"}[st.Via]+", port "+strconv.Itoa(st.Port)+map[bool]string{true: " with TLS"}[st.TLS])
	}
	if c := st.Certificate; c != nil {
		line("certificate", c.Subject+", issued by "+c.Issuer+", until "+c.NotAfter.Format("2006-01-02"))
		line("its SHA-256", c.SHA256)
		line("believed by", c.Trusted)
	}
	line("header", st.Server)
	line("AMT version", st.AMTVersion)
	line("UUID", st.UUID)
	line("state", st.ProvState)
	line("control mode", st.ControlMode)
	line("name", st.FQDN)
	line("clock", st.Clock)
	if n := st.Network; n != nil {
		line("MAC address", n.MAC)
		line("link", onOff(n.Link))
		line("DHCP", onOff(n.DHCP))
		line("address", strings.Join(notEmpty(n.Address, n.Mask), " "))
		line("gateway", n.Gateway)
		line("name servers", strings.Join(n.DNS, " "))
		line("answers ping", onOff(n.Ping))
		line("answers presence ping", onOff(n.RMCP))
	}
	if r := st.Redirection; r != nil {
		line("serial over LAN", onOff(r.SOL))
		line("IDE redirection", onOff(r.IDER))
		line("redirection port", onOff(r.Listener))
	}
	if t := st.NetworkTLS; t != nil {
		line("TLS for the network", onOff(&t.Network))
		line("TLS for this computer", onOff(&t.Local))
	}
	err := w.Flush()
	printProblems(out, "problem", st.Problems)
	printProblems(out, "note", st.Notes)
	return err
}

func onOff(b *bool) string {
	if b == nil {
		return ""
	}
	return map[bool]string{true: "on", false: "off"}[*b]
}

func notEmpty(all ...string) (out []string) {
	for _, s := range all {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}
