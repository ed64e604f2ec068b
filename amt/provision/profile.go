package provision

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/device"
	"amtmedic/amt/profile"
	"amtmedic/amt/store"
)

// Profile is what a configuration sets in every client that it is assigned to.
type Profile = profile.Profile

// profile gives the profile of a job's client, with its secrets. One that cannot be applied to this
// client is a Refusal.
func (w *Worker) profile(ctx context.Context, j store.Job, m amt.Method, name string, conf map[string]string) (Profile, error) {
	if name == "" {
		var ok bool
		var err error
		if name, ok, err = w.st.Profile(ctx, j.UUID); err != nil {
			return Profile{}, err
		} else if !ok {
			return Profile{}, &Refusal{Cause: "rc-no-profile", Words: "no profile is assigned to this client, and the default one does not exist"}
		}
	}
	p, err := openProfile(ctx, w.st, name)
	switch {
	case err != nil:
		return p, err
	case !p.For(m):
		return p, &Refusal{Cause: "rc-no-profile", Words: fmt.Sprintf("profile %q is for clients of method %s; this one is set up by %s", name, p.Method, m)}
	}
	return p, contradiction(conf, p)
}

// openProfile reads a profile. What this version cannot do in it is a Refusal, not left out: a client
// would look configured and would not be.
func openProfile(ctx context.Context, st *store.Store, name string) (Profile, error) {
	body, ok, err := st.OpenProfile(ctx, name)
	if err != nil {
		return Profile{}, err
	}
	if !ok {
		return Profile{}, &Refusal{Cause: "rc-no-profile", Words: fmt.Sprintf("there is no profile %q", name)}
	}
	p, err := profile.ReadJSON(name, body)
	if err != nil {
		return p, &Refusal{Cause: "rc-no-profile", Words: fmt.Sprintf("profile %q cannot be applied", name), Err: err}
	}
	return p, nil
}

// CheckTLSMode compares tls_mode of csti_configuration with the default profile, and gives it. They agree
// unless somebody changed one of them by hand: then the error is a Refusal in the words of the
// catalogue, and every client with that profile will be refused with it.
func CheckTLSMode(ctx context.Context, st *store.Store) (mode string, err error) {
	config, err := st.Config(ctx)
	if err != nil {
		return "", err
	}
	p, err := openProfile(ctx, st, config["default_profile"])
	if err != nil {
		return config["tls_mode"], err
	}
	return config["tls_mode"], contradiction(config, p)
}

// contradiction refuses a profile whose TLS is not what the web service goes by (symptom-catalogue 4,
// TLS versus https): consoles would fail for this client.
func contradiction(config map[string]string, p Profile) error {
	mode := config["tls_mode"]
	switch on := mode != "" && mode != profile.TLSOff; {
	case p.TLS.On() == on:
		return nil
	case on:
		return &Refusal{Cause: "rc-https-on-no-tls",
			Words: fmt.Sprintf("profile %q does not use TLS, and tls_mode is %s: the web directory requires https although AMT management would not use TLS", p.Name, mode)}
	}
	return &Refusal{Cause: "rc-https-off-with-tls",
		Words: fmt.Sprintf("profile %q uses TLS, and tls_mode is %s: AMT management would use TLS, but the web directory does not require https", p.Name, mode)}
}

// powerPolicy chooses among the policies that a client offers, which are known by their words only:
// "Desktop: ON in S0", "Mobile: ON in S0, ME Wake in S3, S4-5 (AC only)".
func powerPolicy(want string) func([]device.PowerPolicy) string {
	if want == profile.Keep {
		return nil
	}
	return func(all []device.PowerPolicy) string {
		best := device.PowerPolicy{}
		for _, p := range all {
			text := strings.ToUpper(p.Text)
			sleeps := strings.Contains(text, "S3") || strings.Contains(text, "S4")
			fits := strings.EqualFold(p.Text, want) || strings.EqualFold(p.ID, want)
			switch want {
			case profile.PowerOn:
				fits = strings.Contains(text, "S0") && !sleeps
			case profile.PowerSleep:
				fits = sleeps
			}
			if fits && len(p.Text) > len(best.Text) || fits && best.ID == "" { // the words grow with the states
				best = p
			}
		}
		return best.ID
	}
}

