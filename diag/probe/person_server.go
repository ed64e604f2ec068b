package probe

import (
	"strings"

	"amtmedic/diag"
)

var nameQuestions = []Question{
	{ID: "client.dns_servers", Check: "chk-dns-client", Title: "Which DNS servers has the client?", Cost: Ask,
		Why: "Only they count for it: a good answer elsewhere proves nothing.",
		How: []string{"ipconfig /all on the client or a PC beside it", "or option 6 of the DHCP scope"},
		Options: []Option{
			option("none is set", "no name can be asked", says("client.dns_servers", []string{})),
		},
		Field: one("client.dns_servers", "DNS servers", "10.20.0.53, 10.20.0.54", words)},
	{ID: "dns.client", Check: "chk-dns-client", Title: "What does nslookup say there?", Cost: Ask,
		Why:   "The client's own DNS servers must know ProvisionServer with the client's suffix.",
		How:   []string{"on the client or a PC beside it:", "nslookup provisionserver.SUFFIX", "not ping: it may use a cache or the hosts file"},
		Field: answered("dns.client")},
	{ID: "dns.server", Check: "chk-dns-server", Title: "What does nslookup say at the server?", Cost: Ask,
		Why:   "Two different answers mean two views of the zone.",
		How:   []string{"on the server: nslookup provisionserver.SUFFIX"},
		Field: answered("dns.server")},
	{ID: "net.9971", Check: "chk-connect-9971", Title: "Does port 9971 answer there?", Cost: Ask,
		Why: "Refused, no answer and connected lead to three different causes.",
		How: []string{"on a PC in the client's segment:", "Test-NetConnection SERVER -Port 9971, or nc -vz SERVER 9971"},
		Options: []Option{
			option("it connects", "then the hello itself", says("net.9971", "connect")),
			option("refused at once", "nobody listens, or a firewall", says("net.9971", "refused")),
			option("no answer for many seconds", "something drops it", says("net.9971", "timeout")),
			option("host or network unreachable", "routing", says("net.9971", "unreachable")),
		}},
}

