package diag

import (
	"slices"
	"strings"
)

// Key is one entry of the vocabulary of facts: what can be known about a case. The names are
// stable; docs/facts.md is generated from this table.
type Key struct {
	Name    string
	Meaning string
	Side    Vantage // the vantage that a fact without one has; empty for keys without a side
	form    form
	several bool   // several facts at once are no contradiction
	by      string // field that tells several facts of one moment apart, such as qname
}

// Form gives the values that the key takes, in words.
func (k Key) Form() string { return k.form.words }

// Lookup finds a key by its name.
func Lookup(name string) (Key, bool) {
	k, ok := keysByName[name]
	return k, ok
}

// Keys lists the vocabulary in the order of the road.
func Keys() []Key { return slices.Clone(keyTable) }

// Sided reports whether the same key from another vantage is another observation.
func (k Key) Sided() bool { return k.Side != "" }

var keysByName = func() map[string]Key {
	m := make(map[string]Key, len(keyTable))
	for _, k := range keyTable {
		m[k.Name] = k
	}
	return m
}()

// sideOf gives the side that a key or its row names.
func sideOf(name string) Vantage {
	switch {
	case strings.HasPrefix(name, "wire.client."), name == "dns.client", name == "net.9971", name == "net.ping", name == "net.mps":
		return AtClient
	case strings.HasPrefix(name, "wire.server."), name == "dns.server", name == "dns.forward", name == "dns.reverse",
		name == "net.16992", name == "net.16993":
		return AtServer
	}
	return ""
}

var (
	connectForm = enum("connect", "refused", "timeout", "unreachable")
	backForm    = enum("ok", "refused", "timeout", "tls-alert", "tls-closed", "tls-version", "not-attempted")
	mpsForm     = enum("none", "ok", "tls-alert", "tls-closed", "tls-version")
	hashForm    = object(fields{"algorithm": algorithm, "digest": digestForm})
	suffixForm  = textForm("a name, or an empty text", func(s string) (string, error) {
		if s = strings.ToLower(strings.TrimSuffix(s, ".")); s == None {
			return "", nil // looked, and nothing there
		}
		return s, nil
	})
	triedForm = listOf(object(fields{"version": anyText, "ok": boolean}))
	nameRow   = fields{"uuid": uuidForm, "fqdn": name, "age_s": count}
	questions = object(fields{"qname": name, "rcode": upper, "cname": listOf(name), "addr": listOf(address),
		"server": hostMaybePort, "timeout": boolean})
	synForm    = noneOr(object(fields{"dst": addressPort, "src": addressPort}))
	answerForm = noneOr(object(fields{"src": addressMaybePort, "dst": addressMaybePort}))
	icmpForm   = noneOr(object(fields{"src": addressMaybePort, "type": numberOrWord, "code": numberOrWord}))
	helloForm  = noneOr(object(fields{"version": number, "uuid": uuidForm, "pid": pidForm, "hashes": listOf(hashForm),
		"retry": count, "src": addressMaybePort, "dst": addressMaybePort, "length": count, "problems": listOf(anyText)}))
	watchForm = object(fields{"seconds": count, "after": enum("drain", "start-call", "nothing"), "power": enum("s0", "s3", "s5")})
)

func key(name string, f form, meaning string) Key {
	return Key{Name: name, Meaning: meaning, Side: sideOf(name), form: f}
}

// packet makes a key of what a capture saw: several at one moment are several packets.
func packet(name string, f form, meaning string) Key {
	k := key(name, f, meaning)
	k.several = true
	return k
}

func (k Key) each(field string) Key { k.several, k.by = true, field; return k }

// keyTable is the vocabulary: sections 1 and 1.1 of the symptom catalogue.
var keyTable = slices.Concat(caseKeys, clientKeys, usbKeys, nameKeys, wireKeys("client", AtClient), wireKeys("server", AtServer),
	wireBothKeys, serverKeys, databaseKeys, credentialKeys, fleetKeys)

var caseKeys = []Key{
	key("case.symptom", textForm("a symptom id sym-*", symptomID), "what the engineer sees; one fact for each").each(""),
	key("case.method", enum("psk", "rcfg", "local", "manual"), "method that the engineer wants"),
	key("case.expects_setup", boolean, "the engineer expects the client in Setup Mode now"),
	key("case.control_mode", enum("ccm", "acm"), "control mode that the engineer wants"),
	key("case.report", anyText, "the engineer's own words; shown, never judged").each(""),
}

