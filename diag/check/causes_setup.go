package check

import "amtmedic/diag"

// credentialCauses is section 7.7 without the certificate.
var credentialCauses = []cause{
	{"rc-pid-unknown", diag.Credentials, creds, "The client uses a PID that the server does not have",
		"a row for that PID in csti_pid_map", []repair{
			auto("Import the OEM's key file, or add the pair"),
			hand("Put a new pair on the client, only when the old one cannot be found").
				not(func(c *caseView) bool { return c.Truth("keys.oem_has_pid") == diag.Yes || c.manyFail() })}},
	{"rc-pid-mistyped", diag.Credentials, creds, "The PID was mistyped on the client",
		"the PID's own row in csti_pid_map", []repair{hand("Enter PID and PPS on the client again; never correct the map instead")}},
	{"rc-pps-mismatch", diag.Credentials, creds, "Client and server have the same PID, but not the same PPS",
		"a TLS-PSK session that starts", []repair{auto("Import the right pair at the server"), hand("Enter PID and PPS on the client again")}},
	{"rc-admin-password-mismatch", diag.TLS, creds, "The client refuses the administrator password that the server has",
		"a log-in that is accepted", []repair{
			auto("Store the right password at the server"),
			hand("Type a password that was handed over on a command line: the tool may have stored another"),
			hand("Reset the MEBx password")}},
	{"rc-rcfg-off-on-server", diag.Credentials, server, "The server does not allow Remote Configuration",
		"the setting being on", []repair{auto("Enable Remote Configuration on the server")}},
	{"rc-otp-mismatch", diag.Credentials, creds, "The one-time password is missing on the client, or another one",
		"the one-time passwords being equal", []repair{auto("Send the one-time password again with the start call")}},
}

// certificateCauses is section 7.7: the Remote Configuration certificate.
var certificateCauses = []cause{
	{"rc-cert-missing", diag.Credentials, creds, "The service sees no Remote Configuration certificate",
		"a certificate in the service account's store", []repair{hand("Install it in the store of the account that runs the service")}},
	{"rc-cert-no-key", diag.Credentials, creds, "The certificate has no private key here",
		"the private key", []repair{hand("Complete the request on the machine that made it"), hand("Restore a backup that has the key")}},
	{"rc-cert-no-oid", diag.Credentials, creds, "The certificate lacks the purpose that the firmware asks for",
		"the purpose 2.16.840.1.113741.1.2.3 in the certificate", []repair{hand("Have it issued again with the right purpose or OU")}},
	{"rc-cert-suffix-mismatch", diag.Credentials, creds, "The certificate's name does not fit the client's DNS suffix",
		"a certificate name in the client's domain", []repair{
			hand("Take a certificate with the right name"), hand("Set the suffix in the MEBx"), hand("Set DHCP option 15")}},
	{"rc-cert-hash-not-in-client", diag.Credentials, creds, "The client does not trust the root of the certificate",
		"the root's digest among the client's hashes", []repair{
			hand("Take a certificate of an authority whose root is built in"), hand("Add the root's hash to the client (MEBx or USB record)")}},
	{"rc-cert-expired", diag.Credentials, creds, "The certificate is not valid now",
		"dates that include now", []repair{hand("Renew the certificate"), hand("Set the server's clock")}},
	{"rc-cert-chain-incomplete", diag.Credentials, creds, "The certificate's chain is incomplete on the server",
		"the whole chain", []repair{auto("Install the missing certificates from the bundle")}},
	{"rc-cert-hash-algorithm", diag.Credentials, creds, "The chain uses a digest or key length that this firmware refuses",
		"a chain without it", []repair{
			hand("Leave out the cross certificate to the old root"), hand("Else have the certificate issued again")}},
}