var serverQuestions = []Question{
	{ID: "srv.addr", Check: "chk-client-target", Title: "Which addresses has the server?", Cost: Ask,
		Why:   "What the name gives is compared with it.",
		How:   []string{"ipconfig or ip address on the provisioning server"},
		Field: one("srv.addr", "addresses", "10.1.0.10", words)},
	{ID: "srv.fqdn", Check: "chk-dns-client", Title: "Which full name has the server?", Cost: Ask,
		Why:   "The CNAME must lead to it; its own domain is asked as well.",
		How:   []string{"hostname and domain of the provisioning server"},
		Field: one("srv.fqdn", "full name", "ns1.corp.example", dottedName)},
	{ID: "srv.amtconfig", Check: "chk-service", Title: "Does the service run?", Cost: Ask,
		Why: "It takes the hello, stores it and works the queue.",
		How: []string{"services of the server: AMTConfig", "does its log move?"},
		Options: []Option{
			option("it runs", "then who listens", says("srv.amtconfig", "running")),
			option("it is stopped", "start it", says("srv.amtconfig", "stopped")),
			option("it runs, but nothing moves", "restart it", says("srv.amtconfig", "hung")),
			option("there is no such service", "the install failed", says("srv.amtconfig", "absent")),
		}},
	{ID: "srv.listen", Check: "chk-listen", Title: "Who listens on port 9971?", Cost: Ask,
		Why: "A port that nobody listens on refuses every hello.",
		How: []string{"on the server: netstat -an, look for 9971 LISTENING"},
		Options: []Option{
			option("9971 on all addresses", "in order", says("srv.listen", []string{"0.0.0.0:9971"})),
			option("nothing of the service listens", "stopped, or hung", says("srv.listen", []string{})),
		},
		Field: one("srv.listen", "it listens on", "10.1.0.10:9971", words)},
	{ID: "srv.scs", Check: "chk-versions", Title: "Which version has the SCS?", Cost: Ask,
		Why: "AMT 2.2 and 2.6 do Remote Configuration only with 3.2.1; 1.2 was unstable.",
		How: []string{"console: About, or properties of AMTConfig.exe"},
		Options: []Option{
			option("1.2", "unstable", says("srv.scs", "1.2")),
			option("1.3", "no Remote Configuration", says("srv.scs", "1.3")),
			option("3.0", "not for AMT 2.2 and 2.6", says("srv.scs", "3.0")),
			option("3.2.1", "all of AMT 2 and 3", says("srv.scs", "3.2.1")),
		},
		Field: one("srv.scs", "another version", "5.0", nil)},
	{ID: "srv.oobm", Check: "chk-versions", Title: "Which version has OOB Management?", Cost: Ask,
		Why: "6.1 goes with SCS 1.x, 6.2 with 3.x.",
		How: []string{"console: installed solutions"},
		Options: []Option{
			option("6.1", "SCS 1.2 or 1.3", says("srv.oobm", "6.1")),
			option("6.2", "SCS 3.0 or 3.2.1", says("srv.oobm", "6.2")),
		},
		Field: one("srv.oobm", "another version", "7.0", nil)},
	{ID: "srv.tls_mode", Check: "chk-amtscs", Title: "Does AMT management use TLS?", Cost: Ask,
		Why: "https on the web directory must fit it: both on, or both off.",
		How: []string{"console: general settings and the profile"},
		Options: []Option{
			option("yes", "https must be required", says("srv.tls_mode", "on")),
			option("no", "https must not be required", says("srv.tls_mode", "off")),
		}},
	{ID: "srv.amtscs.vdir", Check: "chk-amtscs", Title: "Is the web directory AMTSCS there?", Cost: Ask,
		Why: "The console reaches the database through it.",
		How: []string{"IIS manager, Default Web Site"},
		Options: []Option{
			option("yes, https is required", "fits only TLS on", says("srv.amtscs.vdir", "present"), says("srv.amtscs.https", "on")),
			option("yes, https is not required", "fits only TLS off", says("srv.amtscs.vdir", "present"), says("srv.amtscs.https", "off")),
			option("no", "install it again", says("srv.amtscs.vdir", "missing")),
		}},
	{ID: "srv.amtscs.status", Check: "chk-amtscs", Title: "Which HTTP status does AMTSCS give?", Cost: Ask,
		Why:   "401, 403 and 404 lead to three different causes.",
		How:   []string{"open the AMTSCS address in a browser on the server"},
		Field: one("srv.amtscs.status", "status", "200", wholeNumber)},
	{ID: "srv.rcfg_enabled", Check: "chk-rcfg", Title: "Does it allow Remote Configuration?", Cost: Ask,
		Why: "With it off the server ignores hellos of version 3.",
		How: []string{"console: general settings"},
		Options: []Option{
			option("yes", "then the certificate", says("srv.rcfg_enabled", true)),
			option("no", "switch it on", says("srv.rcfg_enabled", false)),
		}},
	{ID: "srv.retry_s", Check: "chk-queue", Title: "What is the retry time, in seconds?", Cost: Ask,
		Why:   "An entry younger than it is work in progress.",
		How:   []string{"console: general settings"},
		Field: one("srv.retry_s", "seconds", "3600", wholeNumber)},
	{ID: "srv.params_from", Check: "chk-params", Title: "Where do names and profiles come from?", Cost: Ask,
		Why: "From the database the fields are empty at the first contact.",
		How: []string{"console: general settings, configuration parameters"},
		Options: []Option{
			option("from the properties script", "then the script", says("srv.params_from", "script")),
			option("from the database", "rows must be filled first", says("srv.params_from", "db")),
		}},
	{ID: "srv.script", Check: "chk-script", Title: "How did the properties script end?", Cost: Ask,
		Why: "The service does not provision without what the script answers.",
		How: []string{"the service's log; run the script by hand as its account"},
		Options: []Option{
			option("well", "in order", says("srv.script", map[string]any{"exists": true, "exit_code": 0})),
			option("with an error", "read what it says", says("srv.script", map[string]any{"exists": true, "exit_code": 1})),
			option("it ran out of time", "read what it says", says("srv.script", map[string]any{"exists": true, "exit_code": -1})),
			option("the file is not there", "set the path", says("srv.script", map[string]any{"exists": false})),
		}},
	{ID: "srv.log", Check: "chk-queue", Title: "What does the log say of this UUID?", Cost: Ask,
		Why: "An error there names the link that failed.",
		How: []string{"set logging to Debug Warning first", "console: log, filter by the UUID, take the newest error"},
		Options: []Option{
			option("nothing, the UUID is not there", "no hello was stored", says("srv.log", []any{})),
		},
		Field: one("srv.log", "newest text", "failed to find PID mapping", func(text string) (any, error) {
			return []any{map[string]any{"text": text}}, nil
		})},
}

// sql gives the steps that read one table of the server's database. The names of its columns are
// known for this program's own database only, so that no statement of ours names one.
func sql(table, row string) []string {
	steps := []string{"SQL tool on the IntelAMT database:", "SELECT * FROM " + table}
	if row != "" {
		steps = append(steps, "look for "+row)
	}
	return steps
}

