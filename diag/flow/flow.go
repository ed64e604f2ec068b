// Package flow is the guided order: what to measure or ask next, until a verdict stands. A Walk
// owns one case while it is walked; faces read its snapshots and send intents.
package flow

import (
	"context"
	"errors"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/probe"
	"amtmedic/diag/remedy"
)

// World is where a case is walked: this machine and its network, or a practice world.
type World interface {
	// Name is for the screen: "this machine", "practice".
	Name() string
	// Now is the clock of the world; practice worlds run faster.
	Now() time.Time
	// Probes lists what can be measured, given what is known so far.
	Probes(v *diag.View) []probe.Probe
	// Questions lists what a person can be asked here.
	Questions(v *diag.View) []probe.Question
	// Action gives the repair for a remedy of the catalogue, false when this world has none: then
	// the remedy's text is shown as a step by hand.
	Action(j *diag.Judgement, r diag.Remedy) (remedy.Action, bool)
	// Client is the simulated PC of a practice world, nil elsewhere.
	Client() Client
}

// ErrNoCore says that no provisioning core is known that could be followed.
var ErrNoCore = errors.New("no provisioning core is known that works on this client")

// Provisioner is a World whose provisioning core can be followed, behind a repair, until the client is
// provisioned.
type Provisioner interface {
	// Provision lets the core go on with the client and reports how far it is. It returns when the
	// client is provisioned, when its entry is delayed, or with the context's error.
	Provision(ctx context.Context, v *diag.View, report func(probe.Progress)) (probe.Progress, error)
}

// Client is a simulated PC that stands in for the one beside the engineer.
type Client interface {
	// Screen is what its screen and MEBx show now, line by line.
	Screen() []string
	// Drain cuts its power and lets the hello sequence start again.
	Drain()
	// Answer looks the answer to a question up on the client: the number of the option, or text.
	Answer(q probe.Question) (option int, text string, ok bool)
}

// Journal keeps the case on disk as it grows. Every method returns only when the line is durable.
type Journal interface {
	ID() string
	Fact(diag.Fact) error
	Action(Action) error
}

// Action is one line of the action log: what was changed, by whom, with which result.
type Action struct {
	At     time.Time `json:"at"`
	Remedy string    `json:"remedy"`
	Stage  string    `json:"stage"` // intended, done, failed, undone
	Title  string    `json:"title"`
	Detail string    `json:"detail,omitempty"`
}

// StepKind says what the current step is.
type StepKind int

// The kinds of a step.
const (
	Thinking     StepKind = iota
	Probing               // a probe runs
	Asking                // a person is asked
	Planned               // the cause is repaired; the next step of the repair plan is due
	Decided               // a verdict stands
	Stuck                 // nothing left to measure or ask here
	Provisioning          // the road is open: the core provisions the client
)

// Step is the one thing that the walk does now.
type Step struct {
	Kind     StepKind
	Check    Info
	Question *probe.Question // when asking
	Remedy   *diag.Remedy    // when planned: what is due
	What     string          // when probing: what it does
	Since    time.Time       // when probing, in world time
	Until    time.Time       // zero while not known
	WaitsFor string
	Seen     []string // what was seen so far
}

// Info describes a check for a screen.
type Info struct {
	ID, Title, Why, How string
	Stage               int
	Station             diag.Station
}

// Snapshot is everything that a face shows. It shares nothing with the walk.
type Snapshot struct {
	World     string
	CaseID    string
	Now       time.Time // world time
	Judgement diag.Judgement
	Step      Step
	Facts     []diag.Fact // in the order in which they came
	Actions   []Action
	Skipped   []string // ids of questions and probes that were skipped
	Notice    string   // a line for the footer: what just happened, or went wrong
	Problems  []string // what could not be looked at, why, and a line "hint: ..." where there is a next step: one for each probe whose last run failed
	Client    []string // the simulated PC's screen, nil elsewhere
	// Provisioning is what the core did and does with the client since the road is open; nil before.
	Provisioning *probe.Progress
	// Here tells which remedies of the judgement this program can do here by itself; the others are
	// steps by hand, whatever kind the catalogue gives them.
	Here map[string]bool
}

// Walker is what faces see of a walk. All methods return at once, except those with a context.
type Walker interface {
	Snapshot() Snapshot
	// Changed is signalled after a change; several changes may come as one signal.
	Changed() <-chan struct{}
	// Answer answers the question being asked: with an option (from 0), or with text (option -1).
	Answer(questionID string, option int, text string) error
	// Skip leaves the present step for later.
	Skip()
	// Undo takes the last answer back: it adds a fact that says unknown.
	Undo()
	// Recheck runs everything that serves a check once more; empty means the whole road.
	Recheck(check string)
	// Drain restarts a simulated client; elsewhere it notes that the engineer did so.
	Drain()
	// Preview plans a remedy of the present verdict; it changes nothing.
	Preview(ctx context.Context, r diag.Remedy) (plan remedy.Plan, automatic bool, err error)
	// Apply does it and checks the road again.
	Apply(ctx context.Context, r diag.Remedy, inputs map[string]string) (done string, err error)
	// UndoRemedy takes back the last repair that can be undone.
	UndoRemedy(ctx context.Context) error
}
