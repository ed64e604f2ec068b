package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/keys"
	"amtmedic/diag"
	"amtmedic/diag/check"
)

// decisive are the facts that sections 6.2 and 7 of the symptom catalogue call decisive for each
// fault: key and value, of an object the fields that matter. Q stands for the client's question,
// S, W and C for the addresses of server, wrong host and client, P for the PID that was meant.
var decisive = map[string][]string{
	None: {`wire.client.syn {"dst":"S:9971"}`, `wire.server.hello {"version":2,"pid":"P","problems":[]}`, `db.queue {"attempts":0}`, `db.delayed none`,
		`net.9971 connect`, `srv.amtconfig running`, `client.prov_state in`},
	NonePKI:                      {`wire.server.hello {"version":3,"problems":[]}`, `db.queue {"attempts":0}`, `cert.chain complete`, `cert.root_in_client_hashes true`},
	"rc-amt-disabled":            {`client.enabled false`, `client.enable_kind bios-disabled`, `wire.client.syn none`, `wire.client.dns none`},
	"rc-not-in-setup-factory":    {`client.mebx_password factory`, `client.prov_state pre`, `client.rcfg_enabled false`, `client.usb_tried false`, `wire.client.syn none`},
	"rc-not-in-setup-pw-changed": {`client.mebx_password changed`, `client.prov_state pre`, `client.setup_data none`, `wire.client.syn none`},
	"rc-mebx-lockout":            {`client.mebx_password rejected`, `wire.client.syn none`},
	"rc-hello-expired":           {`client.prov_state in`, `client.setup_data pid`, `wire.client.syn none`, `wire.client.watch {"after":"nothing"}`, `net.9971 connect`},
	"rc-already-provisioned":     {`client.prov_state post`, `db.amts none`},
	"rc-wrong-nic":               {`client.nic other-nic-only`, `client.wlan none`, `wire.client.syn none`},
	"rc-client-no-dhcp":          {`client.ip_mode none`, `client.me_addr none`, `client.nic onboard-up`, `wire.client.syn none`, `wire.client.dns none`},
	"rc-no-dns-suffix":           {`client.suffix `, `wire.client.dhcp {"suffix":""}`, `wire.client.dns {"qname":"provisionserver"}`, `wire.client.syn none`},
	"rc-mebx-server-override":    {`client.server_override W`, `wire.client.syn {"dst":"W:9971"}`},
	"rc-dns-no-record":           {`dns.client {"qname":"Q","rcode":"NXDOMAIN","addr":[]}`, `dns.server {"qname":"Q","rcode":"NXDOMAIN"}`, `wire.client.syn none`, `wire.client.dns {"addr":[]}`},
	"rc-dns-wrong-suffix":        {`dns.client {"qname":"Q","rcode":"NXDOMAIN"}`, `dns.client {"qname":"provisionserver.corp.example","addr":["S"]}`, `wire.client.syn none`},
	"rc-dns-wrong-target":        {`dns.client {"qname":"Q","addr":["W"]}`, `dns.server {"qname":"Q","addr":["W"]}`, `wire.client.syn {"dst":"W:9971"}`, `wire.server.syn none`},
	"rc-dns-split-horizon":       {`dns.client {"qname":"Q","rcode":"NXDOMAIN"}`, `dns.server {"qname":"Q","addr":["S"]}`, `wire.client.syn none`},
	"rc-dns-cname-dangling":      {`dns.client {"qname":"Q","cname":["scs-new.corp.example"],"addr":[]}`, `wire.client.syn none`},
	"rc-dns-unreachable":         {`dns.client {"qname":"Q","timeout":true}`, `wire.client.dns {"rcode":"none"}`, `wire.client.syn none`},
	"rc-fw-9971-blocked":         {`wire.client.syn {"dst":"S:9971"}`, `wire.client.synack none`, `wire.server.syn none`, `net.9971 timeout`, `srv.amtconfig running`},
	"rc-server-fw-9971":          {`wire.client.syn {"dst":"S:9971"}`, `wire.server.syn {"dst":"S:9971"}`, `wire.server.synack none`, `wire.server.rst none`, `net.9971 timeout`},
	"rc-amtconfig-stopped":       {`srv.amtconfig stopped`, `srv.listen []`, `net.9971 refused`, `wire.server.syn {"dst":"S:9971"}`, `wire.client.rst {"src":"S:9971"}`},
	"rc-port-mismatch":           {`srv.amtconfig running`, `srv.listen ["S:9972"]`, `net.9971 refused`},
	"rc-pid-unknown":             {`wire.server.hello {"pid":"P"}`, `db.pid_map none`, `db.pid_near []`, `db.delayed {"reason":"rc-pid-unknown: failed to find PID mapping"}`, `keys.oem_has_pid true`},
	"rc-pid-mistyped":            {`db.pid_map none`, `db.pid_near ["P"]`, `client.keyed_by hand`, `db.queue none`},
	"rc-rcfg-off-on-server":      {`wire.server.hello {"version":3,"problems":[]}`, `srv.rcfg_enabled false`},
	"rc-cert-missing":            {`wire.server.hello {"version":3}`, `cert.present false`},
	"rc-cert-no-key":             {`cert.present true`, `cert.private_key false`, `cert.chain complete`},
	"rc-cert-no-oid":             {`cert.eku ["1.3.6.1.5.5.7.3.1"]`, `cert.ou `, `cert.chain complete`},
	"rc-cert-expired":            {`cert.private_key true`, `cert.chain complete`, `cert.root_in_client_hashes true`},
	"rc-cert-chain-incomplete":   {`cert.chain incomplete`, `cert.private_key true`},
	"rc-cert-hash-algorithm":     {`cert.key_bits [1024,2048,2048]`, `cert.root_in_client_hashes true`},
	"rc-cert-hash-not-in-client": {`cert.root_in_client_hashes false`, `cert.chain complete`},
	"rc-cert-suffix-mismatch":    {`cert.names ["provisionserver.branch.example"]`, `cert.root_in_client_hashes true`},
	"rc-pps-mismatch":            {`db.pid_map {"pid":"P"}`, `cred.psk alert`, `wire.back tls-alert`, `db.delayed {"attempts":1}`},
	"rc-otp-mismatch":            {`cred.otp missing`, `wire.back ok`, `db.delayed {"attempts":1}`},
	"rc-return-path-blocked":     {`wire.back refused`, `wire.back_dst C:16993`, `client.ip_mode dhcp-lease`},
	"rc-admin-password-mismatch": {`cred.psk ok`, `wire.back ok`, `cred.digest 401`},
	"rc-uuid-byte-order":         {`db.uuid_map none`, `db.uuid_map_swapped {}`},
	"rc-uuid-not-allowed":        {`db.uuid_map none`, `srv.uuid_policy imported-only`},
	"rc-no-profile":              {`db.profile none`, `db.profiles ["default"]`},
	"rc-script-missing":          {`srv.script {"exists":false}`},
	"rc-script-error":            {`srv.script {"exists":true,"exit_code":1}`, `db.delayed {"reason":"rc-script-error: the properties script failed"}`},
	"rc-ca-unavailable":          {`srv.ca unreachable`, `srv.tls_mode on`},
	"rc-fqdn-unresolved":         {`db.uuid_map none`, `db.uuid_map_swapped none`, `db.discovery none`, `dns.reverse {"addr":"C","name":[]}`, `srv.params_from script`},
}