var tableQuestions = []Question{
	{ID: "db.reach", Check: "chk-db", Title: "Is the database in order?", Cost: Ask,
		Why: "What cannot be stored is lost.",
		How: []string{"log in with the account of the service", "is there a database IntelAMT?"},
		Options: []Option{
			option("log-in works, IntelAMT is there", "in order", says("db.reach", true), says("db.auth", true), says("db.exists", true)),
			option("no answer", "SQL service, firewall", says("db.reach", false)),
			option("log-in or rights refused", "rights of the account", says("db.reach", true), says("db.auth", false)),
			option("log-in works, IntelAMT is missing", "the install failed", says("db.reach", true), says("db.auth", true), says("db.exists", false)),
		}},
	{ID: "db.config", Check: "chk-db", Title: "Has csti_configuration its row?", Cost: Ask,
		Why: "Without it the service knows no settings.",
		How: sql("csti_configuration", ""),
		Options: []Option{
			option("yes", "in order", says("db.config", "row")),
			option("no, it is empty", "make the defaults again", says("db.config", diag.None)),
		}},
	{ID: "db.pid_map", Check: "chk-pid", Title: "Is the PID in csti_pid_map?", Cost: Ask,
		Why: "\"Failed to find PID mapping\" means that it is not.",
		How: sql("csti_pid_map", "the row of the PID, and whether it is marked as used"),
		Options: []Option{
			option("no row", "import the pair", says("db.pid_map", diag.None)),
			option("a row, not used yet", "then the PPS", says("db.pid_map", map[string]any{"used": false})),
			option("a row, used", "then the PPS", says("db.pid_map", map[string]any{"used": true})),
		}},
	{ID: "db.pid_near", Check: "chk-pid", Title: "Is an unused PID almost the same?", Cost: Ask,
		Why: "One slip of the hand looks so: one character, 0/O, 1/I, 8/B, 5/S, or two swapped.",
		How: sql("csti_pid_map", "rows not marked as used whose PID is almost the client's"),
		Options: []Option{
			option("no", "it is not a slip", says("db.pid_near", []string{})),
		},
		Field: one("db.pid_near", "yes", "XXXX-XXXX", words)},
	{ID: "db.amts", Check: "chk-post-owner", Title: "Which state has csti_amts for it?", Cost: Ask,
		Why: "A client without a row of ours belongs to somebody else, or never said hello.",
		How: sql("csti_amts", "the row of the UUID"),
		Options: []Option{
			option("no row", "not ours, or never heard", says("db.amts", diag.None)),
			option("unprovisioned", "heard, not done", says("db.amts", map[string]any{"state": "unprovisioned"})),
			option("in progress", "work is under way", says("db.amts", map[string]any{"state": "in-progress"})),
			option("provisioned", "ours", says("db.amts", map[string]any{"state": "provisioned"})),
		}},
	{ID: "db.uuid_map", Check: "chk-params", Title: "Which name has its UUID in the map?", Cost: Ask,
		Why: "Without a name the service cannot go on.",
		How: sql("csti_uuid_maps", "the row of the UUID, and its full name"),
		Options: []Option{
			option("no row", "a name is missing", says("db.uuid_map", diag.None)),
		},
		Field: one("db.uuid_map", "name", "pc-0412.corp.example", mapName)},
	{ID: "db.uuid_map_swapped", Check: "chk-params", Title: "And under the swapped UUID?", Cost: Ask,
		Why: "Some lists have the first three groups in the other byte order.",
		How: append(sql("csti_uuid_maps", "the row of the swapped UUID, and its full name"), "swap the bytes of the first three groups: 01020304 becomes 04030201"),
		Options: []Option{
			option("no row", "not the byte order", says("db.uuid_map_swapped", diag.None)),
		},
		Field: one("db.uuid_map_swapped", "name", "pc-0412.corp.example", mapName)},
	{ID: "db.profile", Check: "chk-params", Title: "Which profile applies to it?", Cost: Ask,
		Why: "Without a profile the service does not know what to set.",
		How: []string{"console: profile assignment, or the default"},
		Options: []Option{
			option("none", "assign one", says("db.profile", diag.None)),
		},
		Field: one("db.profile", "profile", "default", inField("name"))},
	{ID: "db.queue", Check: "chk-queue", Title: "Is it in csto_queue_entries?", Cost: Ask,
		Why: "A young entry is work in progress, an old one is not.",
		How: sql("csto_queue_entries", "a row of the UUID, and how old it is"),
		Options: []Option{
			option("no", "then the delayed ones", says("db.queue", diag.None)),
			option("yes, its age was not looked at", "then the service", says("db.queue", "row")),
		},
		Field: one("db.queue", "yes, seconds old", "120", func(text string) (any, error) {
			n, err := wholeNumber(text)
			return map[string]any{"age_s": n}, err
		})},
	{ID: "db.delayed", Check: "chk-queue", Title: "Is it in csto_delayed_entries?", Cost: Ask,
		Why: "What failed waits there, with its reason.",
		How: sql("csto_delayed_entries", "a row of the UUID, and its reason"),
		Options: []Option{
			option("no", "nothing was put off", says("db.delayed", diag.None)),
			option("yes, no reason is given", "read the log", says("db.delayed", "row")),
		},
		Field: one("db.delayed", "yes, the reason", "failed to find PID mapping", inField("reason"))},
	{ID: "fleet.same_uuid", Check: "chk-params", Title: "How many other PCs share its UUID?", Cost: Ask,
		Why: "Boards of one batch may leave the factory with one UUID.",
		How: append([]string{"compare with a second PC of the batch:"}, readUUID...),
		Options: []Option{
			option("none, I compared", "unique", says("fleet.same_uuid", 0)),
		},
		Field: one("fleet.same_uuid", "number of others", "1", wholeNumber)},
}

