package probe

import (
	"fmt"
	"slices"

	"amtmedic/capture"
	"amtmedic/diag"
)

// maxNotes bounds the notes that wait until it is known which client the case is about.
const maxNotes = 1000

// note takes what packets tell beside events: what concerns the client, and where the cable ends.
func (g *gatherer) note(n capture.Note) {
	e := capture.Event{Time: n.Time, Packet: n.Packet}
	switch {
	case n.Kind == capture.NoteSwitch:
		g.saw(e, "%s", n.Words())
	case slices.Contains(g.clients, n.Addr):
		g.saw(e, "%s", n.Words())
		g.noteFact(e, n)
	case n.Kind == capture.NoteConflict: // of any address, the server's too
		g.saw(e, "%s", n.Words())
	case len(g.clients) == 0 && len(g.notes) < maxNotes:
		g.notes = append(g.notes, n)
	}
}

// noteFact makes the fact of a note of the client, where there is one: what its firmware says of itself,
// and how its tunnel ended.
func (g *gatherer) noteFact(e capture.Event, n capture.Note) {
	switch n.Kind {
	case capture.NotePong:
		g.fact(e, "client.prov_state", n.State)
	case capture.NoteTunnel:
		if how := tunnelOutcome(n.Tunnel); how != "" {
			g.fact(e, "wire.mps", how)
		}
	}
}

// tunnelOutcome gives the value of wire.mps. What did not come to a handshake has none.
func tunnelOutcome(t *capture.Event) string {
	switch {
	case t.Outcome == capture.OutcomeOK && t.TLS != "":
		return "ok"
	case t.Outcome == capture.OutcomeAlert && t.Alert == alertProtocolVersion:
		return "tls-version"
	case t.Outcome == capture.OutcomeAlert:
		return "tls-alert"
	case t.Outcome == capture.OutcomeTLSClosed, t.Outcome == capture.OutcomeClosed:
		return "tls-closed"
	}
	return ""
}

// ref names a packet of what was captured, by which a fact refers to it.
func (g *gatherer) ref(packet int) diag.Evidence {
	name := g.file
	if name == "" {
		name = "live"
	}
	return diag.Evidence{fmt.Sprintf("%s#%d", name, packet)}
}
