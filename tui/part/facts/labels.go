package facts

import (
	"strings"

	"amtmedic/diag"
)

// labels are the keys that stand in verdicts most often, in words. Another key stands for itself.
var labels = map[string]string{
	"case.method":            "wanted method",
	"cert.not_after":         "certificate valid until",
	"cert.not_before":        "certificate valid from",
	"client.amt_version":     "AMT version",
	"client.enable_kind":     "AMT switch",
	"client.enabled":         "AMT enabled",
	"client.ip_mode":         "the ME's address",
	"client.mebx_password":   "MEBx password",
	"client.mei":             "local Management Engine",
	"client.mode":            "mode of the client",
	"client.nic":             "network port",
	"client.pid":             "PID in the MEBx",
	"client.prov_state":      "provisioning state",
	"client.rcfg_enabled":    "Remote Configuration on",
	"client.server_override": "server stored in the MEBx",
	"client.setup_data":      "prepared in the MEBx",
	"client.sku":             "product",
	"client.suffix":          "the ME's DNS suffix",
	"client.window":          "time for hellos",
	"cred.digest":            "log-in at the client, HTTP status",
	"cred.otp":               "one-time password",
	"cred.psk":               "TLS-PSK handshake",
	"db.auth":                "database log-in is good",
	"db.exists":              "database exists",
	"db.pid_near":            "unused PIDs one slip away",
	"db.queue_idle_s":        "queue idle, seconds",
	"db.queue_length":        "requests in the queue",
	"db.reach":               "database answers",
	"keys.oem_has_pid":       "PID in the OEM's key file",
	"net.16992":              "connect to port 16992",
	"net.16993":              "connect to port 16993",
	"net.9971":               "connect to port 9971",
	"net.ping":               "ping",
	"srv.addr":               "server's address",
	"srv.amtconfig":          "service (AMTConfig)",
	"srv.fqdn":               "server's name",
	"srv.listen":             "service listens on",
	"srv.retry_s":            "retry time, seconds",
}

// plain puts a fact into words that has no place for an arrow.
func plain(f diag.Fact) string {
	if f.Value == diag.UnknownValue {
		return f.Key + "  " + Value(f.Value)
	}
	if s := row(f); s != "" {
		return s
	}
	value := Value(f.Value)
	if l, ok := f.Value.([]any); ok && len(l) == 0 {
		value = "nothing"
	}
	if f.Value == "connect" { // what a dialled port did
		value = "it answers"
	}
	if label, ok := labels[f.Key]; ok {
		return label + ": " + value
	}
	if f.Value == diag.None && strings.HasPrefix(f.Key, "wire.") {
		return strings.ToUpper(f.Key[strings.LastIndexByte(f.Key, '.')+1:]) + ": none seen"
	}
	return f.Key + "  " + Value(f.Value)
}

// row puts rows of the server's tables, its log and the watch of a port into words; empty for
// every other fact.
func row(f diag.Fact) string {
	o := diag.ObjOf(f)
	none := f.Value == diag.None
	switch f.Key {
	case "db.queue":
		if none {
			return "no request of this client in the queue"
		}
		return "its request is in the queue" + field(o, "attempts", ", attempts: ")
	case "db.delayed":
		if none {
			return "no delayed entry of this client"
		}
		return "delayed entry" + field(o, "reason", ": ")
	case "db.amts":
		if none {
			return "no row in csti_amts for this client"
		}
		return "row in csti_amts: " + join(field(o, "fqdn", ""), field(o, "state", ""))
	case "db.pid_map":
		if none {
			return "no row in csti_pid_map for its PID"
		}
		used := map[diag.Tri]string{diag.Yes: "used", diag.No: "unused"}[o.Truth("used")]
		return "row in csti_pid_map: " + join(field(o, "pid", ""), used)
	case "db.uuid_map":
		if none {
			return "no row in csti_uuid_maps for this client"
		}
		return "row in csti_uuid_maps: " + join(field(o, "fqdn", ""))
	case "srv.script":
		if o.Truth("exists") == diag.No {
			return "properties script is not there" + field(o, "path", ": ")
		}
		return "properties script: " + join(field(o, "exit_code", "exit code "), field(o, "output", ""))
	case "wire.client.watch", "wire.server.watch":
		return "the port was watched" + field(o, "seconds", " for ") + " s, after: " + field(o, "after", "")
	case "srv.log":
		rows := diag.Objs(f.Value)
		if len(rows) == 0 {
			return "log: no row of this client"
		}
		return "log: " + rows[len(rows)-1].Str("text")
	}
	return ""
}

// field gives a field of an object behind a word, nothing when it is not there.
func field(o diag.Obj, name, before string) string {
	if s := o.Str(name); s != "" {
		return before + s
	}
	if n, ok := o.Num(name); ok {
		return before + number(n)
	}
	return ""
}

// join sets what is not empty beside each other; a row with nothing known is still a row.
func join(parts ...string) string {
	var s []string
	for _, p := range parts {
		if p != "" {
			s = append(s, p)
		}
	}
	if len(s) == 0 {
		return "there"
	}
	return strings.Join(s, ", ")
}
