package profile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
)

// rootPEM makes a certificate in PEM form.
func rootPEM(t testing.TB, authority bool) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), IsCA: authority, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// full is a profile that sets everything.
func full(t testing.TB) Profile {
	p := Default("office")
	p.Method = PKIMethod
	p.Network = Password{Rule: Random, Length: 24, Characters: "abcdEFGH2345!$"}
	p.MEBx = Password{Rule: Fixed, Value: amt.NewSecret("M3bx: #1"[0:4] + "-Pass#1")}
	p.TLS = TLS{Mode: TLSMutual, Authority: ExternalAuthority, Days: 30, Plain: true, Local: true, Roots: []string{rootPEM(t, true)}, Names: []string{"corp.example"}}
	p.ACL = []Entry{{User: "helpdesk", Access: "network", Realms: []int{2, 5}, Password: Password{Rule: Fixed, Value: amt.NewSecret("12345678aA!")}},
		{User: "audit", Access: "any", Realms: []int{20, 24}, Password: Password{Rule: Random, Length: 12}}}
	p.Others = Remove
	p.Power, p.Consent = "Desktop: ON in S0", ConsentKVM
	p.Redirection = Redirection{SOL: On, IDER: Off, Listener: On}
	p.Wired = Wired{IP: Static, Address: "10.1.0.9", Mask: "255.255.255.0", Gateway: "10.1.0.1", DNS: []string{"10.1.0.53"}, Ping: Off, RMCP: On, Link: []string{"s0-ac", "sx-ac"}}
	return p
}

func TestRoundTrips(t *testing.T) {
	for name, p := range map[string]Profile{"default": Default("default"), "full": full(t)} {
		t.Run(name, func(t *testing.T) {
			if found := Check(p); len(found) > 0 {
				t.Fatalf("it is unfit: %+v", found)
			}
			body, err := p.JSON()
			if err != nil {
				t.Fatal(err)
			}
			back, err := ReadJSON(p.Name, body)
			if err != nil || !same(back, p) {
				t.Errorf("JSON: %v\n%+v\n%+v", err, back, p)
			}
			for _, reveal := range []bool{true, false} {
				y, err := p.YAML(reveal)
				if err != nil {
					t.Fatal(err)
				}
				docs, err := ReadYAML(y)
				if err != nil || len(docs) != 1 {
					t.Fatalf("%v in\n%s", err, y)
				}
				old := &p
				if reveal {
					old = nil
				}
				if found := docs[0].Judge(old); len(found) > 0 || !same(docs[0].Profile, p) {
					t.Errorf("YAML, reveal %v: %+v\n%+v\n%+v", reveal, found, docs[0].Profile, p)
				}
				if strings.Contains(string(y), "12345678aA!") != (reveal && name == "full") {
					t.Errorf("reveal %v, and the file is\n%s", reveal, y)
				}
			}
		})
	}
}

// same compares two profiles with their secrets.
func same(a, b Profile) bool {
	for i := range min(len(a.ACL), len(b.ACL)) {
		if !a.ACL[i].Password.Value.Equal(b.ACL[i].Password.Value) {
			return false
		}
	}
	ja, err1 := a.JSON()
	jb, err2 := b.JSON()
	return err1 == nil && err2 == nil && ja == jb && a.Name == b.Name
}

// What a stranger's reader of YAML finds in the file is what we mean.
func TestYAMLForOthers(t *testing.T) {
	const script = "import sys, yaml, json; print(json.dumps(yaml.safe_load(sys.stdin)))"
	if exec.Command("python3", "-c", "import yaml").Run() != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("python3-yaml is missing")
		}
		t.Skip("python3-yaml is missing: nobody else read the file")
	}
	p := full(t)
	p.TLS.Mode, p.TLS.Roots, p.TLS.Names = TLSServer, nil, nil // "off" and "on" are truths for others
	y, err := p.YAML(true)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("python3", "-c", script)
	cmd.Stdin = strings.NewReader(string(y))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v in\n%s", err, y)
	}
	var theirs map[string]any
	if err := json.Unmarshal(out, &theirs); err != nil {
		t.Fatal(err)
	}
	raw, _ := json.Marshal(p.View(true))
	var ours map[string]any
	if err := json.Unmarshal(raw, &ours); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(ours, theirs) {
		t.Errorf("they read\n%v\nwe\n%v", theirs, ours)
	}
}

