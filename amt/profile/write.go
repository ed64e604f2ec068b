package profile

import (
	"encoding/json"
	"fmt"

	"github.com/goccy/go-yaml"
)

// The forms that are written. Fields that stand as Default has them are left out of none but lists:
// who reads a profile sees all that it decides.
type document struct {
	Name        string         `json:"-" yaml:"name"`
	Method      string         `json:"method" yaml:"method"`
	Network     passwordForm   `json:"network_password" yaml:"network_password"`
	MEBx        passwordForm   `json:"mebx_password" yaml:"mebx_password"`
	TLS         tlsForm        `json:"tls" yaml:"tls"`
	ACL         []entryForm    `json:"acl,omitempty" yaml:"acl,omitempty"`
	Others      string         `json:"other_users" yaml:"other_users"`
	Power       string         `json:"power" yaml:"power"`
	HostName    string         `json:"host_name" yaml:"host_name"`
	Redirection redirectionOut `json:"redirection" yaml:"redirection"`
	Consent     string         `json:"consent" yaml:"consent"`
	Wired       wiredForm      `json:"network" yaml:"network"`
}

type passwordForm struct {
	Rule       string `json:"rule" yaml:"rule"`
	Length     int    `json:"length,omitempty" yaml:"length,omitempty"`
	Characters string `json:"characters,omitempty" yaml:"characters,omitempty"`
	Value      any    `json:"value,omitempty" yaml:"value,omitempty"`
}

type tlsForm struct {
	Mode      string   `json:"mode" yaml:"mode"`
	Authority string   `json:"authority,omitempty" yaml:"authority,omitempty"`
	Days      int      `json:"days,omitempty" yaml:"days,omitempty"`
	Plain     bool     `json:"plain,omitempty" yaml:"plain,omitempty"`
	Local     bool     `json:"local,omitempty" yaml:"local,omitempty"`
	Roots     []string `json:"roots,omitempty" yaml:"roots,omitempty"`
	Names     []string `json:"names,omitempty" yaml:"names,omitempty"`
}

type entryForm struct {
	User     string       `json:"user" yaml:"user"`
	Access   string       `json:"access" yaml:"access"`
	Realms   []string     `json:"realms" yaml:"realms"`
	Password passwordForm `json:"password" yaml:"password"`
}

type redirectionOut struct {
	SOL      Switch `json:"sol" yaml:"sol"`
	IDER     Switch `json:"ider" yaml:"ider"`
	Listener Switch `json:"listener" yaml:"listener"`
}

type wiredForm struct {
	IP      string   `json:"ip" yaml:"ip"`
	Address string   `json:"address,omitempty" yaml:"address,omitempty"`
	Mask    string   `json:"mask,omitempty" yaml:"mask,omitempty"`
	Gateway string   `json:"gateway,omitempty" yaml:"gateway,omitempty"`
	DNS     []string `json:"dns,omitempty" yaml:"dns,omitempty"`
	Ping    Switch   `json:"ping" yaml:"ping"`
	RMCP    Switch   `json:"rmcp_ping" yaml:"rmcp_ping"`
	Link    []string `json:"link,omitempty" yaml:"link,omitempty"`
}

// form makes the form to write; value gives what stands for a secret, nil leaves it out.
func (p Profile) form(value func(Password) any) document {
	password := func(w Password) passwordForm {
		return passwordForm{Rule: w.Rule, Length: w.Length, Characters: w.Characters, Value: value(w)}
	}
	d := document{Name: p.Name, Method: p.Method, Network: password(p.Network), MEBx: password(p.MEBx),
		TLS:    tlsForm{Mode: p.TLS.Mode, Authority: p.TLS.Authority, Days: p.TLS.Days, Plain: p.TLS.Plain, Local: p.TLS.Local, Roots: p.TLS.Roots, Names: p.TLS.Names},
		Others: p.Others, Power: p.Power, HostName: p.HostName, Consent: p.Consent,
		Redirection: redirectionOut(p.Redirection),
		Wired: wiredForm{IP: p.Wired.IP, Address: p.Wired.Address, Mask: p.Wired.Mask, Gateway: p.Wired.Gateway, DNS: p.Wired.DNS,
			Ping: p.Wired.Ping, RMCP: p.Wired.RMCP, Link: p.Wired.Link}}
	for _, e := range p.ACL {
		out := entryForm{User: e.User, Access: e.Access, Password: password(e.Password)}
		for _, r := range e.Realms {
			out.Realms = append(out.Realms, RealmName(r))
		}
		d.ACL = append(d.ACL, out)
	}
	return d
}

// JSON gives the body of a row of csti_profiles. Secrets stand in it in clear, each as an object with the
// one member "secret", which the store seals.
func (p Profile) JSON() (string, error) {
	sealed := p.Network.Sealed || p.MEBx.Sealed
	for _, e := range p.ACL {
		sealed = sealed || e.Password.Sealed
	}
	if sealed {
		return "", fmt.Errorf("write profile %s: its secrets were not opened", p.Name)
	}
	b, err := json.Marshal(p.form(func(w Password) any {
		if w.Value.IsZero() {
			return nil
		}
		return map[string]string{"secret": w.Value.Reveal()}
	}))
	return string(b), err
}

// head stands above every file that is written.
const head = "# A profile of amtmedic. \"amtmedic profiles check FILE\" says what each field can be.\n"

// YAML gives the profile as a file. Secrets stand in it only with reveal; without them an import keeps
// those that the profile of that name has.
func (p Profile) YAML(reveal bool) ([]byte, error) {
	b, err := yaml.MarshalWithOptions(p.form(func(w Password) any {
		if !reveal || w.Value.IsZero() {
			return nil
		}
		return w.Value.Reveal()
	}), yaml.UseLiteralStyleIfMultiline(true), yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("write profile %s: %w", p.Name, err)
	}
	return append([]byte(head), b...), nil
}

// View is the form for "--json": as JSON, with the name, and with secrets only on reveal.
func (p Profile) View(reveal bool) any {
	return struct {
		Name string `json:"name"`
		document
	}{p.Name, p.form(func(w Password) any {
		if !reveal || w.Value.IsZero() {
			return nil
		}
		return w.Value.Reveal()
	})}
}
