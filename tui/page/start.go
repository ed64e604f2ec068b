package page

// Symptom is one line of "What do you see?".
type Symptom struct{ ID, Text, Part, Hint string }

// Fault is one thing that can be broken for practice. Needs is empty when it is available.
type Fault struct {
	ID, Text  string
	Available bool
	Needs     string
}

// Missing is something that does not work here yet, and the command that would change that.
type Missing struct{ What, Needs, Command string }

// Start is what the start page shows besides its choices.
type Start struct {
	Machine  string   // "linux · root · eth0, lo"
	Can      []string // what works here
	Missing  []Missing
	Recent   []string // latest cases in a few words each, newest first
	Symptoms []Symptom
	Faults   []Fault
	Core     bool // there are pages of a provisioning core
}

// Kind is what a choice opens.
type Kind int

// The kinds of choices.
const (
	WholeRoad Kind = iota
	FromSymptom
	Practice
	FromBundle
)

// Choice is what the person wants to open. ID is the symptom or the fault; Path the bundle's file.
type Choice struct {
	Kind Kind
	ID   string
	Path string
}