// buildable skips a fault that cannot be built here, except where everything must be there.
func buildable(t *testing.T, id string) {
	t.Helper()
	for _, f := range List() {
		if f.ID == id && !f.Available && os.Getenv("CI") != "" {
			t.Fatalf("%s cannot be built: it needs %s", id, f.Needs)
		} else if f.ID == id && !f.Available {
			t.Skipf("%s cannot be built: it needs %s", id, f.Needs)
		}
	}
}

func everyFault() []string {
	ids := []string{None, NonePKI}
	for _, f := range List() {
		ids = append(ids, f.ID)
	}
	return ids
}

func TestDecisiveFacts(t *testing.T) {
	for i, id := range everyFault() {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			buildable(t, id)
			begin := time.Now()
			w := newWorld(t, int64(i), id)
			n := walk(t, w)
			if d := time.Since(begin); d > 10*time.Second {
				t.Errorf("took %v", d)
			}
			if len(decisive[id]) == 0 {
				t.Error("the test says nothing about this fault")
			}
			for _, want := range decisive[id] {
				if !n.has(w, want) {
					t.Errorf("no fact %s", want)
				}
			}
			verdict := id
			if id == None || id == NonePKI {
				verdict = "ok-in-progress"
			}
			if j := check.Judge(n.facts, w.Now()); j.Verdict != verdict || j.Confidence != diag.Proven || len(j.Further) > 0 {
				t.Errorf("verdict %s (%s), further %v, asks %v", j.Verdict, j.Confidence, j.Further, j.Next)
			}
		})
	}
}