// truth gives the position of a switch, nil where it is left as it is.
func truth(s profile.Switch) *bool {
	if s != profile.On && s != profile.Off {
		return nil
	}
	on := s == profile.On
	return &on
}

// rights puts what a profile says of power, redirection, consent and network into settings.
func rights(s *device.Settings, p Profile, address string) {
	s.PowerFor = powerPolicy(p.Power)
	if r := p.Redirection; !r.IsZero() {
		s.Redirection = &device.Redirection{SOL: truth(r.SOL), IDER: truth(r.IDER), Listener: truth(r.Listener)}
	}
	if c, ok := map[string]device.Consent{profile.ConsentNone: device.ConsentNone, profile.ConsentKVM: device.ConsentKVM, profile.ConsentAll: device.ConsentAll}[p.Consent]; ok {
		s.Consent = &c
	}
	w := p.Wired
	if w.IsZero() {
		return
	}
	n := device.Network{Ping: truth(w.Ping), RMCP: truth(w.RMCP)}
	for _, state := range w.Link {
		n.Link = append(n.Link, profile.LinkNumber(state))
	}
	if w.IP == profile.DHCP || w.IP == profile.Static {
		dhcp := w.IP == profile.DHCP
		n.DHCP = &dhcp
	}
	if w.IP == profile.Static {
		n.Address, n.Mask, n.Gateway, n.DNS = w.Address, w.Mask, w.Gateway, slices.Clone(w.DNS)
		if n.Address == "" {
			n.Address = address
		}
	}
	s.Network = &n
}

// accesses are the words of profiles for where a user may come from.
var accesses = map[string]device.Access{"local": device.LocalAccess, "network": device.NetworkAccess, "any": device.AnyAccess}

// Credentials are what a profile sets beside the password of the administrator.
type Credentials struct {
	MEBx    amt.Secret            // password of the local menu; empty leaves it
	Users   []device.User         // of the access list
	Secrets map[string]amt.Secret // those of them that this client alone has, by the names of the store
}

// Names of the secrets of one client in the store.
const (
	secretMEBx = "mebx"
	secretUser = "user:" // and the name of a user of its access list
)

// secrets makes or finds the passwords that the profile asks for beside that of the administrator. The
// ones that belong to this client alone are kept before they are sent.
func (w *Worker) secrets(ctx context.Context, t *Task) error {
	t.Secrets = map[string]amt.Secret{}
	for _, e := range t.Profile.ACL {
		password, err := w.clientSecret(ctx, t, secretUser+e.User, e.Password)
		if err != nil {
			return err
		}
		t.Users = append(t.Users, device.User{Name: e.User, Password: password, Access: accesses[e.Access], Realms: e.Realms})
	}
	var err error
	switch p := t.Profile.MEBx; p.Rule {
	case profile.Keep:
	case profile.Auto:
		if t.Method == amt.PKI {
			t.MEBx = t.Password // it still has the factory one, with which anybody could undo the setup
		}
	case profile.Network:
		t.MEBx = t.Password
	default:
		t.MEBx, err = w.clientSecret(ctx, t, secretMEBx, p)
	}
	return err
}

// clientSecret gives a fixed password, or the random one that this client has or gets.
func (w *Worker) clientSecret(ctx context.Context, t *Task, name string, p profile.Password) (amt.Secret, error) {
	if p.Rule == profile.Fixed {
		return p.Make(w.o.Random)
	}
	v, err := w.st.ClientSecret(ctx, t.Job.UUID, name)
	if err == nil && v.IsZero() {
		v, err = p.Make(w.o.Random)
	}
	t.Secrets[name] = v
	return v, err
}