var clientKeys = []Key{
	key("client.uuid", uuidForm, "UUID of the client, by local interface or asked"),
	key("client.prov_state", enum("pre", "in", "post"), "provisioning state of the firmware"),
	key("client.mode", enum("1", "2", "3", "4", "5", "6", "provisioned", "smb"), "one of the six modes, derived from the other items"),
	key("client.mei", enum("ok", "no-driver", "denied", "no-me", "not-ready"), "can the local Management Engine be asked"),
	key("client.amt_version", versionForm, "version of the AMT firmware"),
	key("client.mebx_password", enum("factory", "changed", "rejected"), "admin accepted; another known one accepted; none accepted"),
	key("client.rcfg_enabled", boolean, "Remote Configuration is on"),
	key("client.window", enum("open", "expired", "never-opened"), "the time in which hellos are sent"),
	key("client.nic", enum("onboard-up", "onboard-down", "other-nic-only"), "which network port is in use"),
	key("client.ip_mode", enum("dhcp-lease", "static", "none"), "how the ME gets its address"),
	key("client.suffix", suffixForm, "domain name that the ME itself reports"),
	key("client.server_override", noneOr(hostMaybePort), "server stored in MEBx or by a USB record"),
	key("client.hashes", listOf(hashForm), "root hashes that the firmware trusts"),
	key("client.enabled", boolean, "AMT is enabled"),
	key("client.enable_kind", enum("enabled", "soft-disabled", "bios-disabled", "no-entry"), "how AMT is switched"),
	key("client.sku", enum("amt", "standard", "none"), "product that the firmware announces"),
	key("client.control_mode", enum("none", "ccm", "acm"), "control mode that stands"),
	key("client.lms", enum("running", "stopped", "absent", "port-taken"), "Local Management Service in the client's system"),
	key("client.network_access", boolean, "network access activated, as MEBx shows it"),
	key("client.model", enum("enterprise", "smb"), "provisioning model"),
	key("client.setup_data", enum("none", "pid", "rcfg"), "what MEBx shows as prepared"),
	key("client.wlan", noneOr(object(fields{"up": boolean, "capable": boolean, "profile": boolean, "shared": boolean})), "wireless of the client"),
	key("client.link_up_s", count, "seconds since the link of AMT's port last came up"),
	key("client.cira", noneOr(object(fields{"state": enum("off", "connecting", "connected"), "network": enum("inside", "outside", "unknown"),
		"server": hostMaybePort, "domains": listOf(name)})), "tunnel from the firmware to the server"),
	key("client.cira_root_digest", noneOr(digestForm), "root that the client trusts for the tunnel"),
	key("client.tls_versions", listOf(enum("1.0", "1.1", "1.2", "1.3")), "TLS versions that the firmware offers"),
	key("client.pid", pidForm, "PID as MEBx or the label shows it"),
	key("client.keyed_by", enum("hand", "usb", "oem"), "how PID and PPS came onto the client"),
	key("client.start_call", enum("success", "in-window", "invalid-mode", "not-ready", "cert-not-ready", "rng-not-ready"), "answer of the last start-configuration call"),
	key("client.usb_tried", boolean, "One-Touch was tried in this case"),
	key("client.post_message", anyText, "what the screen said during POST"),
	key("client.me_addr", noneOr(address), "address of the ME"),
	key("client.os_addr", noneOr(address), "address of the operating system"),
	key("client.os_ip_mode", enum("dhcp-lease", "static", "none"), "how the operating system gets its address"),
	key("client.os_name", name, "name that the operating system has now"),
	key("client.dns_servers", listOf(resolverForm), "DNS servers of the lease or the static settings"),
	key("client.amt_updated_from", noneOr(versionForm), "earlier firmware version, when the present one came by update"),
	key("client.own_cert", noneOr(object(fields{"not_before": timeForm, "not_after": timeForm, "self_signed": boolean})), "certificate that the firmware presents on 16993"),
}

var usbKeys = []Key{
	key("usb.fs", textForm("fat12, fat16, fat32, none or another file system", func(s string) (string, error) {
		return strings.ToLower(s), nil
	}), "file system of the key"),
	key("usb.setup_first", boolean, "setup.bin is the first file"),
	key("usb.contiguous", boolean, "setup.bin lies in one piece"),
	key("usb.name_ok", boolean, "the file is named setup.bin"),
	key("usb.only_file", boolean, "no other file is on the key"),
	key("usb.file_version", versionForm, "version of the setup.bin format"),
	key("usb.records_total", count, "records in the file"),
	key("usb.records_free", count, "records not used yet"),
	key("usb.size_mib", count, "size of the volume in MiB"),
	key("usb.bootable", boolean, "the key is bootable"),
	key("usb.problems", listOf(anyText), "codes of what makes the record unfit for this client"),
}

