package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/miekg/dns"

	"amtmedic/amt"
	"amtmedic/amt/keys"
	"amtmedic/amt/sim"
	"amtmedic/amt/store"
	"amtmedic/diag"
	"amtmedic/diag/remedy"
)

func switchOn(w *World) error  { return w.pc.switchOn() }
func enterPair(w *World) error { return w.pc.enterPair(w.pc.sound) }

func useKey(w *World) error {
	if err := w.pc.InsertUSB(string(w.pc.sound.PID), w.pc.sound.PPS, w.pc.own); err != nil {
		return err
	}
	w.pc.keyedNow("usb")
	return nil
}

func resetPC(w *World) error { return w.pc.CMOSReset() }

func resetAndKey(w *World) error {
	if err := w.pc.CMOSReset(); err != nil {
		return err
	}
	return useKey(w)
}

func unprovision(w *World) error {
	if err := w.pc.atMEBx((*sim.MEBx).PartialUnprovision); err != nil {
		return err
	}
	w.pc.started("start-call")
	return nil
}

func clearServer(w *World) error { return w.pc.atMEBx((*sim.MEBx).ClearServerOverride) }

func storeServer(w *World) error {
	return w.pc.atMEBx(func(x *sim.MEBx) error { return x.SetServerOverride(w.at.server.String()) })
}

func storeOtherPort(w *World) error {
	at := w.service.address().String()
	return w.pc.atMEBx(func(x *sim.MEBx) error { return x.SetServerOverride(at) })
}

func storeDomain(w *World) error {
	return w.pc.atMEBx(func(x *sim.MEBx) error { return x.SetDomain(w.plan.id.suffix) })
}

// renew changes what the DHCP server gives, and lets the client take it.
func (w *World) renew(suffix string, resolver netip.Addr) {
	l := sim.Lease{Address: w.at.client, Suffix: suffix, DNS: []netip.AddrPort{netip.AddrPortFrom(resolver, dnsPort)}}
	w.pc.Renew(l)
	w.network.leased(l)
}

func leaseAgain(w *World) { w.renew(w.plan.id.suffix, w.at.clientDNS) }

func replug(w *World) error {
	w.pc.replug()
	leaseAgain(w)
	return nil
}

// writeRecord corrects the CNAME in the client's own zone, at the name server that the client asks.
func writeRecord(w *World, r diag.Remedy) remedy.Action {
	resolver := w.network.current().DNS[0]
	a := remedy.DNSUpdate(remedy.CNAME{ID: r.ID, Server: w.net.real(resolver).String(), Name: w.plan.id.question(),
		Target: w.plan.id.server, Zone: w.plan.id.suffix, Correct: true})
	return withInputs(a, map[string]string{remedy.FieldKeyName: updateKey, remedy.FieldKeySecret: w.plan.id.dnsKey})
}

// addAddress gives the target of a dangling CNAME the server's address.
func addAddress(w *World, r diag.Remedy) remedy.Action {
	name := w.plan.target
	return byHand(r, "at the name server", []string{fmt.Sprintf("add: %s A %s", name, w.at.server)}, func(context.Context) (string, error) {
		z := w.clientView.zoneFor(name)
		if z == nil {
			return "", fmt.Errorf("no zone here holds %s", name)
		}
		return name + " has an address", z.set(name, dns.TypeA, w.at.server.String())
	})
}

func startService(w *World, r diag.Remedy) remedy.Action {
	return automatic(r, []remedy.Row{{Label: "will start", Text: "the provisioning service on " + w.service.address().String()}},
		func(ctx context.Context) (string, error) {
			if err := w.service.start(ctx); err != nil {
				return "", &amt.Error{Op: "start service", Err: err}
			}
			return w.listening()
		})
}

// movePort sets the usual port in the configuration of the service.
func movePort(w *World, r diag.Remedy) remedy.Action {
	to := netip.AddrPortFrom(w.at.server, amt.HelloPort)
	return automatic(r, []remedy.Row{{Label: "will listen on", Text: to.String()}, {Label: "instead of", Text: w.service.address().String()}},
		func(ctx context.Context) (string, error) {
			if err := w.service.move(ctx, to); err != nil {
				return "", &amt.Error{Op: "move service", Err: err}
			}
			return w.listening()
		})
}

func (w *World) listening() (string, error) {
	state, at := w.service.state()
	if len(at) == 0 {
		return "", errors.New("the service did not stay up: it is " + state)
	}
	return fmt.Sprintf("the service is %s and listens on %s", state, at[0]), nil
}

// importOEM imports the maker's key file.
func importOEM(w *World, r diag.Remedy) remedy.Action {
	return automatic(r, []remedy.Row{{Label: "imports", Text: w.oemPath()}, {Label: "to", Text: w.database()}}, func(ctx context.Context) (string, error) {
		f, err := os.Open(w.oemPath())
		if err != nil {
			return "", &amt.Error{Op: "import key file", Err: err, Hint: "is there a key file of the maker?"}
		}
		rows, problems, err := keys.ReadCSV(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return "", &amt.Error{Op: "import key file", Subject: w.oemPath(), Err: err}
		}
		if len(problems) > 0 {
			return "", &amt.Error{Op: "import key file", Subject: w.oemPath(), Err: errors.New(problems[0].Text)}
		}
		var pairs []store.Pair
		for _, row := range rows {
			pairs = append(pairs, store.Pair{ID: row.ID, PID: row.PID, PPS: row.PPS, CurrentPassword: row.CurrentPassword,
				AdminPassword: row.AdminPassword, Used: row.Used})
		}
		sum, err := w.store.ImportKeys(ctx, pairs)
		return fmt.Sprintf("%d imported; clients that waited for it and go on: %d", sum.Imported, sum.Promoted), err
	})
}

