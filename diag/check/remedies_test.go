package check

import (
	"fmt"
	"strings"
	"testing"
)

// TestRemedies: cause and facts give the ids in their order. Each id stands with its kind: a
// automatic, m manual; ! destructive.
func TestRemedies(t *testing.T) {
	for _, c := range []struct{ name, facts, want string }{
		{"upgrade; PSK is not listed either", `client.amt_version "2.6"
srv.scs "3.0"
case.method rcfg`, "version-matrix-unsupported m"},
		{"the tool: nothing on the client", `tool.tried [{"version":"1","ok":true}]
wire.back ok`, "tool-defect m"},
		{"plan changed to PSK", `client.amt_version "2.5"
case.method rcfg`, "amt-version-no-rcfg a, amt-version-no-rcfg-2 m"},
		{"SCS 1.2", `srv.scs "1.2"
case.symptom sym-node-stagnant`, "scs-version-unstable m, scs-version-unstable-2 m"},
		{"disabled, how is not known", `client.enabled false`, "amt-disabled a, amt-disabled-2 m"},
		{"soft-disabled: a local call", `client.enabled false
client.enable_kind soft-disabled`, "amt-disabled a"},
		{"disabled in the BIOS: only there", `client.enabled false
client.enable_kind bios-disabled`, "amt-disabled m"},
		{"factory", `client.prov_state pre
client.enabled true
client.rcfg_enabled false
client.usb_tried false
client.mebx_password factory
case.expects_setup true`, "not-in-setup-factory a, not-in-setup-factory-2 m, not-in-setup-factory-3 m, not-in-setup-factory-4 m"},
		{"changed, Remote Configuration possible", `client.prov_state pre
client.rcfg_enabled false
client.mebx_password changed
client.amt_version "3.0"`, "not-in-setup-pw-changed m, not-in-setup-pw-changed-2 m, not-in-setup-pw-changed-3 m!"},
		{"changed, version without it", `client.prov_state pre
client.mebx_password changed
client.amt_version "2.5"`, "not-in-setup-pw-changed m, not-in-setup-pw-changed-2 m!"},
		{"locked out", `client.prov_state pre
client.mebx_password rejected`, "mebx-lockout m, mebx-lockout-2 m!"},
		{"expired: restart before what destroys", `client.prov_state in
client.window expired`, "hello-expired a, restart-hello m, hello-expired-2 m!"},
		{"expired, local call possible", `client.prov_state in
client.window expired
client.mei ok`, "hello-expired a, restart-hello a, hello-expired-2 m!"},
		{"timer zero: only the start", `client.prov_state pre
client.rcfg_enabled true
client.window never-opened
client.mei ok`, "restart-hello a"},
		{"power policy: by draining only", `client.prov_state in
client.nic onboard-up
client.mei ok
-2h wire.client.watch {"seconds":600,"power":"s0"}
-2h wire.client.syn {"dst":"10.1.0.10:9971"}
wire.client.watch {"seconds":4000,"power":"s5"}
wire.client.syn none`, "me-power-policy m, restart-hello m"},
		{"another owner", `client.prov_state post
db.amts none`, "already-provisioned m, already-provisioned-2 a!, already-provisioned-3 m!, already-provisioned-4 m!"},
		{"another owner, admin mode", `client.prov_state post
db.amts none
client.control_mode acm`, "already-provisioned m, already-provisioned-2 m!, already-provisioned-3 m!"},
		{"another owner, before client mode existed", `client.prov_state post
db.amts none
client.amt_version "4.0"`, "already-provisioned m, already-provisioned-2 m!, already-provisioned-3 m!"},
		{"half provisioned", `client.prov_state in
client.control_mode ccm`, "half-provisioned a, half-provisioned-2 m!"},
		{"LMS stopped", `case.method local
client.mei ok
client.lms stopped`, "lms-missing a"},
		{"LMS absent", `case.method local
client.mei ok
client.lms absent`, "lms-missing m"},
		{"only wireless", `client.prov_state in
client.nic onboard-down
client.wlan {"up":true,"profile":false}`, "wlan-off-path m, wlan-off-path-2 m, wlan-off-path-3 m, restart-hello m"},
		{"no suffix", `client.prov_state in
client.me_addr 10.20.0.7
client.suffix ""`, "no-dns-suffix a, no-dns-suffix-2 m, no-dns-suffix-3 m, no-dns-suffix-4 m, restart-hello m"},
		{"no suffix, set-up on the spot", `case.method local
case.control_mode acm
client.prov_state pre
client.me_addr 10.20.0.7
client.suffix ""`, "no-dns-suffix a, no-dns-suffix-2 m, no-dns-suffix-3 m, no-dns-suffix-4 m"},
		{"both static, AMT 5", `client.prov_state in
client.suffix corp.example
client.amt_version "5.0"
client.ip_mode static
client.os_ip_mode static
client.me_addr 10.20.0.7
client.os_addr 10.20.0.7`, "static-ip-mismatch m, static-ip-mismatch-2 m, restart-hello m"},
		{"static beside DHCP, AMT 9", `client.prov_state in
client.suffix corp.example
client.amt_version "9.0"
client.ip_mode static
client.os_ip_mode dhcp-lease`, "static-ip-mismatch m, restart-hello m"},
		{"no record", `client.prov_state in
client.suffix corp.example
srv.fqdn ns1.corp.example
dns.client {"qname":"provisionserver.corp.example","rcode":"NXDOMAIN"}
dns.server {"qname":"provisionserver.corp.example","rcode":"NXDOMAIN"}`, "dns-no-record a, dns-no-record-2 a, dns-no-record-3 m, restart-hello m"},
		{"hung, SCS not known", `srv.amtconfig hung`, "amtconfig-hung a, amtconfig-hung-2 m, restart-hello m"},
		{"hung, SCS 3", `srv.amtconfig hung
srv.scs "3.2.1"`, "amtconfig-hung a, restart-hello m"},
		{"the console needs no hello", `srv.tls_mode on
srv.amtscs.https off`, "https-off-with-tls a"},
		{"PID unknown", `case.method psk
client.pid 4KRG65QT
db.pid_map none
db.pid_near []`, "pid-unknown a, pid-unknown-2 m, restart-hello m"},
		{"PID unknown, the pair can be found", `case.method psk
client.pid 4KRG65QT
db.pid_map none
keys.oem_has_pid true`, "pid-unknown a, restart-hello m"},
		{"PID unknown, many at once", `case.method psk
client.pid 4KRG65QT
db.pid_map none
fleet.failing [{"count":20,"text":"failed to find PID mapping"}]`, "pid-unknown a, restart-hello m"},
		{"PPS: the automatic one first", `case.method psk
client.pid 4KRG65QT
db.pid_map row
cred.psk alert`, "pps-mismatch a, pps-mismatch-2 m, restart-hello m"},
		{"two PCs", `client.prov_state in
fleet.same_uuid 1`, "uuid-duplicate m, restart-hello m, uuid-duplicate-2 m!"},
		{"state post: no restart", `client.prov_state post
fleet.same_uuid 1`, "uuid-duplicate m, uuid-duplicate-2 m!"},
		{"control mode", `client.prov_state post
case.control_mode acm
client.control_mode ccm`, "control-mode a!, control-mode-2 m!"},
		{"tunnel", `client.prov_state post
case.symptom sym-tunnel-lost
client.cira {"state":"connecting"}
net.mps connect
client.cira_root_digest aa
srv.mps_root_digest bb`, "cira-trust-lost m, cira-trust-lost-2 m!"},
		{"several: the verdict's, the others', restart once, what destroys last", `client.prov_state in
client.mei ok
client.window expired
fleet.same_uuid 1
srv.amtconfig stopped
srv.tls_mode on
srv.amtscs.https off`, "amtconfig-stopped a, https-off-with-tls a, uuid-duplicate m, restart-hello a, uuid-duplicate-2 m!"},
		{"waiting", `-10m wire.client.syn {"dst":"10.1.0.10:9971"}
client.prov_state in`, "restart-hello m"},
		{"in progress", `client.prov_state in
db.queue row`, ""},
		{"provisioned", `client.prov_state post
db.amts {"state":"provisioned"}`, ""},
	} {
		j := Judge(readFacts(t, c.facts), base)
		var got []string
		for _, r := range j.Remedies {
			mark := ""
			if r.Destructive {
				mark = "!"
			}
			got = append(got, fmt.Sprintf("%s %s%s", strings.TrimPrefix(r.ID, "rm-"), r.Kind[:1], mark))
			if r.Text == "" {
				t.Errorf("%s: %s says nothing", c.name, r.ID)
			}
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s (%s):\n got %s\nwant %s", c.name, j.Verdict, s, c.want)
		}
	}
}