// has looks for a fact among the present ones of its key.
func (n *notes) has(w *World, want string) bool {
	p := w.plan
	want = strings.NewReplacer(`"Q"`, `"`+p.id.question()+`"`, `"S:`, `"`+w.at.server.String()+":", `"S"`, `"`+w.at.server.String()+`"`,
		`"W:`, `"`+w.at.wrong.String()+":", `"W"`, `"`+w.at.wrong.String()+`"`, " W", " "+w.at.wrong.String(),
		`"C"`, `"`+w.at.client.String()+`"`, " C:", " "+w.at.client.String()+":", `"P"`, `"`+string(p.id.pair.PID)+`"`).Replace(want)
	key, text, _ := strings.Cut(want, " ")
	var value any = text
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		value = text
	}
	present := diag.NewView(n.facts, w.Now()).Each(key)
	return slices.ContainsFunc(present, func(f diag.Fact) bool { return within(value, f.Value) })
}

// within reports whether want is the value, or its fields are among those of the value.
func within(want, value any) bool {
	m, ok := want.(map[string]any)
	if !ok {
		return reflect.DeepEqual(want, value)
	}
	have, ok := value.(map[string]any)
	for k, v := range m {
		ok = ok && reflect.DeepEqual(v, have[k])
	}
	return ok
}

func TestPick(t *testing.T) {
	var unknown *UnknownFault
	var clash *Contradiction
	if _, _, err := pick([]string{"rc-dns-norecord"}); !errors.As(err, &unknown) || unknown.Near[0] != "rc-dns-no-record" {
		t.Errorf("unknown: %v", err)
	}
	if _, _, err := pick([]string{"rc-dns-no-record", "rc-dns-wrong-target"}); !errors.As(err, &clash) {
		t.Errorf("contradiction: %v", err)
	}
	if _, _, err := pick([]string{"rc-cert-expired", "rc-pid-unknown"}); !errors.As(err, &clash) {
		t.Errorf("two methods: %v", err)
	}
	if _, _, err := pick([]string{"rc-pid-unknown", NonePKI}); !errors.As(err, &clash) || !strings.Contains(err.Error(), NonePKI) {
		t.Errorf("another method: %v", err)
	}
	if _, m, err := pick([]string{"rc-dns-no-record", NonePKI}); m != amt.PKI || err != nil {
		t.Errorf("a fault of one method: %s, %v", m, err)
	}
	fs, m, err := pick([]string{"rc-pid-mistyped", None, "rc-dns-no-record", "rc-pid-mistyped"})
	if err != nil || m != amt.PSK || len(fs) != 2 || fs[0].id != "rc-dns-no-record" {
		t.Errorf("combined: %v %v", fs, err)
	}
	if _, err := New(context.Background(), Options{Faults: []string{"rc-nothing"}}); !errors.As(err, &unknown) {
		t.Errorf("New: %v", err)
	}
}

func TestNear(t *testing.T) {
	for id, want := range map[string]string{
		"rc-amt-disable":    "rc-amt-disabled",
		"dns-split":         "rc-dns-split-horizon",
		"rc-pid-mistype":    "rc-pid-mistyped",
		"9971-blocked":      "rc-fw-9971-blocked",
		"RC-DNS-UNREACHABL": "rc-dns-unreachable",
		"":                  "",
	} {
		got := Near(id)
		if len(got) == 0 || (want != "" && got[0] != want) {
			t.Errorf("%q: %v, want %s first", id, got, want)
		}
	}
}

// Intel's published PID (setup-bin-and-keys 1) and random ones: every slip that is made passes the
// check character, is another PID, and is one that the server's side recognises as a slip.
func TestMistype(t *testing.T) {
	pids := []amt.PID{"0000037M"}
	for seed := range int64(50) {
		id, err := newIdentity(seed)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, id.pair.PID)
	}
	for _, pid := range pids {
		slips := 0
		mistype(pid, func(n int) int { slips = n; return 0 })
		for i := range slips {
			got, ok := mistype(pid, func(int) int { return i })
			if !ok || got == pid || len(keys.CheckPID(string(got))) > 0 || !keys.Near(pid, got) {
				t.Errorf("%s became %s", pid, got)
			}
		}
	}
	if _, ok := mistype("77777777", func(int) int { return 0 }); ok {
		t.Error("a PID without a blind slip got one")
	}
}

func TestSeed(t *testing.T) {
	text := func(seed int64) string {
		id, err := newIdentity(seed)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(id.uuid, id.pair.PID, id.pair.PPS.Reveal(), id.spare[0].PID, id.suffix, id.server, id.client, id.dnsKey, id.password.Reveal(), id.lost.Reveal())
	}
	if first, second := text(5), text(5); first != second {
		t.Error("the same seed gives another world")
	}
	if text(5) == text(6) || text(0) == text(-1) {
		t.Error("another seed gives the same world")
	}
}
