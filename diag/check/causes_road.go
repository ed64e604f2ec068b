package check

import "amtmedic/diag"

// wireCauses: section 7.2 has none of its own; a stored server stands with the client.
var wireCauses []cause

// nameCauses is section 7.3.
var nameCauses = []cause{
	{"rc-dns-no-record", diag.Name, nameSrv, "There is no DNS record for ProvisionServer in the client's domain",
		"an address for that name", []repair{
			auto("Show the exact record that is missing"), auto("Send a simulated hello meanwhile"),
			hand("Create the CNAME for ProvisionServer that leads to the provisioning server")}},
	{"rc-dns-wrong-target", diag.Name, nameSrv, "ProvisionServer leads to a host that is not the provisioning server",
		"the name giving the server's address", []repair{hand("Correct the CNAME"), hand("Clear the caches of the DNS servers")}},
	{"rc-dns-cname-dangling", diag.Name, nameSrv, "The CNAME for ProvisionServer leads to a name that has no address",
		"an address for the target", []repair{hand("Correct the target of the CNAME"), hand("Add an address record for the target")}},
	{"rc-dns-split-horizon", diag.Name, nameSrv, "The client asks a DNS server that does not know ProvisionServer as the server's does",
		"the right address from the client's DNS server", []repair{hand("Add the record in the view, site or zone that the client uses")}},
	{"rc-dns-wrong-suffix", diag.Name, nameSrv, "ProvisionServer exists, but in another zone than the client's suffix",
		"an address in the client's own zone", []repair{hand("Add the record to the client's zone"), hand("Correct DHCP option 15")}},
	{"rc-dns-unreachable", diag.Name, nameSrv, "The client's DNS server does not answer",
		"any answer from that DNS server", []repair{hand("Look at routing and firewalls for port 53"), hand("Correct DHCP option 6")}},
}

// portCauses is section 7.4.
var portCauses = []cause{
	{"rc-fw-9971-blocked", diag.Port, network, "Something between client and server blocks port 9971",
		"the SYN arriving at the server", []repair{hand("Allow TCP to the server's port 9971 from the client networks")}},
	{"rc-server-fw-9971", diag.Port, server, "The hello reaches the server, whose own firewall drops it",
		"an answer to the SYN", []repair{auto("Show the firewall rule of the server"), hand("Open the port on the server")}},
	{"rc-port-mismatch", diag.Port, server, "The service listens on another port than the client uses",
		"a listener on the client's port", []repair{auto("Set the port in the service's configuration"), hand("Set the port in the MEBx")}},
	{"rc-middlebox", diag.Port, network, "Something in between takes the connection and keeps or changes the hello",
		"the same payload on both sides", []repair{hand("Lead the traffic past the proxy or inspection")}},
	{"rc-hello-malformed", diag.Port, network, "The client sends a hello that is not valid",
		"a sound hello from this client", []repair{auto("Store a bundle and escalate; the hello is not queued")}},
	{"rc-return-path-blocked", diag.TLS, network, "The server cannot connect back to the client",
		"a connect to the ME's port 16993", []repair{
			hand("Allow the server to reach the client's ports"), hand("Check that the ME still has the address that it sent from")}},
	{"rc-nat-between", diag.TLS, network, "An address translation stands between client and server",
		"the hello coming from the ME's own address", []repair{hand("Place the server inside"), hand("Route without address translation")}},
}

// serviceCauses is section 7.5.
var serviceCauses = []cause{
	{"rc-amtconfig-stopped", diag.Service, server, "The provisioning service is not running, so nobody listens on port 9971",
		"the service running", []repair{auto("Start the service, then check that it stays up")}},
	{"rc-amtconfig-hung", diag.Service, server, "The provisioning service runs, but does not work its queue",
		"a queue entry that moves", []repair{
			auto("Restart the service"),
			hand("Upgrade SCS 1.2").not(func(c *caseView) bool { return c.Known("srv.scs") && c.version("srv.scs").Line().String() != "1.2" })}},
	{"rc-amtscs-vdir-missing", diag.Service, webDir, "The web directory AMTSCS is missing",
		"the directory being there", []repair{hand("Reinstall the component, or recreate the directory; the Default Web Site must exist")}},
	{"rc-https-on-no-tls", diag.Service, webDir, "The web directory requires https although AMT management does not use TLS",
		"https off, or TLS on", []repair{auto("Turn the https requirement off (or, if TLS is wanted, finish TLS)")}},
	{"rc-https-off-with-tls", diag.Service, webDir, "AMT management uses TLS, but the web directory does not require https",
		"https on, or TLS off", []repair{auto("Require https on the web directory; a wrong change can cut off all managed clients")}},
	{"rc-amtscs-auth", diag.Service, webDir, "The web directory refuses the identity that calls it",
		"status 200 for that identity", []repair{hand("Give the calling identity its rights")}},
	{"rc-service-location", diag.Service, server, "The console points at another server than the one that gets the hellos",
		"the console's location being our server", []repair{auto("Correct the location")}},
	{"rc-install-incomplete", diag.Service, server, "The setup server is only partly installed",
		"service, directory and database all there", []repair{
			hand("Install by hand: log on as the application identity, stop IIS, close consoles and SQL consoles, stop AMTConfig, run the installer"),
			hand("Run the scripted install to see its errors")}},
}

// databaseCauses is section 7.6.
var databaseCauses = []cause{
	{"rc-sql-unreachable", diag.Database, database, "The database does not answer",
		"the database answering", []repair{hand("Check the SQL service, the instance name and the firewall")}},
	{"rc-sql-auth", diag.Database, database, "The database refuses the service's account",
		"a log-in that is accepted", []repair{hand("Grant the rights"), hand("Check the password of the application identity")}},
	{"rc-db-missing", diag.Database, database, "The IntelAMT database does not exist",
		"the database being there", []repair{hand("Run the database install")}},
	{"rc-config-row-missing", diag.Database, database, "The configuration row is missing",
		"a row in csti_configuration", []repair{auto("Create the default configuration again"), hand("Reinstall the database")}},
	{"rc-sql-instance-split", diag.Database, database, "IntelAMT and the Altiris database are in different SQL instances",
		"both in one instance", []repair{hand("Move both into one instance")}},
	{"rc-resource-sync", diag.Database, database, "Resource Synchronization has brought nothing over",
		"a run that imports", []repair{auto("Run the synchronization")}},
}
