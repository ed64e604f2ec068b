package eoi

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"amtmedic/amt/wsman"
)

// all makes one request of each operation.
func all() []Request {
	return []Request{GetCoreVersion(), GetDigestRealm(), GetOTP(), SetMEBxPassword(`a<b&"c`), SetAdmin("admin", [16]byte{1, 2, 3}),
		CommitChanges(), Unprovision(), PartialUnprovision(), GetHostName(), GetDomainName(), SetHostName("pc-ü"), SetDomainName("corp.example"),
		ReadClock(), SetClock(1, 2, 3)}
}

// same compares two elements: names, namespaces, texts; attributes are notation.
func same(a, b *wsman.Node) bool {
	if a.Space != b.Space || a.Local != b.Local || strings.TrimSpace(a.Text) != strings.TrimSpace(b.Text) || len(a.Nodes) != len(b.Nodes) {
		return false
	}
	for i := range a.Nodes {
		if !same(&a.Nodes[i], &b.Nodes[i]) {
			return false
		}
	}
	return true
}

// perl runs a script with SOAP::Lite, the library of amttool.
func perl(t *testing.T, script, input string) string {
	t.Helper()
	fail := t.Skipf
	if os.Getenv("CI") != "" {
		fail = t.Fatalf
	}
	if err := exec.Command("perl", "-MSOAP::Lite", "-e", "1").Run(); err != nil {
		fail("perl with SOAP::Lite (libsoap-lite-perl) is missing: %v", err)
	}
	cmd := exec.Command("perl", "-MSOAP::Lite", "-e", script)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("perl: %v", err)
	}
	return string(out)
}

// The form is that of amttool: what SOAP::Lite writes for the same calls, set up as amttool does, is the
// same document.
func TestRequestsAreThoseOfAmttool(t *testing.T) {
	const setup = `my $b = "http://schemas.intel.com/platform/client";
		my $sas = SOAP::Lite->new(proxy => "http://127.0.0.1:1/x", default_ns => "$b/SecurityAdministration/2004/01");
		my $nas = SOAP::Lite->new(proxy => "http://127.0.0.1:1/x", default_ns => "$b/NetworkAdministration/2004/01");
		$_->autotype(0) for $sas, $nas; sub d { SOAP::Data->name(@_) }
		print `
	for name, c := range map[string]struct {
		r    Request
		call string
	}{
		"no parameter": {GetCoreVersion(), `$sas->serializer->envelope(method => "GetCoreVersion");`},
		"host":         {GetHostName(), `$nas->serializer->envelope(method => "GetHostName");`},
		"one":          {SetHostName("pc-17"), `$nas->serializer->envelope(method => d("SetHostName")->attr({xmlns => $nas->ns}), d(HostName => "pc-17"));`},
		"nested": {SetAdmin("admin", [16]byte{}), `$sas->serializer->envelope(method => d("SetAdminAclEntryEx")->attr({xmlns => $sas->ns}),
			d(EntryEx => \SOAP::Data->value(d(Username => "admin"), d(DigestPassword => "AAAAAAAAAAAAAAAAAAAAAA=="))));`},
	} {
		t.Run(name, func(t *testing.T) {
			want, err := wsman.Parse([]byte(perl(t, setup+c.call, "")))
			if err != nil {
				t.Fatal(err)
			}
			got, err := wsman.Parse(c.r.Encode())
			if err != nil {
				t.Fatal(err)
			}
			if !same(got.Content(), want.Content()) {
				t.Errorf("%+v, SOAP::Lite says %+v", got.Content(), want.Content())
			}
		})
	}
}

// SOAP::Lite reads every request as the call that it is, with all its texts.
func TestRequestsReadBySOAPLite(t *testing.T) {
	for _, r := range all() {
		got := perl(t, `binmode(STDOUT, ":utf8"); local $/; my $s = SOAP::Deserializer->deserialize(<STDIN>);
			print $s->dataof("/Envelope/Body/[1]")->name, "|", $s->dataof("/Envelope/Body/[1]")->uri;
			sub w { my ($v) = @_; ref $v eq "HASH" ? map { w($v->{$_}) } sort keys %$v : defined $v ? "|$v" : () } print w($s->method);`, string(r.Encode()))
		if want := r.Op.Method + "|" + r.Op.Service.Space; !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q", r.Op.Name(), got)
		}
		for _, p := range append(r.Params, func() (in []wsman.Node) {
			for _, p := range r.Params {
				in = append(in, p.Nodes...)
			}
			return in
		}()...) {
			if !strings.Contains(got, p.Text) {
				t.Errorf("%s: %q lacks %q", r.Op.Name(), got, p.Text)
			}
		}
	}
}

// Answers as SOAP::Lite writes them are read.
func TestAnswersOfSOAPLite(t *testing.T) {
	answer := func(call string) []byte {
		return []byte(perl(t, `my $s = SOAP::Serializer->new; $s->autotype(0); sub d { SOAP::Data->name(@_) } print $s->envelope(`+call+`);`, ""))
	}
	n, err := Parse(answer(`response => "GetCoreVersionResponse", d(Status => 0), d(Version => "2.6.3")`), GetCoreVersion())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := ReadVersion(n); err != nil || v != "2.6.3" {
		t.Errorf("%q, %v", v, err)
	}
	var f *wsman.Fault
	if _, err := Parse(answer(`fault => "soap:Client", "no such method"`), GetCoreVersion()); !errors.As(err, &f) || f.Code != "Client" || f.Reason != "no such method" {
		t.Errorf("%v", err)
	}
}