var nameKeys = []Key{
	key("dns.client", questions, "answer that the client's own DNS servers give").each("qname"),
	key("dns.server", questions, "answer that the server's DNS servers give").each("qname"),
	key("dns.forward", object(fields{"name": name, "addr": listOf(address)}), "addresses of the client's mapped name, asked at the server").each("name"),
	key("dns.reverse", object(fields{"addr": address, "name": listOf(name)}), "names of the client's address, asked at the server").each("addr"),
	key("net.9971", connectForm, "TCP connect to the provisioning port"),
	key("net.16992", connectForm, "TCP connect from the server to the client's port 16992"),
	key("net.16993", connectForm, "TCP connect from the server to the client's port 16993"),
	key("net.mps", connectForm, "TCP connect to the server's port for tunnels"),
	key("net.ping", enum("answer", "timeout"), "ping between client and server"),
}

// wireKeys are what a capture on one side sees.
func wireKeys(side string, v Vantage) []Key {
	p := "wire." + side + "."
	ks := []Key{
		packet(p+"syn", synForm, "SYN of the client to the provisioning port"),
		packet(p+"synack", answerForm, "SYN-ACK answer"),
		packet(p+"rst", answerForm, "RST answer; src is who sent it"),
		packet(p+"fin", answerForm, "FIN"),
		packet(p+"icmp", icmpForm, "ICMP unreachable"),
		packet(p+"hello", helloForm, "hello payload"),
		packet(p+"watch", watchForm, "how long this side was captured without a break up to its time"),
		packet(p+"back", noneOr(object(fields{"dst": addressMaybePort})), "SYN of the connection back"),
	}
	if v == AtClient {
		ks = append(ks,
			packet(p+"dns", noneOr(object(fields{"qname": name, "rcode": upper, "addr": listOf(address), "server": hostMaybePort})),
				"query for the provisioning name, seen at the client"),
			packet(p+"dhcp", noneOr(object(fields{"by": enum("me", "os"), "addr": address, "suffix": suffixForm, "dns": listOf(resolverForm)})),
				"lease seen on the wire"))
	}
	return ks
}

var wireBothKeys = []Key{
	key("wire.back", backForm, "last connection of the service back to the client"),
	key("wire.back_dst", addressPort, "where the service tried to connect to"),
	key("wire.mps", mpsForm, "last connection of the client to the port for tunnels"),
}

var serverKeys = []Key{
	key("srv.oobm", versionForm, "version of Out of Band Management"),
	key("srv.scs", versionForm, "version of the setup and configuration server"),
	key("srv.addr", listOf(address), "addresses of the provisioning server"),
	key("srv.fqdn", name, "name of the provisioning server"),
	key("srv.amtconfig", enum("running", "stopped", "hung", "absent"), "state of the provisioning service"),
	key("srv.listen", listOf(addressPort), "listeners of the service; an empty list means nothing listens"),
	key("srv.amtscs.vdir", enum("present", "missing"), "web directory"),
	key("srv.amtscs.https", enum("on", "off"), "https required on the web directory"),
	key("srv.amtscs.status", httpStatus, "HTTP status of the web directory"),
	key("srv.amtscs.detail", anyText, "why the status was given: none, ssl-required, access-denied, or text"),
	key("srv.tls_mode", enum("on", "off"), "AMT management uses TLS"),
	key("srv.tls_versions", listOf(enum("1.0", "1.1", "1.2", "1.3")), "TLS versions that the managing side accepts"),
	key("srv.rcfg_enabled", boolean, "general setting: allow Remote Configuration"),
	key("srv.params_from", enum("script", "db"), "where configuration parameters come from"),
	key("srv.script", object(fields{"path": anyText, "exists": boolean, "exit_code": number, "duration_s": count, "output": anyText}), "properties script"),
	key("srv.log", listOf(object(fields{"at": timeForm, "text": anyText})), "log rows of the client's UUID, oldest first"),
	key("srv.console", enum("ok", "partial", "error"), "Provisioning nodes of the console"),
	key("srv.location", hostMaybePort, "server that the console points at"),
	key("srv.mps_listen", listOf(addressPort), "listeners for tunnels"),
	key("srv.mps_root_digest", digestForm, "root of the certificate that the port for tunnels presents now"),
	key("srv.product", object(fields{"name": anyText, "version": anyText}), "management server in use"),
	key("srv.tried", triedForm, "other versions of the server tried on this client with the same settings"),
	key("srv.retry_s", count, "configured retry time in seconds"),
	key("srv.uuid_policy", enum("any", "imported-only"), "which UUIDs the server takes"),
	key("srv.ca", enum("ok", "unreachable", "refused", "crl", "not-used"), "certificate authority of the profile"),
	key("srv.ad", enum("ok", "unreachable", "refused", "crl", "not-used"), "directory of the profile"),
	key("srv.sync", or(object(fields{"runs": count, "imported": count, "error": anyText}), "never"), "Resource Synchronization"),
	key("srv.clock_skew_s", number, "server clock minus true time, in seconds"),
	key("tool.version", anyText, "name and version of the client tool or console in use"),
	key("tool.tls", boolean, "that tool speaks TLS to the client"),
	key("tool.tried", triedForm, "other versions of the tool tried on this client with the same settings"),
}

