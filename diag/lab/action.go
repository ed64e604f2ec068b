package lab

import (
	"context"
	"maps"
	"strings"

	"amtmedic/amt"
	"amtmedic/diag"
	"amtmedic/diag/remedy"
)

// repair is a remedy that the practice world has: how its action is made.
type repair func(w *World, r diag.Remedy) remedy.Action

// Action gives the repair for a remedy of the catalogue, done in the practice world: records by a
// signed update of the name server, keys by import, settings on the simulated PC as a person types
// them. False when this world has nothing to repair in that way.
func (w *World) Action(_ *diag.Judgement, r diag.Remedy) (remedy.Action, bool) {
	make, ok := repairs[r.ID]
	if strings.HasPrefix(r.Text, "Partial unprovision") { // its number depends on what the case knows
		make, ok = onPC("the client is unprovisioned, PID and PPS are kept", unprovision, "MEBx: partial unprovision"), true
	}
	if !ok {
		return remedy.Action{}, false
	}
	a := make(w, r)
	a.ID = r.ID
	apply := a.Apply
	a.Apply = func(ctx context.Context, in map[string]string) (string, error) {
		before, _ := w.pc.start()
		said, err := apply(ctx, in)
		if after, _ := w.pc.start(); err == nil && after.Equal(before) {
			w.pc.repaired()
		}
		return said, err
	}
	return a, true
}

// repairs are the remedies by their ids in the catalogue.
var repairs = map[string]repair{
	"rm-restart-hello": onPC("the PC was drained and plugged in again", func(w *World) error { w.pc.drain(); return nil },
		"shut the PC down, unplug it", "press the power button until its light has lit and faded", "plug it in"),

	"rm-amt-disabled":            onPC("AMT is enabled", switchOn, "open the BIOS setup", "Manageability (AMT): Enabled", "save"),
	"rm-amt-disabled-2":          onPC("AMT is enabled", switchOn, "open the BIOS setup", "Manageability (AMT): Enabled", "save"),
	"rm-not-in-setup-factory-2":  onPC("the client took the pair from the USB key", useKey, "put the One-Touch key in", "restart, answer Y"),
	"rm-not-in-setup-factory-3":  onPC("PID and PPS are entered", enterPair, typePair...),
	"rm-not-in-setup-pw-changed": onPC("PID and PPS are entered", enterPair, typePair...),
	"rm-not-in-setup-pw-changed-3": onPC("the client is as from the factory, and took the pair from the USB key", resetAndKey,
		"take the CMOS battery out for 15 s", "put the One-Touch key in", "restart, answer Y"),
	"rm-mebx-lockout":    onPC("no password that is known here is accepted", func(w *World) error { w.pc.mebxTakes(); return nil }, "try every password once more"),
	"rm-mebx-lockout-2":  onPC("the client is as it came from the factory", resetPC, "take the CMOS battery out for 15 s"),
	"rm-pid-mistyped":    onPC("PID and PPS are entered again", enterPair, typePair...),
	"rm-no-dns-suffix-2": atDHCP("option 15 is set", func(w *World) { w.renew(w.plan.id.suffix, w.at.clientDNS) }, "scope options: 015 DNS Domain Name"),
	"rm-no-dns-suffix-3": onPC("the domain is stored", storeDomain, "MEBx, TCP/IP settings: domain name"),
	"rm-port-mismatch-2": onPC("the port is stored", storeOtherPort, "MEBx, provisioning server: address and port"),
	"rm-dns-unreachable": atDHCP("the name server answers again", func(w *World) { w.clientView.silence(false) }, "start the DNS service, open port 53"),
	"rm-dns-unreachable-2": atDHCP("option 6 names another server", func(w *World) { w.renew(w.plan.suffix, w.at.serverDNS) },
		"scope options: 006 DNS Servers"),
	"rm-client-no-dhcp":         atDHCP("the scope has an address again", leaseAgain, "DHCP scope: free addresses, port security"),
	"rm-wrong-nic":              onPC("the cable is in AMT's own port", replug, "put the cable into the socket on the board"),
	"rm-mebx-server-override":   onPC("no server is stored", clearServer, "MEBx, provisioning server: clear the fields"),
	"rm-mebx-server-override-2": onPC("the server's address is stored", storeServer, "MEBx, provisioning server: type the right address"),

	"rm-dns-no-record":        writeRecord,
	"rm-dns-no-record-3":      writeRecord,
	"rm-dns-wrong-suffix":     writeRecord,
	"rm-dns-wrong-suffix-2":   atDHCP("option 15 names the zone of the record", func(w *World) { w.renew(w.plan.zone, w.at.clientDNS) }, "scope options: 015 DNS Domain Name"),
	"rm-dns-wrong-target":     writeRecord,
	"rm-dns-split-horizon":    writeRecord,
	"rm-dns-cname-dangling":   writeRecord,
	"rm-dns-cname-dangling-2": addAddress,

	"rm-fw-9971-blocked":   atDHCP("the packet filter lets port 9971 through", (*World).openPath, "allow TCP to port 9971 of the server"),
	"rm-server-fw-9971-2":  atDHCP("the server's packet filter lets port 9971 through", (*World).openPath, "allow TCP to port 9971"),
	"rm-amtconfig-stopped": startService,
	"rm-port-mismatch":     movePort,
	"rm-pid-unknown":       importOEM,
	"rm-fqdn-unresolved":   writeMapping,
	"rm-fqdn-unresolved-3": addPointer,

	"rm-pps-mismatch":            importPair,
	"rm-pps-mismatch-2":          onPC("PID and PPS are entered again", enterPair, typePair...),
	"rm-admin-password-mismatch": importPair,
	"rm-otp-mismatch":            sendOTP,
	"rm-return-path-blocked":     atDHCP("the packet filter lets the server through", func(w *World) { w.change(func(p *plan) { p.noBack = false }) }, "allow TCP from the server to ports 16992 and 16993 of the clients"),
	"rm-uuid-byte-order":         turnMapping,
	"rm-uuid-not-allowed":        writeMapping,
	"rm-no-profile":              assignProfile,
	"rm-script-missing":          setScript,
	"rm-script-error":            atServer("the script has its list of names again", (*World).layNames, "read what it printed: names.txt cannot be opened", "put the list of names back"),
	"rm-ca-unavailable":          atServer("the certificate authority answers", func(w *World) error { w.change(func(p *plan) { p.authority = true }); return nil }, "start the service of the certificate authority", "check template and rights"),
	"rm-rcfg-off-on-server":      allowRemote,
	"rm-cert-missing":            atServer("the service has a certificate", newCertificate, "install the certificate with its private key", "in the store of the account that runs the service"),
	"rm-cert-no-key":             atServer("certificate and private key are together", newCertificate, "complete the request on the machine that made it", "export both, install them here"),
	"rm-cert-no-key-2":           atServer("certificate and private key are together", newCertificate, "restore the backup that has the key"),
	"rm-cert-no-oid":             atServer("the new certificate has the usage", newCertificate, "ask the authority for OID 2.16.840.1.113741.1.2.3", "install the new certificate"),
	"rm-cert-expired":            atServer("the certificate was renewed", newCertificate, "have the certificate renewed", "install the new one"),
	"rm-cert-chain-incomplete":   completeChain,
	"rm-cert-hash-algorithm-2":   atServer("the new certificate has a key of 2048 bits", newCertificate, "request it again with RSA 2048 or longer", "install the new certificate"),
	"rm-cert-hash-not-in-client": atServer("the certificate is of a known authority", newCertificate, "request it from an authority whose root is built in", "install the new certificate"),
	"rm-cert-suffix-mismatch":    atServer("the certificate names the client's domain", newCertificate, "request it for provisionserver in the client's domain", "install the new certificate"),
}