func TestWhatIsRefused(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"sound", "name: a\n", ""},
		{"short forms", "name: a\nnetwork_password: random\ntls: server\n", ""},
		{"truths", "name: a\nredirection: {sol: true, ider: no, listener: on}\n", ""},
		{"number as a password", "name: a\nnetwork_password:\n  rule: fixed\n  value: 12345678\n", "line 4: network_password.value password"},
		{"unknown field", "name: a\n\nkvm: true\n", "line 3: kvm unknown"},
		{"unknown field inside", "name: a\ntls:\n  mode: server\n  cipher: x\n", "line 4: tls.cipher unknown"},
		{"no name", "method: any\n", "name value"},
		{"method", "name: a\nmethod: smb\n", "line 2: method value"},
		{"fixed without value", "name: a\nnetwork_password: fixed\n", "line 2: network_password.value missing"},
		{"random with value", "name: a\nnetwork_password: {rule: random, value: aB3!aB3!}\n", "line 2: network_password.value cannot"},
		{"short", "name: a\nnetwork_password: {rule: random, length: 7}\n", "line 2: network_password.length value"},
		{"one kind of characters", "name: a\nnetwork_password: {rule: random, characters: abc}\n", "line 2: network_password.characters value"},
		{"TLS mode", "name: a\ntls: both\n", "line 2: tls.mode value"},
		{"roots without mutual", "name: a\ntls:\n  mode: server\n  names: [corp.example]\n", "line 3: tls.mode cannot"},
		{"no root", "name: a\ntls:\n  mode: mutual\n  roots:\n    - hello\n", "line 5: tls.roots[0] value"},
		{"many names", "name: a\ntls:\n  mode: mutual\n  names: [a.x, b.x, c.x, d.x]\n", "line 4: tls.names value"},
		{"TLS and a foreign name", "name: a\ntls: server\nhost_name: keep\n", "line 3: host_name cannot"},
		{"admin", "name: a\nacl:\n  - {user: admin, realms: [redirection]}\n", "line 3: acl[0].user cannot"},
		{"long user", "name: a\nacl:\n  - {user: abcdefghijklmnopq, realms: [redirection]}\n", "line 3: acl[0].user value"},
		{"twice", "name: a\nacl:\n  - {user: joe, realms: [2]}\n  - {user: joe, realms: [2]}\n", "line 4: acl[1].user twice"},
		{"no realm", "name: a\nacl:\n  - {user: joe}\n", "line 3: acl[0].realms missing"},
		{"foreign realm", "name: a\nacl:\n  - user: joe\n    realms:\n      - web\n", "line 5: acl[0].realms[0] value; line 4: acl[0].realms missing"},
		{"access", "name: a\nacl:\n  - {user: joe, access: all, realms: [2]}\n", "line 3: acl[0].access value"},
		{"address without static", "name: a\nnetwork: {ip: dhcp, mask: 255.0.0.0}\n", "line 2: network.ip cannot"},
		{"static without mask", "name: a\nnetwork: {ip: static}\n", "line 2: network.mask missing"},
		{"mask with a hole", "name: a\nnetwork: {ip: static, mask: 255.0.255.0}\n", "line 2: network.mask value"},
		{"link", "name: a\nnetwork: {link: [s3]}\n", "line 2: network.link[0] value"},
		{"list for a value", "name: [a]\n", "line 1: name value"},
		{"other users", "name: a\nother_users: all\n", "line 2: other_users value"},
		{"consent", "name: a\nconsent: always\n", "line 2: consent value"},
	} {
		t.Run(c.name, func(t *testing.T) {
			docs, err := ReadYAML([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range docs[0].Judge(nil) {
				got = append(got, p.Where+" "+p.Code)
			}
			want := strings.Split(c.want, "; ")
			if c.want == "" {
				want = nil
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("found %q, want %q", got, want)
			}
		})
	}
}

func TestFilesThatAreNone(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "only a comment": "# x\n", "scalar": "hello", "list": "- a\n", "bad indent": "a:\n - b\n  c: d\n: x", "twice": "name: a\nname: b\n",
		"anchor": "name: &x a\n", "alias": "name: &x a\nmethod: *x\n", "merge": "a: &a {name: x}\n<<: *a\n", "tag": "name: !!binary aGVsbG8=\n",
		"deep": "name: " + strings.Repeat("[", 40) + strings.Repeat("]", 40), "long": "name: " + strings.Repeat("a", MaxFile),
	} {
		t.Run(name, func(t *testing.T) {
			if docs, err := ReadYAML([]byte(text)); err == nil {
				t.Errorf("it was read: %+v", docs)
			}
		})
	}
}

func TestBodies(t *testing.T) {
	for body, good := range map[string]bool{
		`{"network_password":"random","tls":"off"}`: true, // as the first version wrote it
		`{}`: true,
		`{"network_password":{"rule":"fixed","value":{"sealed":"AQ=="}}}`: true,
		`{"network_password":"fixed"}`:                                    false,
		`{"tls":"sometimes"}`:                                             false,
		`{"wifi":true}`:                                                   false,
		`[]`:                                                              false,
		`{`:                                                               false,
		`{} {}`:                                                           false,
		`{"tls":"off","tls":"server"}`:                                    false,
	} {
		if _, err := ReadJSON("p", body); (err == nil) != good {
			t.Errorf("%s: %v", body, err)
		}
	}
	p, err := ReadJSON("p", `{"network_password":{"rule":"fixed","value":{"sealed":"AQ=="}}}`)
	if err != nil || !p.Network.Sealed {
		t.Errorf("%v, %+v", err, p)
	}
	if _, err := p.JSON(); err == nil {
		t.Error("a secret that was not opened was written as if it were none")
	}
}

