// Package diag is the core of the diagnosis: facts with their provenance, the view of them that
// checks read, and the judgement that checks lead to. It is pure: no input or output, no clock of
// its own. Start with ReadFacts and NewView; package check judges.
package diag

// Station is one place on the road from the client's firmware to the provisioned state.
type Station int

// The stations, in the order of the road.
const (
	Firmware Station = iota
	Wire
	Name
	Port
	Service
	Database
	Credentials
	FQDN
	TLS
	Provisioned
	Stations = int(Provisioned) + 1
)

var stationNames = [Stations]string{"firmware", "wire", "name", "port", "service", "database",
	"credentials", "FQDN", "TLS", "provisioned"}

// String gives the road's word.
func (s Station) String() string { return stationNames[s] }

// Light is the state of a station or a check as a person sees it.
type Light int

// The lights. Only the station of the root cause is Broken.
const (
	Unlooked      Light = iota // nothing looked at yet
	Good                       // looked at, in order
	Broken                     // the root cause stands here
	Busy                       // in progress
	Unknown                    // looked, and not known
	NotApplicable              // not on this client's road
	Contradicted               // facts contradict each other
	Suspect                    // a further or only possible fault; never the root cause
	NotJudged                  // behind the broken link
)

// Confidence says how sure a cause is.
type Confidence string

// Confidence in falling order; see rules 12 and 13 of the catalogue's section 6.4.
const (
	Proven   Confidence = "proven"
	Likely   Confidence = "likely"
	Possible Confidence = "possible"
)

// Cause is one entry of the catalogue of causes, or a verdict without fault.
type Cause struct {
	ID        string
	Station   Station
	Component string // "client", "network", ...; empty for verdicts without fault
	Sentence  string // can be said on the telephone
	Change    string // what fact would change the verdict
	Remedies  []Remedy
}

// Remedy is one repair of a cause, as data. What it does to the world is in package remedy.
type Remedy struct {
	ID          string `json:"id"`
	Kind        string `json:"kind"` // automatic or manual
	Destructive bool   `json:"destructive"`
	Text        string `json:"text"`
}

// Named is a cause that a check names.
type Named struct {
	ID         string
	Confidence Confidence
	Decided    []string // keys of the facts that decided
	Missing    []string // keys that would raise the confidence
}

// Result is what one check says.
type Result struct {
	Check   string
	Stage   int
	Station Station
	Light   Light
	Causes  []Named
	Missing []string // keys of facts that this check still needs, most telling first
	Notes   []string
}

// Next is the question or check that would decide most.
type Next struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

// Judgement is the verdict object of the command line, and below it what screens show besides.
type Judgement struct {
	Case         string     `json:"case"`
	UUID         string     `json:"uuid"`
	Verdict      string     `json:"verdict"`
	Component    string     `json:"component"`
	Confidence   Confidence `json:"confidence"`
	Further      []string   `json:"further"`
	Consequences []string   `json:"consequences"`
	DecidedBy    []string   `json:"decided_by"`
	Remedies     []Remedy   `json:"remedies"`
	Next         *Next      `json:"next"`

	Sentence       string          `json:"-"` // the verdict in words
	Change         string          `json:"-"` // what would change it
	Mode           string          `json:"-"` // client.mode, derived
	Method         string          `json:"-"` // psk, rcfg, local, manual; empty while unknown
	Road           [Stations]Light `json:"-"`
	Checks         []Result        `json:"-"`
	Wanted         []string        `json:"-"` // keys that would decide most, in the order of asking
	Possible       []string        `json:"-"` // causes that only fit
	Derived        []Fact          `json:"-"` // facts that follow from others
	Contradictions []Contradiction `json:"-"`
	Complete       bool            `json:"-"` // an ok-* whose conditions are all known
}

// Healthy reports whether the verdict is one without fault.
func (j *Judgement) Healthy() bool { return len(j.Verdict) > 3 && j.Verdict[:3] == "ok-" }

// ExitCode gives the exit code of the command line: 0 healthy, 1 root cause, 3 undecided or an
// ok-* that lacks facts.
func (j *Judgement) ExitCode() int {
	switch {
	case j.Verdict == "":
		return 3
	case !j.Healthy():
		return 1
	case j.Complete:
		return 0
	}
	return 3
}
