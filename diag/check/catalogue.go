// Package check holds the checks of the road, one file per stage, the catalogue of causes as data,
// and the rules that lead from facts to one verdict. Everything is pure: the same facts give the
// same verdict for ever. Start with Judge.
package check

import (
	"fmt"
	"slices"

	"amtmedic/diag"
)

// components of causes, as the verdict names them.
const (
	client   = "client"
	network  = "network"
	nameSrv  = "name service"
	server   = "server application"
	webDir   = "web directory"
	database = "database"
	creds    = "credentials"
	provData = "provisioning data"
	usbKey   = "USB key"
)

// cause is one entry of section 7 of the symptom catalogue.
type cause struct {
	id        string
	station   diag.Station
	component string
	sentence  string
	change    string // the fact that would change the verdict
	repairs   []repair
}

// repair is one remedy before it is numbered.
type repair struct {
	automatic   bool
	destructive bool
	text        string
	unless      func(*caseView) bool // known not to apply
}

func auto(text string) repair  { return repair{automatic: true, text: text} }
func hand(text string) repair  { return repair{text: text} }
func harsh(text string) repair { return repair{destructive: true, text: text} }

// not leaves a repair out where its condition is known not to hold.
func (r repair) not(f func(*caseView) bool) repair { r.unless = f; return r }

// byTool marks a destructive repair that the tool may do.
func (r repair) byTool() repair { r.automatic = true; return r }

var causes = slices.Concat(frameCauses, clientCauses, keyCauses, wireCauses, nameCauses, portCauses, serviceCauses, databaseCauses,
	credentialCauses, certificateCauses, provisioningCauses, afterCauses, healthy)

var causeByID = func() map[string]*cause {
	m := make(map[string]*cause, len(causes))
	for i := range causes {
		m[causes[i].id] = &causes[i]
	}
	return m
}()

// Causes lists the catalogue: causes in the order of the road, then the verdicts without fault.
// Remedies are those of a case of which nothing else is known.
func Causes() []diag.Cause {
	out := make([]diag.Cause, len(causes))
	for i := range causes {
		out[i] = causes[i].export()
	}
	return out
}

// Lookup finds a cause or a verdict without fault.
func Lookup(id string) (diag.Cause, bool) {
	c, ok := causeByID[id]
	if !ok {
		return diag.Cause{}, false
	}
	return c.export(), true
}

func (c *cause) export() diag.Cause {
	blank := newCase(diag.NewView(nil, zeroTime))
	return diag.Cause{ID: c.id, Station: c.station, Component: c.component, Sentence: c.sentence, Change: c.change,
		Remedies: remediesOf(blank, []string{c.id})}
}

// LookupCheck finds a check.
func LookupCheck(id string) (Check, bool) {
	i := slices.IndexFunc(checks, func(c Check) bool { return c.ID == id })
	if i < 0 {
		return Check{}, false
	}
	return checks[i], true
}

// Symptoms lists what an engineer may see, in the order of the catalogue.
func Symptoms() []Symptom { return symptoms }

// LookupSymptom finds a symptom.
func LookupSymptom(id string) (Symptom, bool) {
	i := slices.IndexFunc(symptoms, func(s Symptom) bool { return s.ID == id })
	if i < 0 {
		return Symptom{}, false
	}
	return symptoms[i], true
}

// stagesOf gives the stages in which checks name a cause.
func stagesOf(id string) []int {
	var out []int
	for _, c := range checks {
		if slices.Contains(c.Causes, id) && !slices.Contains(out, c.Stage) {
			out = append(out, c.Stage)
		}
	}
	return out
}

func mustCause(id string) *cause {
	c, ok := causeByID[id]
	if !ok {
		panic(fmt.Sprintf("check: cause %s is not in the catalogue", id))
	}
	return c
}