var databaseKeys = []Key{
	key("db.reach", boolean, "the database answers"),
	key("db.auth", boolean, "log-in and rights of the service's account are good"),
	key("db.exists", boolean, "the IntelAMT database exists"),
	key("db.same_instance", boolean, "IntelAMT and the Altiris database are in one instance"),
	key("db.amts", row(fields{"uuid": uuidForm, "state": enum("unprovisioned", "in-progress", "provisioned"), "fqdn": name, "age_s": count}), "row of csti_amts"),
	key("db.uuid_map", row(nameRow), "row of csti_uuid_maps"),
	key("db.uuid_map_swapped", row(nameRow), "row for the byte-swapped form of the UUID"),
	key("db.discovery", row(nameRow), "inventory of the discovery for this UUID"),
	key("db.pid_map", row(fields{"pid": pidForm, "used": boolean, "age_s": count}), "row of csti_pid_map for the client's PID"),
	key("db.pid_near", listOf(pidForm), "unused PIDs that are one slip away from the client's"),
	key("db.pid_rows", object(fields{"total": count, "unused": count}), "size of the PID map"),
	key("db.queue", row(fields{"uuid": uuidForm, "age_s": count, "attempts": count}), "row of csto_queue_entries"),
	key("db.delayed", row(fields{"uuid": uuidForm, "age_s": count, "attempts": count, "reason": anyText}), "row of csto_delayed_entries"),
	key("db.queue_length", count, "queue entries of all clients"),
	key("db.queue_idle_s", count, "seconds since any queue entry last changed"),
	key("db.config", row(nil), "row of csti_configuration"),
	key("db.profile", row(fields{"uuid": uuidForm, "name": anyText}), "profile of this UUID"),
	key("db.profiles", listOf(anyText), "profiles that exist"),
}

var credentialKeys = []Key{
	key("cred.psk", enum("ok", "alert", "closed", "no-pid"), "TLS-PSK handshake"),
	key("cred.digest", loginStatus, "HTTP status of the digest log-in to the client: 200 or 401"),
	key("cred.otp", enum("not-used", "ok", "missing", "wrong"), "one-time password"),
	key("cert.present", boolean, "a Remote Configuration certificate is visible to the service"),
	key("cert.private_key", boolean, "its private key is there"),
	key("cert.eku", listOf(anyText), "extended key usages, as OIDs"),
	key("cert.ou", anyText, "organisational unit, exact spelling, empty when absent"),
	key("cert.names", listOf(name), "DNS names, common name included"),
	key("cert.not_before", timeForm, "start of validity"),
	key("cert.not_after", timeForm, "end of validity"),
	key("cert.chain", enum("complete", "incomplete"), "chain up to the root"),
	key("cert.root_digest", digestForm, "digest of the chain's root"),
	key("cert.root_digests", listOf(hashForm), "the chain's root under each algorithm"),
	key("cert.root_in_client_hashes", boolean, "the root is among the client's hashes"),
	key("cert.algorithms", listOf(anyText), "signature digests of the chain, leaf first"),
	key("cert.key_bits", listOf(count), "RSA key lengths of the chain, leaf first"),
	key("keys.oem_has_pid", boolean, "a key file of the OEM at hand contains the client's PID"),
}

var fleetKeys = []Key{
	key("fleet.provisioned", listOf(object(fields{"count": count, "amt_version": versionForm, "method": anyText, "segment": anyText, "suffix": anyText})),
		"other clients that this server provisioned with its present settings, in groups"),
	key("fleet.failing", listOf(object(fields{"count": count, "text": anyText})), "other clients with the same error since the last change at the server"),
	key("fleet.same_uuid", count, "other PCs that report the UUID of this client"),
	key("fleet.last_change_s", count, "seconds since any client's csti_amts row last changed"),
}
