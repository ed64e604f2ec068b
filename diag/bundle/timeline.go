package bundle

import (
	"slices"
	"strings"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/flow"
)

// Event is one line of timeline.jsonl: what was seen or done, in the order of time.
type Event struct {
	At      time.Time `json:"at,omitzero"`
	Source  string    `json:"source"` // client, server, third, wire, operator
	Kind    string    `json:"kind"`   // fact or action
	Key     string    `json:"key"`    // key of the fact, or id of the remedy
	Text    string    `json:"text"`
	OffsetS float64   `json:"offset_s,omitempty"` // what the source's clock is ahead of true time
}

// timeline orders facts and actions by time; what has no time stands at the end.
func timeline(facts []diag.Fact, actions []flow.Action, clocks []Clock) []Event {
	var out []Event
	for _, f := range facts {
		if f.Value == diag.UnknownValue {
			continue
		}
		e := Event{At: f.At, Source: sourceOf(f), Kind: "fact", Key: f.Key, Text: Words(f.Value, 300)}
		for _, c := range clocks {
			if c.Source == e.Source {
				e.OffsetS = c.OffsetS
			}
		}
		out = append(out, e)
	}
	for _, a := range actions {
		text := clean(a.Stage+": "+a.Title, 300)
		if a.Detail != "" {
			text += " (" + clean(a.Detail, 300) + ")"
		}
		out = append(out, Event{At: a.At, Source: "operator", Kind: "action", Key: a.Remedy, Text: text})
	}
	slices.SortStableFunc(out, func(a, b Event) int {
		if a.At.IsZero() != b.At.IsZero() {
			if a.At.IsZero() {
				return 1
			}
			return -1
		}
		return a.At.Compare(b.At)
	})
	return list(out)
}

// sourceOf says who tells: packets, a person, or one of the vantages.
func sourceOf(f diag.Fact) string {
	switch {
	case strings.HasPrefix(f.Key, "wire."):
		return "wire"
	case strings.HasPrefix(f.Key, "case."), f.Probe == "person":
		return "operator"
	case f.Vantage != "":
		return string(f.Vantage)
	case strings.HasPrefix(f.Key, "client."), strings.HasPrefix(f.Key, "usb."):
		return string(diag.AtClient)
	}
	if k, ok := diag.Lookup(f.Key); ok && k.Side != "" {
		return string(k.Side)
	}
	return string(diag.AtServer)
}

// clocksOf gives what the facts say of clocks.
func clocksOf(facts []diag.Fact) []Clock {
	out := []Clock{}
	for _, f := range facts {
		if n, ok := f.Value.(float64); ok && f.Key == "srv.clock_skew_s" {
			out = append(out[:0], Clock{Source: string(diag.AtServer), OffsetS: n, Method: "srv.clock_skew_s"})
		}
	}
	return out
}
