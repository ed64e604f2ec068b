package device_test

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"

	"amtmedic/amt"
	"amtmedic/amt/device"
)

// soapServer is firmware as SOAP::Lite would be it: a SOAP server that dispatches by what it reads, on a
// port of loopback that it prints.
const soapServer = `
use strict; use warnings; use SOAP::Transport::HTTP; $| = 1;
package Sec;
sub d { SOAP::Data->name(@_) }
our %seen;
sub GetCoreVersion { (d(Status => 0), d(Version => "2.6.3")) }
sub GetDigestRealm { (d(Status => 0), d(DigestRealm => "Intel(R) AMT (ID:4C4C4544-0058-3910-8059-B7C04F4B5A31)")) }
sub SetMEBxPassword { my ($c, $p) = @_; d(Status => $p eq 'P@ss<w>0rd&' ? 0 : 2054) }
sub SetAdminAclEntryEx { my ($c, $e) = @_; d(Status => $e->{Username} eq "admin" && $e->{DigestPassword} =~ m{^[A-Za-z0-9+/]{22}==$} ? 0 : 36) }
sub CommitChanges { d(Status => 2057) }
package Net;
our $host = "";
sub GetHostName { (Sec::d(Status => 0), Sec::d(HostName => $host)) }
sub GetDomainName { (Sec::d(Status => 0), Sec::d(DomainName => "corp.example")) }
sub SetHostName { $host = $_[1]; Sec::d(Status => 0) }
sub SetDomainName { Sec::d(Status => 0) }
package main;
my $b = "http://schemas.intel.com/platform/client";
my $daemon = SOAP::Transport::HTTP::Daemon->new(LocalAddr => "127.0.0.1", LocalPort => 0)
  ->dispatch_with({"$b/SecurityAdministration/2004/01" => "Sec", "$b/NetworkAdministration/2004/01" => "Net"});
$daemon->serializer->autotype(0);
print $daemon->url, "\n";
$daemon->handle;
`

// A SOAP server that nobody wrote for us takes the requests, and its answers are read.
func TestOldClientAtSOAPLite(t *testing.T) {
	if err := exec.Command("perl", "-MSOAP::Transport::HTTP", "-MHTTP::Daemon", "-e", "1").Run(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("perl with SOAP::Lite: %v", err)
		}
		t.Skipf("perl with SOAP::Lite (libsoap-lite-perl) is missing: %v", err)
	}
	cmd := exec.Command("perl", "-e", soapServer)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(url), "http://"), "/")
	d := device.NewEOI(device.Open(device.Options{Address: addr}))
	defer func() { _ = d.Close() }()
	ctx := context30(t)
	id, err := d.Identify(ctx)
	if err != nil || id.Version.String() != "2.6.3" || id.UUID.String() != "4c4c4544-0058-3910-8059-b7c04f4b5a31" {
		t.Errorf("%+v, %v", id, err)
	}
	if err := d.SetNames(ctx, device.Names{Host: "pc-17", Domain: "corp.example"}); err != nil {
		t.Error(err)
	}
	if n, err := d.Names(ctx); err != nil || n.FQDN() != "pc-17.corp.example" {
		t.Errorf("%+v, %v", n, err)
	}
	if err := d.SetMEBxPassword(ctx, amt.NewSecret("P@ss<w>0rd&")); err != nil {
		t.Error(err)
	}
	if err := d.SetAdmin(ctx, device.Login{User: "admin", Password: amt.NewSecret("N3w-Passw0rd!")}); err != nil {
		t.Error(err)
	}
	if err := d.Commit(ctx); device.KindOf(err) != device.KindReturn {
		t.Errorf("%v", err)
	}
	if err := d.Unprovision(ctx, true); device.KindOf(err) != device.KindMissing { // it has none
		t.Errorf("%v", err)
	}
	if _, err := d.Clock(ctx); device.KindOf(err) != device.KindMissing {
		t.Errorf("%v", err)
	}
}
