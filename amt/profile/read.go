package profile

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"amtmedic/amt"
)

// Document is a profile as a file has it.
type Document struct {
	Profile Profile
	found   []amt.Problem
	lines   map[string]int
}

// ReadYAML reads the profiles of a file, one a document. An error means that the file is none; what is
// wrong inside a profile is for Judge to say.
func ReadYAML(b []byte) ([]Document, error) {
	nodes, err := parseYAML(b)
	if err != nil {
		return nil, err
	}
	var out []Document
	for _, n := range nodes {
		if n.kind != mapping {
			return nil, fmt.Errorf("line %d: a profile is a list of fields such as name and tls", n.line)
		}
		out = append(out, decode(n, Default("")))
	}
	if len(out) == 0 {
		return nil, errors.New("it holds no profile")
	}
	return out, nil
}

// ReadJSON reads the body of a row of csti_profiles. What this version cannot do is refused, not left
// out: a client would look configured and would not be.
func ReadJSON(name, body string) (Profile, error) {
	n, err := parseJSON(body)
	if err != nil {
		return Profile{}, fmt.Errorf("profile %s: %w", name, err)
	}
	if n.kind != mapping {
		return Profile{}, fmt.Errorf("profile %s: its body is no JSON object", name)
	}
	d := decode(n, Default(name))
	d.Profile.Name = name
	if found := d.Judge(nil); len(found) > 0 {
		return d.Profile, fmt.Errorf("profile %s: %s: %s", name, found[0].Where, found[0].Text)
	}
	return d.Profile, nil
}

// Judge says what makes the profile unfit, by field, and by line where the file has lines. old is the
// profile that it replaces, nil for none: secrets that the file leaves out are taken from there.
func (d *Document) Judge(old *Profile) []amt.Problem {
	if old != nil {
		d.Profile.keep(*old)
	}
	all := append(slices.Clone(d.found), Check(d.Profile)...)
	out := []amt.Problem{}
	for _, p := range all {
		if slices.ContainsFunc(out, func(o amt.Problem) bool { return o.Where == d.place(p.Where) && o.Code == p.Code }) {
			continue
		}
		p.Where = d.place(p.Where)
		out = append(out, p)
	}
	slices.SortStableFunc(out, func(a, b amt.Problem) int { return lineIn(a.Where) - lineIn(b.Where) })
	return out
}

func lineIn(where string) (n int) {
	_, _ = fmt.Sscanf(where, "line %d:", &n)
	return n
}

// place adds the line of a field, or of the nearest one around it.
func (d *Document) place(where string) string {
	for path := where; path != ""; {
		if line := d.lines[path]; line > 0 {
			return fmt.Sprintf("line %d: %s", line, where)
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			break
		}
		path = path[:i]
	}
	return where
}

// keep takes the secrets that were left out from the profile that is replaced.
func (p *Profile) keep(old Profile) {
	keep := func(to *Password, from Password) {
		if to.Rule == Fixed && from.Rule == Fixed && to.Value.IsZero() && !to.Sealed {
			to.Value, to.Sealed = from.Value, from.Sealed
		}
	}
	keep(&p.Network, old.Network)
	keep(&p.MEBx, old.MEBx)
	for i := range p.ACL {
		for _, e := range old.ACL {
			if e.User == p.ACL[i].User {
				keep(&p.ACL[i].Password, e.Password)
			}
		}
	}
}

// reader walks a tree.
type reader struct {
	lines map[string]int
	checker
}

// field reads the value of one field.
type field func(n *node, path string)

