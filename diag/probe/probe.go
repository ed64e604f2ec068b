// Package probe holds the sources of facts: names, ports, wire, database, and the person. A probe
// touches the world but never changes it; it has a cost, a needed privilege and a deadline, and
// ends with its context.
package probe

import (
	"context"
	"time"

	"amtmedic/diag"
)

// Cost orders probes and questions: the cheaper one goes first.
type Cost int

// The costs, cheapest first.
const (
	Read    Cost = iota // can be read at once
	Reach               // has to reach another machine
	Wait                // has to be waited for
	Ask                 // a person has to look it up
	Disturb             // disturbs the client
)

// Probe is one source of facts, ready to run. A probe that cannot run here says so in Needs.
type Probe struct {
	ID    string   // stable, such as "names-client"
	Check string   // the check that it serves, such as "chk-dns-client"
	What  string   // what it does, for the screen: "ask 10.20.0.53 for provisionserver.corp.example"
	Gives []string // keys that it can give
	Cost  Cost
	Limit time.Duration // it has ended by then, whatever happens
	Needs string        // privilege or program that is missing here; empty when it can run
	Run   func(ctx context.Context, r Report) error
}

// Report is how a running probe speaks. Its methods are safe for concurrent use.
type Report interface {
	// Fact adds a fact; At, Probe and a missing Vantage are filled in.
	Fact(f diag.Fact)
	// Saw adds a line to what was seen so far, for the screen only.
	Saw(text string)
	// Until says until when the probe waits at most, and for what.
	Until(t time.Time, what string)
}

// Question is one thing that only a person can tell.
type Question struct {
	ID      string   // stable: the key that it asks for, such as "client.mebx_password"
	Check   string   // the check that it serves
	Title   string   // the question itself
	Why     string   // why it is asked
	How     []string // how it is found out, step by step
	Gives   []string // keys that the answers give
	Cost    Cost
	Options []Option // at least one, or Field
	Field   *Field   // free input instead of, or besides, options
}

// Option is one answer. An option without facts means: cannot be told now.
type Option struct {
	Label   string
	Follows string // what follows from it, in a few words
	Facts   []diag.Fact
}

// Field is an answer that is typed. Facts turns the text into facts, or says what is wrong with it.
type Field struct {
	Label string
	Hint  string // the form expected, such as "3.2.1"
	Facts func(text string) ([]diag.Fact, error)
}