// TestRemedyCount: the number of automatic, manual and destructive remedies of every cause, counted
// in the repair column of section 7 of the symptom catalogue, before anything is left out.
func TestRemedyCount(t *testing.T) {
	want := map[string][3]int{
		"version-matrix-unsupported": {0, 2, 0}, "amt-version-no-rcfg": {1, 1, 0}, "psk-removed": {1, 0, 0}, "oobm-scs-mismatch": {0, 1, 0},
		"scs-version-unstable": {0, 2, 0}, "tool-defect": {0, 1, 0},
		"amt-disabled": {1, 1, 0}, "no-amt": {0, 1, 0}, "sku-reduced": {0, 2, 0}, "not-in-setup-factory": {1, 3, 0}, "not-in-setup-pw-changed": {0, 2, 1},
		"network-access-off": {1, 1, 0}, "mebx-lockout": {0, 1, 1}, "hello-expired": {1, 0, 1}, "rcfg-timer-zero": {0, 0, 0}, "already-provisioned": {0, 1, 3},
		"half-provisioned": {1, 0, 1}, "smb-mode": {0, 0, 1}, "usb-not-factory": {0, 2, 1}, "usb-key-layout": {1, 0, 0}, "usb-records-exhausted": {1, 0, 0},
		"usb-version-mismatch": {1, 0, 0}, "wrong-nic": {0, 2, 0}, "wlan-off-path": {0, 3, 0}, "client-no-dhcp": {0, 2, 0}, "no-dns-suffix": {1, 3, 0},
		"static-ip-mismatch": {0, 2, 0}, "mei-unavailable": {0, 1, 0}, "lms-missing": {1, 2, 0}, "me-power-policy": {0, 1, 0}, "mebx-server-override": {0, 2, 0},
		"amt-selfsigned-invalid": {0, 2, 0},
		"dns-no-record":          {2, 1, 0}, "dns-wrong-target": {0, 2, 0}, "dns-cname-dangling": {0, 2, 0}, "dns-split-horizon": {0, 1, 0}, "dns-wrong-suffix": {0, 2, 0},
		"dns-unreachable": {0, 2, 0},
		"fw-9971-blocked": {0, 1, 0}, "server-fw-9971": {1, 1, 0}, "port-mismatch": {1, 1, 0}, "middlebox": {0, 1, 0}, "hello-malformed": {1, 0, 0},
		"return-path-blocked": {0, 2, 0}, "nat-between": {0, 2, 0},
		"amtconfig-stopped": {1, 0, 0}, "amtconfig-hung": {1, 1, 0}, "amtscs-vdir-missing": {0, 1, 0}, "https-on-no-tls": {1, 0, 0}, "https-off-with-tls": {1, 0, 0},
		"amtscs-auth": {0, 1, 0}, "service-location": {1, 0, 0}, "install-incomplete": {0, 2, 0},
		"sql-unreachable": {0, 1, 0}, "sql-auth": {0, 2, 0}, "db-missing": {0, 1, 0}, "config-row-missing": {1, 1, 0}, "sql-instance-split": {0, 1, 0}, "resource-sync": {1, 0, 0},
		"pid-unknown": {1, 1, 0}, "pid-mistyped": {0, 1, 0}, "pps-mismatch": {1, 1, 0}, "admin-password-mismatch": {1, 2, 0}, "rcfg-off-on-server": {1, 0, 0},
		"cert-missing": {0, 1, 0}, "cert-no-key": {0, 2, 0}, "cert-no-oid": {0, 1, 0}, "cert-suffix-mismatch": {0, 3, 0}, "cert-hash-not-in-client": {0, 2, 0},
		"cert-expired": {0, 2, 0}, "cert-chain-incomplete": {1, 0, 0}, "cert-hash-algorithm": {0, 2, 0}, "otp-mismatch": {1, 0, 0},
		"fqdn-unresolved": {2, 1, 0}, "uuid-map-stale": {1, 0, 0}, "uuid-duplicate": {0, 1, 1}, "uuid-byte-order": {1, 0, 0}, "uuid-not-allowed": {1, 0, 0},
		"no-profile": {1, 0, 0}, "db-params-empty": {2, 0, 0}, "script-missing": {1, 0, 0}, "script-error": {0, 1, 0}, "ca-unavailable": {0, 1, 0}, "ca-crl": {0, 1, 0},
		"ad-integration": {0, 1, 0},
		"tls-version":    {0, 2, 0}, "mgmt-plain": {0, 1, 0}, "control-mode": {0, 0, 2}, "cira-settings": {1, 0, 0}, "cira-static-ip": {0, 1, 0}, "cira-inside": {1, 1, 0},
		"cira-env-stale": {0, 2, 0}, "mps-stopped": {1, 0, 0}, "mps-blocked": {0, 1, 0}, "cira-trust-lost": {0, 1, 1},
	}
	for _, c := range Causes() {
		id, isCause := strings.CutPrefix(c.ID, "rc-")
		var got [3]int
		for _, r := range c.Remedies {
			switch {
			case r.ID == restartHello:
			case r.Destructive:
				got[2]++
			case r.Kind == "automatic":
				got[0]++
			default:
				got[1]++
			}
		}
		if w, known := want[id]; isCause && (!known || w != got) {
			t.Errorf("%s has %v automatic, manual, destructive remedies, the catalogue %v", c.ID, got, w)
		}
		delete(want, id)
	}
	for id := range want {
		t.Errorf("rc-%s is no cause", id)
	}
}