var typePair = []string{"restart the PC, press Ctrl+P", "log in; the factory password must be changed first", "TLS-PSK: type PID and PPS", "read both once more by eye"}

// onPC makes a repair that a person does at the simulated PC.
func onPC(done string, do func(*World) error, steps ...string) repair {
	return func(w *World, r diag.Remedy) remedy.Action {
		return byHand(r, "on the simulated PC", steps, func(ctx context.Context) (string, error) {
			if err := do(w); err != nil {
				return "", &amt.Error{Op: "work on the simulated PC", Err: err}
			}
			if w.pc.State().Window == "open" {
				w.pc.awaitTry(ctx, tryLimit)
			}
			return done, nil
		})
	}
}

// atDHCP makes a repair that a person does at the network's own services.
func atDHCP(done string, do func(*World), steps ...string) repair {
	return func(w *World, r diag.Remedy) remedy.Action {
		return byHand(r, "in the practice network", steps, func(context.Context) (string, error) { do(w); return done, nil })
	}
}

// byHand is a repair in steps, which the practice world takes itself when it is applied.
func byHand(r diag.Remedy, where string, steps []string, do func(context.Context) (string, error)) remedy.Action {
	return remedy.Action{
		ByHand: true,
		Plan: func(context.Context) (remedy.Plan, error) {
			return remedy.Plan{Title: r.Text, Rows: []remedy.Row{{Label: "where", Text: where}}, ByHand: steps}, nil
		},
		Apply: func(ctx context.Context, _ map[string]string) (string, error) {
			if err := ctx.Err(); err != nil {
				return "", err
			}
			return do(ctx)
		},
	}
}

// automatic is a repair that the program does after a confirmation.
func automatic(r diag.Remedy, rows []remedy.Row, do func(context.Context) (string, error)) remedy.Action {
	return remedy.Action{
		Plan: func(context.Context) (remedy.Plan, error) {
			return remedy.Plan{Title: r.Text, Rows: rows, Confirm: "yes"}, nil
		},
		Apply: func(ctx context.Context, _ map[string]string) (string, error) { return do(ctx) },
	}
}

// withInputs answers the fields of a plan beforehand: the practice world's key is no secret.
func withInputs(a remedy.Action, given map[string]string) remedy.Action {
	plan, apply := a.Plan, a.Apply
	a.Plan = func(ctx context.Context) (remedy.Plan, error) {
		p, err := plan(ctx)
		p.Fields = nil
		return p, err
	}
	a.Apply = func(ctx context.Context, in map[string]string) (string, error) {
		all := maps.Clone(given)
		maps.Copy(all, in)
		return apply(ctx, all)
	}
	return a
}