// provisioningCauses is section 7.8.
var provisioningCauses = []cause{
	{"rc-fqdn-unresolved", diag.FQDN, provData, "The server finds no name for this client",
		"a row for the UUID in csti_uuid_maps", []repair{
			auto("Write the mapping, after confirmation"), auto("Start the discovery"), hand("Join the domain, correct the reverse record")}},
	{"rc-uuid-map-stale", diag.FQDN, provData, "The server knows this client by a name that it no longer has",
		"the mapped name being the present one", []repair{auto("Correct the row and provision again")}},
	{"rc-uuid-duplicate", diag.FQDN, provData, "Two PCs report the same UUID",
		"different UUIDs", []repair{
			hand("Write unique UUIDs with the maker's tool, again after BIOS updates"), harsh("Then provision both PCs anew")}},
	{"rc-uuid-byte-order", diag.FQDN, provData, "The map has this client's UUID in the other byte order",
		"a row for the UUID as the client says it", []repair{auto("Convert the rows")}},
	{"rc-uuid-not-allowed", diag.FQDN, provData, "The server takes imported UUIDs only, and this one is not among them",
		"the UUID being imported", []repair{auto("Import the UUID")}},
	{"rc-no-profile", diag.FQDN, provData, "No profile is assigned to this client",
		"a profile", []repair{auto("Assign a profile")}},
	{"rc-db-params-empty", diag.FQDN, provData, "Parameters come from the database, which has none for a first contact",
		"a row for the UUID", []repair{auto("Switch to the properties script"), auto("Fill the rows first")}},
	{"rc-script-missing", diag.FQDN, provData, "The properties script is not there, or the service may not run it",
		"the script being there", []repair{auto("Set the script's path")}},
	{"rc-script-error", diag.FQDN, provData, "The properties script ends with an error",
		"exit code 0", []repair{hand("Do what its output says")}},
	{"rc-ca-unavailable", diag.TLS, provData, "The certificate authority does not issue",
		"a certificate being issued", []repair{hand("Check the authority's service, template and rights")}},
	{"rc-ca-crl", diag.TLS, provData, "The server cannot check the chain: the revocation list is not current",
		"a current revocation list", []repair{hand("Install the current revocation list on the server, restart the service")}},
	{"rc-ad-integration", diag.TLS, provData, "The directory object cannot be created",
		"the object being there", []repair{hand("Check the path of the organisational unit and the rights")}},
}

// afterCauses is section 7.9: management and tunnel.
var afterCauses = []cause{
	{"rc-tls-version", diag.TLS, server, "Client and server have no TLS version in common",
		"a version that both speak", []repair{hand("Update the firmware"), hand("Else permit the old version for these clients only")}},
	{"rc-mgmt-plain", diag.Provisioned, server, "The client takes TLS only, the managing side speaks without it",
		"the managing side using TLS", []repair{hand("Use TLS on port 16993: a newer tool, or its TLS switch")}},
	{"rc-control-mode", diag.Provisioned, client, "The client is in client control mode, admin mode is wanted",
		"admin control mode", []repair{
			harsh("Take client mode off through the local driver, activate again with the certificate").byTool(), harsh("The same in the MEBx")}},
	{"rc-cira-settings", diag.Provisioned, client, "The client's tunnel settings are missing or name another server",
		"tunnel settings that name our server", []repair{auto("Write the tunnel settings again")}},
	{"rc-cira-static-ip", diag.Provisioned, client, "With a static address the ME cannot judge its surroundings and opens no tunnel",
		"DHCP for the ME", []repair{hand("Use DHCP for the ME")}},
	{"rc-cira-inside", diag.Provisioned, network, "The client takes its network for the inside one and opens no tunnel",
		"a suffix that is not among the stored domains", []repair{auto("Correct the stored domains"), hand("Correct DHCP option 15")}},
	{"rc-cira-env-stale", diag.Provisioned, client, "The client has not judged its surroundings again since it was set up",
		"a link that came up after the set-up", []repair{hand("Replug the cable"), hand("Reboot once")}},
	{"rc-mps-stopped", diag.Provisioned, server, "Nobody listens on the server's port for tunnels",
		"a listener on that port", []repair{auto("Start the service for tunnels")}},
	{"rc-mps-blocked", diag.Provisioned, network, "The server's port for tunnels cannot be reached from the client's network",
		"a connect to that port", []repair{hand("Allow TCP to that port, passed through without ending TLS")}},
	{"rc-cira-trust-lost", diag.Provisioned, creds, "The server presents another root than the client stored for the tunnel",
		"the stored root being presented", []repair{hand("Restore the old certificate"), harsh("Activate the clients again")}},
}

// healthy is section 6.5: verdicts without fault.
var healthy = []cause{
	{"ok-provisioned", diag.Provisioned, "", "The client is provisioned, and by this server", "a fault in what the symptom points to", nil},
	{"ok-cira-outside", diag.Provisioned, "", "The client is outside and reaches the server through its tunnel: its ports are closed by design", "the tunnel being down", nil},
	{"ok-in-progress", diag.Provisioned, "", "The hello was received and the client is just being provisioned", "the entry growing older than the retry time", nil},
	{"ok-waiting-retry", diag.Wire, "", "The road is open now: the client will send its next hello by itself", "silence for longer than the longest gap", nil},
	{"ok-not-started", diag.Firmware, "", "The client is ready, and nobody has started its setup yet", "Setup Mode being expected now", nil},
}