// TestRestartBelongs: which causes end with the restart of the hello (section 7), in a case of which
// nothing else is known.
func TestRestartBelongs(t *testing.T) {
	without := strings.Fields(`rc-amt-version-no-rcfg rc-psk-removed rc-oobm-scs-mismatch rc-version-matrix-unsupported rc-scs-version-unstable rc-tool-defect
		rc-amt-disabled rc-no-amt rc-sku-reduced rc-not-in-setup-factory rc-not-in-setup-pw-changed rc-network-access-off rc-mebx-lockout rc-already-provisioned
		rc-half-provisioned rc-smb-mode rc-usb-not-factory rc-usb-key-layout rc-usb-records-exhausted rc-usb-version-mismatch rc-mei-unavailable rc-lms-missing
		rc-amtscs-vdir-missing rc-https-on-no-tls rc-https-off-with-tls rc-amtscs-auth rc-service-location rc-sql-instance-split rc-resource-sync
		rc-mgmt-plain rc-control-mode rc-cira-settings rc-cira-static-ip rc-cira-inside rc-cira-env-stale rc-mps-stopped rc-mps-blocked rc-cira-trust-lost
		ok-provisioned ok-cira-outside ok-in-progress ok-not-started`)
	for _, c := range Causes() {
		has := false
		for _, r := range c.Remedies {
			has = has || r.ID == restartHello
		}
		want := true
		for _, id := range without {
			want = want && id != c.ID
		}
		if has != want {
			t.Errorf("%s: restart of the hello %v, want %v", c.ID, has, want)
		}
	}
}