func decode(n *node, p Profile) Document {
	r := &reader{lines: map[string]int{}}
	r.fields(n, "", map[string]field{
		"name": r.text(&p.Name), "method": r.text(&p.Method),
		"network_password": r.password(&p.Network), "mebx_password": r.password(&p.MEBx),
		"tls": r.tls(&p.TLS), "acl": r.acl(&p.ACL), "other_users": r.text(&p.Others),
		"power": r.text(&p.Power), "host_name": r.text(&p.HostName), "consent": r.text(&p.Consent),
		"redirection": r.group(map[string]field{
			"sol": r.toggle(&p.Redirection.SOL), "ider": r.toggle(&p.Redirection.IDER), "listener": r.toggle(&p.Redirection.Listener)}),
		"network": r.group(map[string]field{
			"ip": r.text(&p.Wired.IP), "address": r.text(&p.Wired.Address), "mask": r.text(&p.Wired.Mask), "gateway": r.text(&p.Wired.Gateway),
			"dns": r.texts(&p.Wired.DNS), "ping": r.toggle(&p.Wired.Ping), "rmcp_ping": r.toggle(&p.Wired.RMCP), "link": r.texts(&p.Wired.Link)}),
	})
	return Document{Profile: p, found: r.found, lines: r.lines}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// fields reads a mapping; a field that is not known is a problem.
func (r *reader) fields(n *node, path string, known map[string]field) {
	if n.kind != mapping {
		r.say(CodeValue, path, "it is a group of fields: %s", strings.Join(sortedKeys(known), ", "))
		return
	}
	for i, key := range n.keys {
		where := join(path, key)
		r.lines[where] = n.at[i]
		read, ok := known[key]
		if !ok {
			r.lines[clip(where)] = n.at[i]
			r.say(CodeUnknown, clip(where), "there is no such field; there are %s", strings.Join(sortedKeys(known), ", "))
			continue
		}
		read(n.nodes[i], where)
	}
}

func sortedKeys(m map[string]field) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (r *reader) group(known map[string]field) field {
	return func(n *node, path string) { r.fields(n, path, known) }
}

func (r *reader) scalar(n *node, path string) (string, bool) {
	if n.kind != scalar {
		r.say(CodeValue, path, "it is one value, not a list or a group")
		return "", false
	}
	return n.text, true
}

func (r *reader) text(to *string) field {
	return func(n *node, path string) {
		if s, ok := r.scalar(n, path); ok {
			*to = s
		}
	}
}

func (r *reader) texts(to *[]string) field {
	return func(n *node, path string) {
		if n.kind != list {
			r.say(CodeValue, path, "it is a list")
			return
		}
		*to = nil
		for i, kid := range n.nodes {
			where := fmt.Sprintf("%s[%d]", path, i)
			r.lines[where] = kid.line
			if s, ok := r.scalar(kid, where); ok {
				*to = append(*to, s)
			}
		}
	}
}

func (r *reader) number(to *int) field {
	return func(n *node, path string) {
		s, ok := r.scalar(n, path)
		if !ok {
			return
		}
		v, err := strconv.Atoi(s)
		if err != nil {
			r.say(CodeValue, path, "%q is no whole number", clip(s))
			return
		}
		*to = v
	}
}

func (r *reader) truth(to *bool) field {
	return func(n *node, path string) {
		s := Leave
		r.toggle(&s)(n, path)
		*to = s == On
	}
}

// toggle reads on, off or keep, and what YAML calls a truth.
func (r *reader) toggle(to *Switch) field {
	return func(n *node, path string) {
		s, ok := r.scalar(n, path)
		if !ok {
			return
		}
		switch strings.ToLower(s) {
		case "on", "true", "yes":
			*to = On
		case "off", "false", "no":
			*to = Off
		case Keep:
			*to = Leave
		default:
			r.say(CodeValue, path, "%q is not one of keep, on, off", clip(s))
		}
	}
}

// password reads a rule alone ("random"), or a group.
func (r *reader) password(to *Password) field {
	return func(n *node, path string) {
		if n.kind == scalar {
			*to = Password{Rule: n.text}
			return
		}
		p := Password{}
		r.fields(n, path, map[string]field{"rule": r.text(&p.Rule), "length": r.number(&p.Length), "characters": r.text(&p.Characters), "value": r.secret(&p)})
		if p.Rule == "" {
			r.say(CodeMissing, path+".rule", "how the password comes about is missing: random or fixed")
		}
		*to = p
	}
}

// secret reads a value in clear, or as the database has it.
func (r *reader) secret(to *Password) field {
	return func(n *node, path string) {
		if n.kind == mapping && len(n.keys) == 1 && n.nodes[0].kind == scalar {
			switch n.keys[0] {
			case "secret":
				to.Value = amt.NewSecret(n.nodes[0].text)
				return
			case "sealed":
				to.Sealed = true
				return
			}
		}
		if n.kind != scalar {
			r.say(CodeValue, path, "it is one value, not a list or a group")
			return
		}
		to.Value = amt.NewSecret(n.text)
	}
}

// tls reads a mode alone ("server"), or a group.
func (r *reader) tls(to *TLS) field {
	return func(n *node, path string) {
		if n.kind == scalar {
			to.Mode = n.text
			return
		}
		r.fields(n, path, map[string]field{"mode": r.text(&to.Mode), "authority": r.text(&to.Authority), "days": r.number(&to.Days),
			"plain": r.truth(&to.Plain), "local": r.truth(&to.Local), "roots": r.texts(&to.Roots), "names": r.texts(&to.Names)})
	}
}

func (r *reader) acl(to *[]Entry) field {
	return func(n *node, path string) {
		if n.kind != list {
			r.say(CodeValue, path, "it is a list of users")
			return
		}
		for i, kid := range n.nodes {
			where := fmt.Sprintf("%s[%d]", path, i)
			r.lines[where] = kid.line
			e := Entry{Access: "network", Password: Password{Rule: Random}}
			r.fields(kid, where, map[string]field{"user": r.text(&e.User), "access": r.text(&e.Access),
				"realms": r.realms(&e.Realms), "password": r.password(&e.Password)})
			*to = append(*to, e)
		}
	}
}

func (r *reader) realms(to *[]int) field {
	return func(n *node, path string) {
		var names []string
		r.texts(&names)(n, path)
		for i, s := range names {
			if v, ok := readRealm(s); ok {
				*to = append(*to, v)
			} else {
				r.say(CodeValue, fmt.Sprintf("%s[%d]", path, i), "%q is no realm; there are %s", clip(s), strings.Join(RealmNames(), ", "))
			}
		}
	}
}