func envelope(body string) []byte {
	return []byte(`<?xml version="1.0"?><e:Envelope xmlns:e="` + nsSOAP + `"><e:Body>` + body + `</e:Body></e:Envelope>`)
}

func TestParse(t *testing.T) {
	r := GetHostName()
	for name, c := range map[string]struct {
		body string
		code int   // of a ReturnError
		err  error // other errors
	}{
		"named status":     {"<GetHostNameResponse><Status>0</Status><HostName>pc</HostName></GetHostNameResponse>", 0, nil},
		"another name":     {"<x:GetHostNameResponse xmlns:x='urn:u'><x:StatusCode>0</x:StatusCode><x:HostName/></x:GetHostNameResponse>", 0, nil},
		"first value":      {"<GetHostNameResponse><Result>0</Result><HostName>pc</HostName></GetHostNameResponse>", 0, nil},
		"refused":          {"<GetHostNameResponse><Status>16</Status></GetHostNameResponse>", 16, nil},
		"unknown number":   {"<GetHostNameResponse><Status>4711</Status></GetHostNameResponse>", 4711, nil},
		"no status":        {"<GetHostNameResponse><HostName>pc</HostName></GetHostNameResponse>", 0, ErrNoStatus},
		"no values":        {"<GetHostNameResponse/>", 0, ErrNoStatus},
		"another method":   {"<GetDomainNameResponse><Status>0</Status></GetDomainNameResponse>", 0, ErrForeign},
		"an empty body":    {"", 0, ErrForeign},
		"entities refused": {"<GetHostNameResponse><Status>&zero;</Status></GetHostNameResponse>", 0, errParse},
		"too deep":         {strings.Repeat("<a>", 50) + strings.Repeat("</a>", 50), 0, errParse},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := Parse(envelope(c.body), r)
			var ret *wsman.ReturnError
			var parse *wsman.ParseError
			switch {
			case c.code != 0:
				if !errors.As(err, &ret) || ret.Code != c.code || n == nil {
					t.Errorf("%v", err)
				}
			case c.err == errParse:
				if !errors.As(err, &parse) {
					t.Errorf("%v", err)
				}
			case !errors.Is(err, c.err):
				t.Errorf("%v, want %v", err, c.err)
			}
		})
	}
}

var errParse = errors.New("not read")

func TestValues(t *testing.T) {
	node := func(body string) *wsman.Node {
		n, err := wsman.ParseTree([]byte("<r>" + body + "</r>"))
		if err != nil {
			t.Fatal(err)
		}
		return &n
	}
	if b, err := ReadOTP(node("<OTP>T25lVGltZS0xMjM0</OTP>")); err != nil || string(b) != "OneTime-1234" { // provisioning-protocol 3.4
		t.Errorf("%q, %v", b, err)
	}
	if _, err := ReadOTP(node("<OTP>se cret!</OTP>")); err == nil || strings.Contains(err.Error(), "cret") {
		t.Errorf("%v", err)
	}
	if v, err := ReadTa0(node("<Ta0>1795428000</Ta0>")); err != nil || v != 1795428000 {
		t.Errorf("%d, %v", v, err)
	}
	for name, err := range map[string]error{
		"no OTP": second(ReadOTP(node(""))), "no time": second(ReadTa0(node("<Ta0>soon</Ta0>"))),
		"no version": second(ReadVersion(node(""))), "no realm": second(ReadRealm(node(""))), "no host": second(ReadHostName(node(""))), "no domain": second(ReadDomainName(node(""))),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// The administrator's password as real programs send it (provisioning-protocol 3.4).
func TestSetAdmin(t *testing.T) {
	ha1 := [16]byte{0xfd, 0x78, 0x98, 0x78, 0xe8, 0x0c, 0xd0, 0x47, 0x65, 0xf9, 0x24, 0xad, 0x61, 0xed, 0x96, 0xbf}
	if b := string(SetAdmin("admin", ha1).Encode()); !strings.Contains(b, "<EntryEx><Username>admin</Username><DigestPassword>/XiYeOgM0Edl+SStYe2Wvw==</DigestPassword></EntryEx>") {
		t.Error(b)
	}
}

// Every operation says who states it, and what may change a client twice is not sent twice.
func TestOps(t *testing.T) {
	ops := map[string]Op{}
	for _, o := range Ops() {
		if o.Basis != Used && o.Basis != Served && o.Basis != Twin || ops[o.Name()].Method != "" {
			t.Errorf("%+v", o)
		}
		ops[o.Name()] = o
	}
	for _, r := range all() {
		if _, ok := ops[r.Op.Name()]; !ok {
			t.Errorf("%s is not among Ops", r.Op.Name())
		}
		delete(ops, r.Op.Name())
	}
	for name := range ops {
		t.Errorf("%s is tested by nothing", name)
	}
	if !opCommit().Once || !opUnprovision().Once || !opAdmin().Once || opVersion().Once {
		t.Error("once")
	}
}

func FuzzParse(f *testing.F) {
	for _, body := range []string{"<GetHostNameResponse><Status>0</Status><HostName>pc</HostName></GetHostNameResponse>", "<e:Fault><faultcode>e:Client</faultcode></e:Fault>", ""} {
		f.Add(envelope(body))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := Parse(b, GetHostName())
		if err == nil && n == nil {
			t.Fatal("neither an answer nor an error")
		}
		if err == nil {
			_, _ = ReadHostName(n)
			_, _ = ReadOTP(n)
			_, _ = ReadTa0(n)
		}
	})
}
