package privacy

import (
	"strings"
	"testing"

	"amtmedic/diag"
)

func TestText(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"address", "10.20.0.7 answers", "ip-1 answers"},
		{"address and port", "from 10.20.0.7:16994 to 10.1.0.10:9971.", "from ip-1:16994 to ip-2:9971."},
		{"same address twice", "10.1.0.10, again 10.1.0.10", "ip-1, again ip-1"},
		{"network", "10.20.0.0/24", "ip-1/24"},
		{"range", "10.0.0.1-10.0.0.9", "ip-1-ip-2"},
		{"IPv6", "at fe80::1%eth0 and [2001:db8::7]:9971", "at ip-1 and [ip-2]:9971"},
		{"IPv6 written otherwise", "2001:db8:0:0:0:0:0:7 is 2001:db8::7", "ip-1 is ip-1"},
		{"mapped", "::ffff:10.1.0.10 is 10.1.0.10", "ip-1 is ip-1"},
		{"addresses of every machine", "127.0.0.1 0.0.0.0:9971 ::1 255.255.255.255", "127.0.0.1 0.0.0.0:9971 ::1 255.255.255.255"},
		{"MAC in two forms", "00:1b:21:3c:4d:5e is 00-1B-21-3C-4D-5E", "mac-1 is mac-1"},
		{"UUID", "4C4C4544-0058-3910-8059-b7c04f4b5a31 is 4c4c4544005839108059b7c04f4b5a31", "uuid-1 is uuid-1"},
		{"hosts of a domain", "ns1.corp.example and pc7.corp.example in corp.example", "name-1.domain-1 and name-2.domain-1 in domain-1"},
		{"deeper", "pc7.sales.corp.example.", "name-1.name-2.domain-1."},
		{"ProvisionServer stays", "ProvisionServer.corp.example and provisionserver", "ProvisionServer.domain-1 and provisionserver"},
		{"ProvisionServer in a top-level domain", "provisionserver.corp", "provisionserver.domain-1"},
		{"upper case", "NS1.CORP.EXAMPLE is ns1.corp.example", "name-1.domain-1 is name-1.domain-1"},
		{"reverse name", "7.0.20.10.in-addr.arpa is 10.20.0.7", "ip-1.in-addr.arpa is ip-1"},
		{"behind a word", "server:ns1.corp.example", "server:name-1.domain-1"},
		{"codes, versions, times, keys stay", "rc-dns-split-horizon AMT 3.2.1 at 10:03:41 2026-11-23T10:00:00Z dns.client db.delayed.reason, NXDOMAIN, 0000-037M",
			"rc-dns-split-horizon AMT 3.2.1 at 10:03:41 2026-11-23T10:00:00Z dns.client db.delayed.reason, NXDOMAIN, 0000-037M"},
		{"files stay", "setup.bin, wire/client.pcapng#17, names.txt line 3", "setup.bin, wire/client.pcapng#17, names.txt line 3"},
		{"digests stay", "da39a3ee5e6b4b0d3255bfef95601890afd80709 d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709 d41d8cd98f00b204e9800998ecf8427e"},
		{"sentences stay", "Add the CNAME to the zone. e.g. this one: no SYN to 9971...", "Add the CNAME to the zone. e.g. this one: no SYN to 9971..."},
		{"learnt names", "PC-0412 and pc-0412:16992 but not PC-04123", "name-1 and name-1:16992 but not PC-04123"},
		{"learnt name in a domain", "pc-0412 is pc-0412.corp.example", "name-1 is name-1.domain-1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m Mask
			m.Learn("pc-0412")
			got := m.Text(c.in)
			if got != c.want {
				t.Errorf("\n%q\n gives %q,\n want  %q", c.in, got, c.want)
			}
			if again := m.Text(got); again != got {
				t.Errorf("hidden twice: %q becomes %q", got, again)
			}
		})
	}
}

func TestLearnFacts(t *testing.T) {
	var m Mask
	m.LearnFacts([]diag.Fact{
		{Key: "client.os_name", Value: "pc-0412"},
		{Key: "srv.location", Value: "sql01:8080"},
		{Key: "dns.client", Value: map[string]any{"qname": "provisionserver", "cname": []any{"amtbox"}, "rcode": "NOERROR"}},
		{Key: "srv.product", Value: map[string]any{"name": "suite"}},
		{Key: "client.server_override", Value: diag.None},
	})
	got := m.Text("PC-0412 SQL01 amtbox provisionserver suite none noerror")
	if got != "name-1 name-2 name-3 provisionserver suite none noerror" {
		t.Error(got)
	}
}

// FuzzText: nothing that is an address in the input is one in the output, and hiding twice is hiding
// once.
func FuzzText(f *testing.F) {
	f.Add("SYN 10.20.0.7:16994 -> 10.1.0.10:9971")
	f.Add("[2001:db8::7]:1 fe80::1%x ::ffff:1.2.3.4 4c4c4544-0058-3910-8059-b7c04f4b5a31")
	f.Add("a.b.c.de-10.1.0.10:ns1.corp.example")
	f.Fuzz(func(t *testing.T, s string) {
		var m Mask
		once := m.Text(s)
		if twice := m.Text(once); twice != once {
			t.Errorf("%q: %q, then %q", s, once, twice)
		}
		if strings.Contains(s, " 10.1.0.10 ") && strings.Contains(once, " 10.1.0.10 ") {
			t.Errorf("%q: %q", s, once)
		}
	})
}

// A pseudonym that a window cuts off is not taken for a name.
func TestCutPseudonymStays(t *testing.T) {
	var m Mask
	m.Text("ns1.corp.example")
	for _, s := range []string{"name-1.doma", "provisionserver.do", "name-1.domain-1"} {
		if got := m.Text(s); got != s {
			t.Errorf("%s becomes %s", s, got)
		}
	}
	if got := m.Text("name-7.corp.example"); got != "name-2.domain-1" {
		t.Errorf("a host with the name of a pseudonym: %s", got)
	}
}
