package check

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"amtmedic/diag"
)

// TestDecidedBy: the facts that decided stand there, others do not.
func TestDecidedBy(t *testing.T) {
	for _, c := range []struct{ name, facts, want string }{
		{"the state of the service", `srv.amtconfig stopped
srv.scs "3.2.1"`, "srv.amtconfig"},
		{"both sides of the name, and the server's address", `client.prov_state in
client.suffix corp.example
srv.addr ["10.1.0.10"]
dns.client {"qname":"provisionserver.corp.example","rcode":"NXDOMAIN"}
dns.server {"qname":"provisionserver.corp.example","rcode":"NOERROR","addr":["10.1.0.10"]}`, "dns.client dns.server srv.addr"},
		{"a stated mode stands for what follows from it", `client.mode "1"`, "client.mode"},
		{"the symptom that asked", `client.sku standard
case.symptom sym-no-kvm`, "case.symptom client.sku"},
		{"the PID and where it was looked for", `case.method psk
client.pid 4KRG65QT
db.pid_map none
db.pid_near []`, "client.pid db.pid_map db.pid_near"},
		{"an unknown fact never decides", `db.reach false
db.auth unknown`, "db.reach"},
		{"what proves an ended window is the whole road", `client.prov_state in
client.setup_data pid
client.window expired
client.nic onboard-up
client.ip_mode dhcp-lease
client.suffix corp.example
srv.addr ["10.1.0.10"]
dns.client {"qname":"provisionserver.corp.example","addr":["10.1.0.10"]}
net.9971 connect
srv.amtconfig running
db.reach true
db.auth true
db.pid_map row
db.uuid_map row
db.profile row`, "client.ip_mode client.nic client.prov_state client.setup_data client.suffix client.window db.auth db.pid_map db.profile db.reach db.uuid_map dns.client net.9971 srv.amtconfig"},
		{"the conditions of a healthy verdict", `client.prov_state post
db.amts {"state":"provisioned","fqdn":"pc7.corp.example"}
db.uuid_map {"fqdn":"pc7.corp.example"}
cred.digest 200`, "client.prov_state cred.digest db.amts db.uuid_map"},
	} {
		j := Judge(readFacts(t, c.facts), base)
		got := slices.Sorted(slices.Values(j.DecidedBy))
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s (%s):\n got %s\nwant %s", c.name, j.Verdict, s, c.want)
		}
	}
}

// TestNext: the question of an undecided case, and none beside a verdict.
func TestNext(t *testing.T) {
	for _, c := range []struct{ name, facts, want string }{
		{"nothing known", ``, "chk-prov-state"},
		{"in: does it send", `client.prov_state in`, "chk-window"},
		{"pre: is it enabled", `client.prov_state pre`, "chk-enabled"},
		{"pre and enabled: MEBx", `client.prov_state pre
client.enabled true`, "chk-password"},
		{"post: whose", `client.prov_state post`, "chk-post-owner"},
		{"no ME: the BIOS", `client.mei no-me`, "chk-sku"},
		{"refused: who listens", `client.prov_state in
-2m wire.client.syn {"dst":"10.1.0.10:9971"}
srv.addr ["10.1.0.10"]
net.9971 refused`, "chk-listen"},
		{"delayed: its reason", `client.prov_state in
db.delayed {"reason":"rc-script-error"}`, "chk-script"},
		{"a verdict asks nothing", `db.reach false`, ""},
		{"nor does a healthy one that lacks facts", `db.queue row`, ""},
	} {
		j := Judge(readFacts(t, c.facts), base)
		got := ""
		if j.Next != nil {
			got = j.Next.ID
			if k, ok := LookupCheck(got); !ok || j.Next.Text != k.Title {
				t.Errorf("%s: next %v is no check's question", c.name, *j.Next)
			}
		}
		if got != c.want {
			t.Errorf("%s: next is %q, want %q", c.name, got, c.want)
		}
	}
}

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		name, facts string
		want        int
	}{
		{"a root cause", `db.reach false`, 1},
		{"a likely root cause", `srv.amtconfig hung`, 1},
		{"undecided", `client.prov_state in`, 3},
		{"healthy", `client.prov_state post
db.amts {"state":"provisioned","fqdn":"pc7.corp.example"}
db.uuid_map {"fqdn":"pc7.corp.example"}
cred.digest 200`, 0},
		{"healthy, with a condition unknown", `client.prov_state post
db.amts {"state":"provisioned"}`, 3},
		{"healthy, with a further fault that is none of its question", `client.prov_state post
case.symptom sym-psk-handshake
db.amts {"state":"provisioned","fqdn":"pc7.corp.example"}
db.uuid_map {"fqdn":"pc7.corp.example"}
cred.digest 200
client.enabled false`, 0},
	} {
		if j := Judge(readFacts(t, c.facts), base); j.ExitCode() != c.want {
			t.Errorf("%s (%s %s): exit %d, want %d", c.name, j.Verdict, j.Confidence, j.ExitCode(), c.want)
		}
	}
}