// mapName takes the name of a map row.
func mapName(text string) (any, error) {
	v, err := dottedName(strings.ToLower(text))
	return map[string]any{"fqdn": v}, err
}

var credentialQuestions = []Question{
	{ID: "keys.oem_has_pid", Check: "chk-pid", Title: "Has the maker's list this PID?", Cost: Ask,
		Why: "Then the pair is known and only has to be imported.",
		How: []string{"search the key file that came with the PCs for the PID"},
		Options: []Option{
			option("yes", "import the list", says("keys.oem_has_pid", true)),
			option("no, or there is no list", "the pair comes from elsewhere", says("keys.oem_has_pid", false)),
		}},
	{ID: "cred.psk", Check: "chk-pid", Title: "How does the PSK handshake end?", Cost: Ask,
		Why: "With the PID in the map only the PPS can still differ.",
		How: []string{"log of the service, or a capture of port 16993"},
		Options: []Option{
			option("it succeeds", "the pair is right", says("cred.psk", "ok")),
			option("the client sends an alert", "the PPS differs", says("cred.psk", "alert")),
			option("the client just closes it", "the PPS may differ", says("cred.psk", "closed")),
			option("the server has no such PID", "import the pair", says("cred.psk", "no-pid")),
		}},
	{ID: "cred.digest", Check: "chk-admin", Title: "Does the server's log-in work?", Cost: Ask,
		Why: "A password that was changed on one side only locks the server out.",
		How: []string{"log of the service, or its web page on port 16992"},
		Options: []Option{
			option("yes (200)", "in order", says("cred.digest", 200)),
			option("no (401)", "passwords differ", says("cred.digest", 401)),
		}},
	{ID: "cred.otp", Check: "chk-rcfg", Title: "Is a one-time password in use?", Cost: Ask,
		Why: "The server may ask for one that the client must have got before.",
		How: []string{"console: general settings of Remote Configuration"},
		Options: []Option{
			option("no", "nothing to compare", says("cred.otp", "not-used")),
			option("yes, and the client's fits", "in order", says("cred.otp", "ok")),
			option("yes, the client has none", "send it again", says("cred.otp", "missing")),
			option("yes, the client's is another", "send it again", says("cred.otp", "wrong")),
		}},
	{ID: "cert.present", Check: "chk-rcfg", Title: "Is the certificate on the server?", Cost: Ask,
		Why: "The service sees only the store of the account that it runs as.",
		How: []string{"certificates of that account, Personal", "key symbol = its private key is there", "or as that account: certutil -user -store My"},
		Options: []Option{
			option("yes, with its private key", "then what it says", says("cert.present", true), says("cert.private_key", true)),
			option("yes, without a private key", "it cannot be used", says("cert.present", true), says("cert.private_key", false)),
			option("no", "install it", says("cert.present", false)),
		}},
	{ID: "wire.back", Check: "chk-back", Title: "How does the connection back end?", Cost: Ask,
		Why: "The answer to a hello is a connection from the server to port 16993.",
		How: []string{"log of the service, or a capture on the server"},
		Options: []Option{
			option("it works", "in order", says("wire.back", "ok")),
			option("refused, or no answer", "the way back is closed", says("wire.back", "timeout")),
			option("TLS alert from the client", "key or certificate", says("wire.back", "tls-alert")),
			option("TLS versions do not meet", "versions of both sides", says("wire.back", "tls-version")),
			option("the server has not tried", "look at the queue", says("wire.back", "not-attempted")),
		}},
	{ID: "srv.ca", Check: "chk-tls-artifacts", Title: "Does the authority issue?", Cost: Ask,
		Why: "A profile with TLS needs a certificate for each client.",
		How: []string{"request one by hand from the profile's template"},
		Options: []Option{
			option("the profile needs none", "not looked at", says("srv.ca", "not-used")),
			option("yes", "in order", says("srv.ca", "ok")),
			option("it does not answer", "its service", says("srv.ca", "unreachable")),
			option("it refuses", "template and rights", says("srv.ca", "refused")),
			option("it issues, the chain cannot be checked", "revocation list", says("srv.ca", "crl")),
		}},
}