func TestPasswords(t *testing.T) {
	for _, p := range []Password{{Rule: Random}, {Rule: Random, Length: 8}, {Rule: Random, Length: 32, Characters: "aB3!"}} {
		seen := map[string]bool{}
		for range 300 {
			s, err := p.Make(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			text := s.Reveal()
			if why := weak(text); why != "" {
				t.Fatalf("%q: %s", text, why)
			}
			if want := max(p.Length, 0); want != 0 && len(text) != want || want == 0 && len(text) != DefaultLength {
				t.Fatalf("%q has %d characters", text, len(text))
			}
			if p.Characters != "" && strings.Trim(text, p.Characters) != "" {
				t.Fatalf("%q has other characters than %q", text, p.Characters)
			}
			seen[text] = true
		}
		if len(seen) < 299 && p.Characters == "" {
			t.Errorf("%+v: %d different ones of 300", p, len(seen))
		}
	}
	if s, err := (Password{Rule: Fixed, Value: amt.NewSecret("x")}).Make(nil); err != nil || s.Reveal() != "x" {
		t.Errorf("fixed: %v", err)
	}
	if _, err := (Password{Rule: Fixed}).Make(nil); err == nil {
		t.Error("a fixed password without a value was made")
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	p := full(t)
	text := fmt.Sprintf("%+v %#v", p, p)
	raw, _ := json.Marshal(p.View(false))
	for _, s := range []string{"12345678aA!", "M3bx"} {
		if strings.Contains(text+string(raw), s) {
			t.Errorf("%s was printed", s)
		}
	}
	for _, text := range []string{"{rule: fixed, value: geheim1234}", "geheim1234", "{rule: geheim1234}", "{rule: fixed, value: [geheim1234]}", "{rule: random, characters: geheim1234}"} {
		for _, field := range []string{"network_password", "mebx_password", "acl:\n- password"} {
			docs, err := ReadYAML([]byte("name: a\n" + field + ": " + text + "\n"))
			if err != nil {
				t.Fatal(err)
			}
			found := docs[0].Judge(nil)
			if len(found) == 0 {
				t.Errorf("%s: %s was taken", field, text)
			}
			for _, f := range found {
				if strings.Contains(f.Text+f.Where, "geheim") {
					t.Errorf("a problem quotes the password: %s: %s", f.Where, f.Text)
				}
			}
		}
	}
	if _, err := ReadJSON("p", `{"network_password":"geheim1234"}`); err == nil || strings.Contains(err.Error(), "geheim") {
		t.Errorf("the error of a row: %v", err)
	}
	if _, err := ReadYAML([]byte("name: a\nnetwork_password: {rule: fixed, value: 'geheim1234\n")); err == nil || strings.Contains(err.Error(), "geheim") {
		t.Errorf("the error quotes the file: %v", err)
	}
}

func TestNotes(t *testing.T) {
	p := full(t)
	for v, want := range map[string]string{"": "same-password plain-beside one-client", "2.1": "same-password plain-beside firmware-lacks firmware-lacks firmware-lacks firmware-lacks firmware-lacks firmware-lacks one-client"} {
		ver, _ := amt.ParseVersion(v)
		if got := strings.Join(amt.Codes(Notes(p, ver)), " "); got != want {
			t.Errorf("AMT %q: %s, want %s", v, got, want)
		}
	}
	p = Default("menu")
	p.MEBx.Rule = Keep
	if got := amt.Codes(Notes(p, amt.Version{})); !slices.Equal(got, []string{"mebx-factory"}) {
		t.Errorf("a menu that keeps its password: %v", got)
	}
}

func FuzzReadYAML(f *testing.F) {
	y, err := full(f).YAML(true)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(y)
	f.Add([]byte("name: a\ntls: server\n---\nname: b\n"))
	f.Add([]byte(`{"name":"a","acl":[{"user":"joe","realms":[2]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		docs, err := ReadYAML(b)
		if err != nil {
			return
		}
		for _, d := range docs {
			if len(d.Judge(nil)) > 0 {
				continue
			}
			// What is sound is written so that it is read as the same.
			out, err := d.Profile.YAML(true)
			if err != nil {
				t.Fatal(err)
			}
			again, err := ReadYAML(out)
			if err != nil {
				t.Fatalf("%v: %q", err, out)
			}
			if found := again[0].Judge(nil); len(found) > 0 || !same(again[0].Profile, d.Profile) {
				t.Fatalf("%v\n%q\n%+v\n%+v", found, out, again[0].Profile, d.Profile)
			}
		}
	})
}

// Files made to keep a parser busy end at once.
func TestHostileFiles(t *testing.T) {
	for _, part := range []string{"[", "{a: ", "- ", "a: b\n", "? ", "---\n", `"a" `, "#\n", "!a ", "&a ", "*a "} {
		for _, n := range []int{900 / len(part), MaxFile / len(part)} {
			begun := time.Now()
			if _, err := ReadYAML([]byte(strings.Repeat(part, n))); err == nil && n > 900 {
				t.Errorf("%d of %q were read", n, part)
			}
			if took := time.Since(begun); took > 20*time.Second {
				t.Errorf("%d of %q took %v", n, part, took)
			}
		}
	}
}
