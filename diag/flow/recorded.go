package flow

import (
	"time"

	"amtmedic/diag"
	"amtmedic/diag/probe"
	"amtmedic/diag/remedy"
)

// Recorded is the world of a case that is only looked at: nothing can be measured, asked or
// repaired, and the time is that of the case.
type Recorded struct {
	Title string    // for the screen
	At    time.Time // the moment of the case
}

// Name gives the title.
func (r Recorded) Name() string { return r.Title }

// Now gives the moment of the case.
func (r Recorded) Now() time.Time { return r.At }

// Probes gives none.
func (Recorded) Probes(*diag.View) []probe.Probe { return nil }

// Questions gives none.
func (Recorded) Questions(*diag.View) []probe.Question { return nil }

// Action gives none.
func (Recorded) Action(*diag.Judgement, diag.Remedy) (remedy.Action, bool) {
	return remedy.Action{}, false
}

// Client gives none.
func (Recorded) Client() Client { return nil }
