// Package remedy holds the repairs: the only code that changes the customer's world. A repair is
// previewed, confirmed, journaled before it writes, verified, and undone where that is possible.
package remedy

import "context"

// Row is one line of a preview: "adds", "provisionserver.corp.example. 300 CNAME ns1...".
type Row struct{ Label, Text string }

// Field is an input that a repair needs, such as a PPS.
type Field struct {
	Name, Label, Hint string
	Secret            bool
	Check             func(string) error // nil when every text will do
}

// Plan is what a repair would do, before it does it.
type Plan struct {
	Title   string
	Rows    []Row    // will send, to, adds, removes, undo, checked first
	ByHand  []string // the same by hand: commands or steps
	Fields  []Field  // inputs that are asked before the confirmation
	Confirm string   // the word to type; empty for a step by hand, which is ticked off
	Undo    string   // what undo does; empty when there is none
}

// Action is one repair, ready for this world. Plan may look at the world, but changes nothing.
// Apply verifies what it did and gives a line that says so.
type Action struct {
	ID    string // the remedy's id in the catalogue
	Plan  func(ctx context.Context) (Plan, error)
	Apply func(ctx context.Context, inputs map[string]string) (done string, err error)
	Undo  func(ctx context.Context) error // nil when there is none
	// ByHand marks what a person does step by step; Apply then takes the steps in a practice world.
	ByHand bool
}
