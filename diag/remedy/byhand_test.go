package remedy

import (
	"slices"
	"strings"
	"testing"

	"amtmedic/diag"
	"amtmedic/diag/check"
)

// lastStage is the last stage whose remedies have steps of their own here.
const lastStage = 7

// stageOf gives the earliest stage in which a check can name a cause; -1 for none.
func stageOf(cause string) int {
	for _, c := range check.Checks() {
		if slices.Contains(c.Causes, cause) {
			return c.Stage
		}
	}
	return -1
}

// TestEveryRemedyHasSteps: the catalogue and the instructions know each other. A remedy whose text
// changed, or an instruction that no remedy leads to, is found here.
func TestEveryRemedyHasSteps(t *testing.T) {
	used := map[int]bool{}
	for _, c := range check.Causes() {
		stage := stageOf(c.ID)
		for _, r := range c.Remedies {
			i := slices.IndexFunc(instructions, func(in instruction) bool {
				return belongs(r.ID, in.cause) && strings.Contains(strings.ToLower(r.Text), in.word)
			})
			if i >= 0 {
				used[i] = true
			} else if stage >= 1 && stage <= lastStage && r.ID != "rm-restart-hello" && r.Kind == "manual" {
				t.Errorf("%s has no steps: %s", r.ID, r.Text)
			}
			for _, s := range ByHand(r, nil) {
				if s == "" || strings.Contains(s, "%!") {
					t.Errorf("%s: step %q", r.ID, s)
				}
			}
		}
	}
	for i, in := range instructions {
		if !used[i] {
			t.Errorf("no remedy leads to the instruction for %s with %q", in.cause, in.word)
		}
	}
}

func fact(t *testing.T, key string, value any) diag.Fact {
	t.Helper()
	f, err := diag.Make(diag.Fact{Key: key, Value: value})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestByHandFillsIn(t *testing.T) {
	facts := []diag.Fact{fact(t, "srv.addr", []string{"10.1.0.10"}), fact(t, "srv.fqdn", "ns1.corp.example"), fact(t, "client.suffix", "sales.corp.example"),
		fact(t, "client.dns_servers", []string{"10.20.0.53"}), fact(t, "client.me_addr", "10.20.0.7"), fact(t, "client.pid", "4KRG-65QT"),
		fact(t, "db.pid_near", []string{"4KRG65Q7"}), fact(t, "client.server_override", "10.9.9.9"),
		fact(t, "dns.client", map[string]any{"qname": "provisionserver.sales.corp.example", "rcode": "NOERROR", "cname": []string{"old.corp.example"}, "addr": []string{"10.9.9.9"}})}
	tests := []struct {
		id, text string
		want     []string
	}{
		{"rm-dns-no-record-3", "Create the CNAME", []string{"provisionserver.sales.corp.example.  300  CNAME  ns1.corp.example.", "> update add provisionserver.sales.corp.example. 300 CNAME ns1.corp.example.",
			"Add-DnsServerResourceRecordCName -ZoneName sales.corp.example -Name provisionserver -HostNameAlias ns1.corp.example.", "cname=provisionserver.sales.corp.example,ns1.corp.example", "nslookup provisionserver.sales.corp.example 10.20.0.53"}},
		{"rm-dns-wrong-target", "Correct the CNAME", []string{"leads to 10.9.9.9 and must lead to ns1.corp.example (10.1.0.10)", "> update delete provisionserver.sales.corp.example. CNAME old.corp.example."}},
		{"rm-dns-wrong-suffix-2", "Correct DHCP option 15", []string{`option domain-name "sales.corp.example";`, "dhcp-option=15,sales.corp.example"}},
		{"rm-fw-9971-blocked", "Allow TCP", []string{"nft insert rule inet filter forward ip daddr 10.1.0.10 tcp dport 9971 accept", "iptables -I FORWARD -p tcp -d 10.1.0.10 --dport 9971 -j ACCEPT",
			"protocol=TCP localport=9971", "Test-NetConnection 10.1.0.10 -Port 9971"}},
		{"rm-mebx-server-override", "Clear the entry in the MEBx", []string{"10.9.9.9 stands there"}},
		{"rm-pid-mistyped", "Enter PID and PPS", []string{"4KRG-65QT", "4KRG65Q7"}},
		{"rm-return-path-blocked-2", "Check that the ME still has the address", []string{"arp -a 10.20.0.7"}},
		{"rm-restart-hello", "Restart the hello", []string{"until its light has lit and faded", "10.1.0.10 port 9971"}},
	}
	for _, tt := range tests {
		all := strings.Join(ByHand(diag.Remedy{ID: tt.id, Text: tt.text}, nil, facts...), "\n")
		for _, w := range tt.want {
			if !strings.Contains(all, w) {
				t.Errorf("%s lacks %q:\n%s", tt.id, w, all)
			}
		}
	}
	if s := ByHand(diag.Remedy{ID: "rm-dns-no-record-3", Text: "Create the CNAME"}, nil); !strings.Contains(strings.Join(s, "\n"), "provisionserver.CLIENT-SUFFIX") {
		t.Errorf("what is not known does not stand in capitals: %q", s)
	}
	if s := ByHand(diag.Remedy{ID: "rm-no-such", Text: "Do this"}, nil); len(s) != 1 || s[0] != "Do this" {
		t.Errorf("a remedy without steps: %q", s)
	}
	if s := ByHand(diag.Remedy{ID: "rm-hello-expired", Text: "simulated"}, &diag.Judgement{UUID: "4c4c4544-0058-3910-8059-b7c04f4b5a31"}); !strings.Contains(s[0], "--uuid 4c4c4544") {
		t.Errorf("the UUID of the judgement: %q", s)
	}
}

// TestResetByGeneration: R-cmos says which reset belongs to which firmware.
func TestResetByGeneration(t *testing.T) {
	r := diag.Remedy{ID: "rm-mebx-lockout-2", Text: "Reset the firmware by the way of its generation"}
	for version, want := range map[string][2]bool{"3.2.1": {true, false}, "9.5": {true, false}, "10.0": {true, false}, "11.8": {false, true}, "16.1": {false, true}, "": {true, true}} {
		var facts []diag.Fact
		if version != "" {
			facts = append(facts, fact(t, "client.amt_version", version))
		}
		all := strings.Join(ByHand(r, nil, facts...), "\n")
		if battery, maker := strings.Contains(all, "battery out for 15 s"), strings.Contains(all, "RTC reset jumper"); battery != want[0] || maker != want[1] {
			t.Errorf("AMT %q: battery %t, maker's reset %t:\n%s", version, battery, maker, all)
		}
		if !strings.Contains(all, "loses") {
			t.Errorf("AMT %q: not said that something is lost", version)
		}
	}
}
