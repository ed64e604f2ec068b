package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"amtmedic/amt"
	"amtmedic/amt/ca"
	"amtmedic/amt/device"
	"amtmedic/amt/profile"
	"amtmedic/amt/provision"
	"amtmedic/amt/sim/front"
	"amtmedic/amt/store"
	"amtmedic/amt/tlspsk"
	"amtmedic/diag"
	"amtmedic/diag/probe"
)

// session gives the probe that opens a session with the client as the core does, with what the server
// has for it, in a world whose core works from the start.
func (w *World) session(v *diag.View) probe.Probe {
	s := probe.Session{PSK: w.plan.method == amt.PSK, Expected: w.plan.otp, Provisioned: v.Obj("db.amts").Str("state") == "provisioned"}
	if from := saidHello(v); from.IsValid() {
		s.Address = netip.AddrPortFrom(from, front.PortTLS)
	}
	s.Open = func(ctx context.Context) (device.Options, error) {
		o := device.Options{Address: s.Address.String(), Dial: w.dial}
		logins := []amt.Secret{amt.NewSecret(probe.FactoryPassword)}
		if s.PSK {
			pair, ok, err := w.store.Key(ctx, amt.PID(v.PID()))
			if err != nil || !ok {
				return o, errors.Join(err, errors.New("the server has no key for the PID"))
			}
			identity, key := tlspsk.PlainPair(string(pair.PID), pair.PPS.Reveal())
			o.PSK = &tlspsk.Config{Identity: identity, Key: func(string) ([]byte, bool) { return key, true }}
			logins = append([]amt.Secret{pair.AdminPassword}, logins...)
		} else {
			var err error
			if o.TLS, err = w.present(provision.Task{}); err != nil {
				return o, err
			}
		}
		for _, p := range logins {
			o.Logins = append(o.Logins, device.Login{User: "admin", Password: p})
		}
		return o, nil
	}
	return probe.Handshake(s)
}

// saidHello gives where the client said hello from, the zero value while it is not known.
func saidHello(v *diag.View) netip.Addr {
	for _, key := range []string{"wire.server.hello", "wire.client.hello"} {
		if from, err := netip.ParseAddrPort(v.Obj(key).Str("src")); err == nil {
			return from.Addr()
		}
	}
	return netip.Addr{}
}

// The properties script of the practice server, and the list of names that it reads.
const (
	scriptName = "properties.sh"
	namesName  = "names.txt"
)

// practiceScript answers the name that stands beside the client's UUID in names.txt.
const practiceScript = `#!/bin/sh
# called with UUID, address, method, PID; answers the name in names.txt
cd "$(dirname "$0")" || exit 1
if ! [ -r names.txt ]; then
  echo "names.txt: cannot open: the share with the names is not there" >&2
  exit 1
fi
name=$(grep -i "^$1 " names.txt | cut -d' ' -f2)
[ -n "$name" ] || exit 3
printf '{"fqdn":"%s"}\n' "$name"
`

// script gives the path of the script that the service is told to call; empty when it calls none.
func (w *World) script() string {
	switch {
	case w.now(func(p *plan) bool { return p.script == scriptSound }):
		return filepath.Join(w.work, scriptName)
	case w.now(func(p *plan) bool { return p.script == scriptLost }):
		return filepath.Join(w.work, "old", scriptName)
	}
	return ""
}

// layScript writes script and names as the plan has them.
func (w *World) layScript() error {
	if w.plan.script == scriptNone {
		return nil
	}
	err := os.WriteFile(filepath.Join(w.work, scriptName), []byte(practiceScript), 0o700)
	if err == nil && !w.plan.nameless {
		err = w.layNames()
	}
	return err
}

// layNames puts the list of names where the script looks for it.
func (w *World) layNames() error {
	line := fmt.Sprintf("%s %s\n", w.plan.id.uuid, w.plan.id.client)
	return os.WriteFile(filepath.Join(w.work, namesName), []byte(line), 0o600)
}

// useScript tells the service the path of the script.
func (w *World) useScript() { w.change(func(p *plan) { p.script = scriptSound }) }

// scriptProbe calls the script as the service does.
func (w *World) scriptProbe(v *diag.View) probe.Probe {
	a := provision.Asked{Method: w.plan.method, PID: amt.PID(v.PID())}
	if u, err := amt.ParseUUID(v.UUID()); err == nil {
		a.UUID = u
	}
	a.Address = saidHello(v)
	return probe.Script(w.script(), a)
}

// securedProfile is the profile of a world whose clients are managed over mutual TLS.
const securedProfile = "secured"

// layProfile makes it the default one.
func (w *World) layProfile(ctx context.Context) error {
	if !w.plan.secured {
		return nil
	}
	p := profile.Default(securedProfile)
	p.TLS.Mode = profile.TLSMutual
	body, err := p.JSON()
	if err != nil {
		return err
	}
	_, err = w.store.PutProfiles(ctx, []store.ProfileRow{{Name: p.Name, Body: body}}, p.Name)
	return err
}

// authority says whether the server's certificate authority answers, in the words of srv.ca.
func (w *World) authority(ctx context.Context) string {
	if !w.plan.secured {
		return "not-used"
	}
	if !w.now(func(p *plan) bool { return p.authority }) {
		return "unreachable"
	}
	if _, err := ca.New(w.store, ca.Options{}).Authority(ctx, profile.OwnAuthority); err != nil {
		return "refused"
	}
	return "ok"
}