// writeMapping writes the client's name into the UUID map.
func writeMapping(w *World, r diag.Remedy) remedy.Action {
	row := store.MapRow{UUID: w.plan.id.uuid, FQDN: w.plan.id.client, Source: "remedy"}
	return automatic(r, []remedy.Row{{Label: "adds", Text: row.UUID.String() + "  " + row.FQDN}, {Label: "to", Text: "csti_uuid_maps"}},
		func(ctx context.Context) (string, error) {
			sum, err := w.store.ImportMap(ctx, []store.MapRow{row})
			if err == nil && len(sum.Conflicts) > 0 {
				err = errors.New(sum.Conflicts[0].Text)
			}
			return fmt.Sprintf("%d row written; clients that waited for it and go on: %d", sum.Imported, sum.Promoted), err
		})
}

// addPointer adds the reverse record of the client.
func addPointer(w *World, r diag.Remedy) remedy.Action {
	return byHand(r, "at the server's name server", []string{"add the reverse record of " + w.at.client.String()}, func(context.Context) (string, error) {
		name, err := dns.ReverseAddr(w.at.client.String())
		if err != nil {
			return "", err
		}
		z := w.serverView.zoneFor(name)
		if z == nil {
			return "", fmt.Errorf("no zone here holds %s", name)
		}
		return name + " has a name", z.set(name, dns.TypePTR, dns.Fqdn(w.plan.id.client))
	})
}

// openPath takes the packet filter away that drops the provisioning port.
func (w *World) openPath() {
	if f, ok := w.net.(interface{ open() }); ok {
		f.open()
	}
}

// newCertificate puts a sound certificate in the place of the server's.
func newCertificate(w *World) error { return w.writeCertificate(certificate{}) }

// completeChain installs the authority between certificate and root.
func completeChain(w *World, r diag.Remedy) remedy.Action {
	return automatic(r, []remedy.Row{{Label: "adds", Text: "the certificate of " + between}, {Label: "to", Text: w.certificatePath()}},
		func(context.Context) (string, error) {
			if err := newCertificate(w); err != nil {
				return "", &amt.Error{Op: "complete the chain", Subject: w.certificatePath(), Err: err}
			}
			return "the chain leads to its root", nil
		})
}

// allowRemote switches Remote Configuration on in the server's settings.
func allowRemote(w *World, r diag.Remedy) remedy.Action {
	return automatic(r, []remedy.Row{{Label: "sets", Text: "rcfg_enabled = true"}, {Label: "in", Text: "csti_configuration"}}, func(ctx context.Context) (string, error) {
		return "Remote Configuration is on", w.store.SetConfig(ctx, "rcfg_enabled", "true")
	})
}

// atServer makes a repair that a person does at the server.
func atServer(done string, do func(*World) error, steps ...string) repair {
	return func(w *World, r diag.Remedy) remedy.Action {
		return byHand(r, "on the practice server", steps, func(context.Context) (string, error) { return done, do(w) })
	}
}

// importPair imports the pair of the person's list, with the password that was set together with it.
func importPair(w *World, r diag.Remedy) remedy.Action {
	pair := w.plan.id.pair
	return automatic(r, []remedy.Row{{Label: "imports", Text: "PID " + pair.PID.Dashed() + " with PPS and password of the list"}, {Label: "to", Text: w.database()}},
		func(ctx context.Context) (string, error) {
			sum, err := w.store.ImportKeys(ctx, []store.Pair{{PID: pair.PID, PPS: pair.PPS, AdminPassword: w.plan.id.password}})
			return fmt.Sprintf("%d imported; clients that waited for it and go on: %d", sum.Imported, sum.Promoted), err
		})
}

// assignProfile makes the profile that is there the default one.
func assignProfile(w *World, r diag.Remedy) remedy.Action {
	return automatic(r, []remedy.Row{{Label: "sets", Text: "default_profile = default"}, {Label: "in", Text: "csti_configuration"}}, func(ctx context.Context) (string, error) {
		return "the default profile applies", w.store.SetConfig(ctx, "default_profile", "default")
	})
}

// setScript tells the service where its script is.
func setScript(w *World, r diag.Remedy) remedy.Action {
	return automatic(r, []remedy.Row{{Label: "sets", Text: "script = " + filepath.Join(w.work, scriptName)}, {Label: "instead of", Text: w.script()}},
		func(context.Context) (string, error) {
			w.useScript()
			return "the service calls " + w.script(), nil
		})
}

// sendOTP lets the agent in the PC's system plant the one-time password again, with the start call.
func sendOTP(w *World, r diag.Remedy) remedy.Action {
	return automatic(r, []remedy.Row{{Label: "sends", Text: "a one-time password to the agent on the PC"}, {Label: "then", Text: "the start call"}},
		func(context.Context) (string, error) {
			w.firmware.engine.PlantOTP(w.plan.otp)
			return "the client has the one-time password", nil
		})
}

// turnMapping writes the row of the client under the right form of its UUID.
func turnMapping(w *World, r diag.Remedy) remedy.Action {
	u := w.plan.id.uuid
	return automatic(r, []remedy.Row{{Label: "turns", Text: u.Swapped().String()}, {Label: "into", Text: u.String()}}, func(ctx context.Context) (string, error) {
		if err := w.store.RemoveMapRow(ctx, u.Swapped()); err != nil {
			return "", err
		}
		sum, err := w.store.ImportMap(ctx, []store.MapRow{{UUID: u, FQDN: w.plan.id.client, Source: "remedy"}})
		return fmt.Sprintf("%d row turned; clients that waited for it and go on: %d", sum.Imported, sum.Promoted), err
	})
}