// TestCatalogue: the numbers of section 0 of the symptom catalogue, and that its parts fit together.
func TestCatalogue(t *testing.T) {
	rc, ok := 0, 0
	named := map[string]bool{}
	for _, k := range Checks() {
		for _, id := range k.Causes {
			if _, known := Lookup(id); !known {
				t.Errorf("%s names %s, which is no cause", k.ID, id)
			}
			named[id] = true
		}
		for _, key := range k.Needs {
			if _, known := diag.Lookup(key); !known {
				t.Errorf("%s needs %s, which is no key", k.ID, key)
			}
		}
		if k.Title == "" || k.Why == "" || k.How == "" || len(k.Short) > 24 {
			t.Errorf("%s: title, why and how, and a short name of at most 24 columns", k.ID)
		}
	}
	for _, c := range Causes() {
		if strings.HasPrefix(c.ID, "ok-") {
			ok++
			continue
		}
		rc++
		if !named[c.ID] {
			t.Errorf("no check names %s", c.ID)
		}
		if c.Component == "" || c.Sentence == "" || c.Change == "" {
			t.Errorf("%s lacks component, sentence or what would change it", c.ID)
		}
	}
	for _, s := range Symptoms() {
		for _, id := range s.Causes {
			if _, known := Lookup(id); !known {
				t.Errorf("%s lists %s, which is no cause", s.ID, id)
			}
		}
	}
	if len(Symptoms()) != 70 || len(Checks()) != 38 || rc != 95 || ok != 5 {
		t.Errorf("%d symptoms, %d checks, %d causes, %d verdicts without fault; the catalogue has 70, 38, 95, 5", len(Symptoms()), len(Checks()), rc, ok)
	}
}

// TestComponents: the component column of section 7.
func TestComponents(t *testing.T) {
	letters := map[string]string{
		"client": `amt-version-no-rcfg psk-removed amt-disabled no-amt sku-reduced not-in-setup-factory not-in-setup-pw-changed network-access-off mebx-lockout
			hello-expired rcfg-timer-zero already-provisioned half-provisioned smb-mode usb-not-factory wrong-nic wlan-off-path static-ip-mismatch mei-unavailable
			lms-missing me-power-policy mebx-server-override amt-selfsigned-invalid control-mode cira-settings cira-static-ip cira-env-stale`,
		"network":      `client-no-dhcp no-dns-suffix fw-9971-blocked middlebox hello-malformed return-path-blocked nat-between cira-inside mps-blocked`,
		"name service": `dns-no-record dns-wrong-target dns-cname-dangling dns-split-horizon dns-wrong-suffix dns-unreachable`,
		"server application": `version-matrix-unsupported oobm-scs-mismatch scs-version-unstable tool-defect server-fw-9971 port-mismatch amtconfig-stopped amtconfig-hung
			service-location install-incomplete rcfg-off-on-server tls-version mgmt-plain mps-stopped`,
		"web directory": `amtscs-vdir-missing https-on-no-tls https-off-with-tls amtscs-auth`,
		"database":      `sql-unreachable sql-auth db-missing config-row-missing sql-instance-split resource-sync`,
		"credentials": `pid-unknown pid-mistyped pps-mismatch admin-password-mismatch cert-missing cert-no-key cert-no-oid cert-suffix-mismatch cert-hash-not-in-client
			cert-expired cert-chain-incomplete cert-hash-algorithm otp-mismatch cira-trust-lost`,
		"provisioning data": `fqdn-unresolved uuid-map-stale uuid-duplicate uuid-byte-order uuid-not-allowed no-profile db-params-empty script-missing script-error
			ca-unavailable ca-crl ad-integration`,
		"USB key": `usb-key-layout usb-records-exhausted usb-version-mismatch`,
	}
	want := map[string]string{}
	for component, ids := range letters {
		for _, id := range strings.Fields(ids) {
			want["rc-"+id] = component
		}
	}
	for _, c := range Causes() {
		if c.Component != want[c.ID] {
			t.Errorf("%s is of component %q, want %q", c.ID, c.Component, want[c.ID])
		}
	}
}

// TestNamedAtItsCheck: what a check names in any case of the grid stands in its list of causes, since
// the scope of rule 14 and the restart of the hello are read from there.
func TestNamedAtItsCheck(t *testing.T) {
	for _, c := range readCases(t) {
		for _, r := range Judge(readFacts(t, c.facts), base).Checks {
			k, _ := LookupCheck(r.Check)
			for _, n := range r.Causes {
				if !slices.Contains(k.Causes, n.ID) {
					t.Errorf("%s/%s: %s names %s", c.file, c.name, k.ID, n.ID)
				}
			}
		}
	}
}

// TestVerdictObject: the form of the verdict that other tools read: no null where a list is meant.
func TestVerdictObject(t *testing.T) {
	b, err := json.Marshal(Judge(nil, base))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"case":"","uuid":"","verdict":"","component":"","confidence":"","further":[],"consequences":[],"decided_by":[],"remedies":[],` +
		`"next":{"id":"chk-prov-state","text":"Which provisioning state is the client in?"}}`
	if string(b) != want {
		t.Errorf("\n got %s\nwant %s", b, want)
	}
	j := Judge(readFacts(t, "db.reach false\nclient.uuid 4C4C4544-0058-3910-8059-B7C04F4B5A31"), base)
	if j.UUID != "4c4c4544-0058-3910-8059-b7c04f4b5a31" || j.Component != "database" || j.Next != nil {
		t.Errorf("%+v", j)
	}
	if j = Judge(readFacts(t, "client.prov_state post\ndb.amts {\"state\":\"provisioned\"}"), base); j.Component != "" {
		t.Errorf("component %q of a verdict without fault", j.Component)
	}
}

func TestNear(t *testing.T) {
	for _, c := range []struct{ typed, want string }{
		{"rc-dns-record", "rc-dns-no-record"}, {"pid-unknown", "rc-pid-unknown"}, {"rc-hello", "rc-hello-expired"}, {"sym-usb", "sym-usb-2209"}, {"rc-pid-unkown", "rc-pid-unknown"}, {"rc-amtconfig-stoped", "rc-amtconfig-stopped"},
	} {
		if got := Near(c.typed); !slices.Contains(got, c.want) {
			t.Errorf("near %s: %v, without %s", c.typed, got, c.want)
		}
	}
	for _, odd := range []string{"", "-", "x", "rc-", "zz-top"} {
		Near(odd) // never panics
	}
}
