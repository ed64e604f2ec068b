package probe

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"amtmedic/diag"
)

const (
	pane    = 52        // columns of the right pane on a screen of 80
	label   = pane - 5  // behind "▸ 1  "
	follows = pane - 19 // behind "What follows   1 → "
)

func TestQuestionsFitTheirPane(t *testing.T) {
	seen := map[string]bool{}
	for _, q := range Questions() {
		if seen[q.ID] {
			t.Errorf("%s is asked twice", q.ID)
		}
		seen[q.ID] = true
		if n := utf8.RuneCountInString(q.Title) + 1 + len(q.Check); n > pane {
			t.Errorf("%s: title and check have %d of %d columns: %s", q.ID, n, pane, q.Title)
		}
		if n := len(q.Options); n < 1 || n > 6 {
			t.Errorf("%s has %d options", q.ID, n)
		}
		if q.Why == "" || len(q.How) == 0 {
			t.Errorf("%s does not say why or how", q.ID)
		}
		for _, o := range q.Options {
			if n := utf8.RuneCountInString(o.Label); n > label {
				t.Errorf("%s: option has %d of %d columns: %s", q.ID, n, label, o.Label)
			}
			if n := utf8.RuneCountInString(o.Follows); n > follows || n == 0 {
				t.Errorf("%s: what follows has %d of %d columns: %s", q.ID, n, follows, o.Follows)
			}
		}
		if last := q.Options[len(q.Options)-1]; len(last.Facts) > 0 || !strings.Contains(last.Label, "cannot tell now") {
			t.Errorf("%s: the last option is %q", q.ID, last.Label)
		}
		if q.Field != nil && (utf8.RuneCountInString(q.Field.Label)+utf8.RuneCountInString(q.Field.Hint) > pane || q.Field.Hint == "") {
			t.Errorf("%s: field %q, hint %q", q.ID, q.Field.Label, q.Field.Hint)
		}
	}
}

func TestAnswersAreFacts(t *testing.T) {
	for _, q := range Questions() {
		if _, ok := diag.Lookup(q.ID); !ok {
			t.Errorf("%s is no key", q.ID)
		}
		answers := 0
		for _, o := range q.Options {
			for _, f := range o.Facts {
				answers++
				if _, ok := diag.Lookup(f.Key); !ok {
					t.Errorf("%s, %q: key %s", q.ID, o.Label, f.Key)
				}
				if _, err := diag.Make(f); err != nil {
					t.Errorf("%s, %q: %v", q.ID, o.Label, err)
				}
				if !slices.Contains(q.Gives, f.Key) {
					t.Errorf("%s does not announce %s", q.ID, f.Key)
				}
			}
		}
		if answers == 0 && q.Field == nil {
			t.Errorf("%s cannot be answered", q.ID)
		}
	}
}

// TestFields: what is typed becomes a fact or is refused with a reason.
func TestFields(t *testing.T) {
	fields := map[string]*Field{}
	for _, q := range Questions() {
		if q.Field != nil {
			fields[q.ID] = q.Field
		}
	}
	good := map[string]string{
		"client.server_override": "PS.corp.example:9971", "client.suffix": "corp.example.", "client.pid": "4krg-65qt", "client.amt_version": "3.2.1",
		"client.uuid": "4C4C4544-0058-3910-8059-B7C04F4B5A31", "client.usb_tried": "Configuration error", "client.me_addr": "10.20.0.7",
		"client.os_addr": "fd00::7", "client.os_name": "pc-0412.corp.example", "client.dns_servers": "10.20.0.53, 10.20.0.54",
		"dns.client": "provisionserver.corp.example 10.1.0.10", "dns.server": "provisionserver.corp.example nxdomain", "srv.addr": "10.1.0.10",
		"srv.fqdn": "ns1.corp.example", "srv.listen": "10.1.0.10:9971 *:16992", "srv.scs": "5.0", "srv.oobm": "7.0", "srv.amtscs.status": "404",
		"srv.retry_s": "600", "srv.log": "failed to find PID mapping", "db.pid_near": "4KRG-65Q7", "db.uuid_map": "PC-0412.corp.example",
		"db.uuid_map_swapped": "pc-0412.corp.example", "db.profile": "default", "db.queue": "120", "db.delayed": "rc-pid-unknown", "fleet.same_uuid": "1",
	}
	for id, f := range fields {
		text, ok := good[id]
		if !ok {
			t.Errorf("%s has a field that this test does not know", id)
			continue
		}
		facts, err := f.Facts(" " + text + " ")
		if err != nil || len(facts) == 0 {
			t.Errorf("%s: %q gives %v, %v", id, text, facts, err)
		}
		if facts, err := f.Facts("  "); err == nil {
			t.Errorf("%s: an empty text gives %v", id, facts)
		}
	}
	bad := map[string]string{"client.pid": "4KRG", "client.amt_version": "three", "client.uuid": "pc", "client.me_addr": "here", "client.suffix": "10.1.0.10",
		"dns.client": "10.1.0.10", "dns.server": "provisionserver.corp.example somewhere", "srv.addr": "ns1", "srv.listen": "9971", "fleet.same_uuid": "-1", "srv.retry_s": "soon"}
	for id, text := range bad {
		if facts, err := fields[id].Facts(text); err == nil {
			t.Errorf("%s takes %q: %v", id, text, facts)
		}
	}
	facts, _ := fields["dns.client"].Facts("provisionserver.corp.example timeout")
	if v := facts[0].Value.(map[string]any); v["timeout"] != true || v["rcode"] != nil {
		t.Errorf("timeout: %v", v)
	}
}
