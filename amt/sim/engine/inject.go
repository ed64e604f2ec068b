package engine

import "time"

// FaultKind says how a step goes wrong.
type FaultKind string

// The kinds of faults.
const (
	FaultRefuse     FaultKind = "refuse"      // the method is not done and returns Code
	FaultHTTP       FaultKind = "http"        // HTTP status Code with a page, as a web server gives it
	FaultSOAP       FaultKind = "soap"        // a SOAP fault: access denied
	FaultGarbage    FaultKind = "garbage"     // status 200 with bytes that are no XML
	FaultCut        FaultKind = "cut"         // the true answer, cut in the middle
	FaultSlow       FaultKind = "slow"        // the true answer after Delay
	FaultDropBefore FaultKind = "drop-before" // nothing is done, the connection closes without an answer
	FaultDropDone   FaultKind = "drop-done"   // it is done, but the connection closes without an answer
	FaultDropAfter  FaultKind = "drop-after"  // it is done and answered, then the connection closes
	FaultMissing    FaultKind = "missing"     // the elements named Field are left out of the answer
)

// Fault is something that goes wrong at a step of a dialogue.
type Fault struct {
	// Step is class.method, for example AMT_SetupAndConfigurationService.CommitChanges,
	// CIM_SoftwareIdentity.Pull, AMT_GeneralSettings.Get or SecurityAdministration.GetCoreVersion;
	// "*" is every step.
	Step  string
	Kind  FaultKind
	Code  int           // a PT_STATUS with FaultRefuse (38: flash write limit), a status with FaultHTTP
	Field string        // local name, with FaultMissing
	Delay time.Duration // with FaultSlow
	Times int           // how often; 0 is always
}

// Fault makes a step go wrong from now on. A fault of the same step and kind replaces the older one.
func (e *Engine) Fault(f Fault) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.faults {
		if e.faults[i].Step == f.Step && e.faults[i].Kind == f.Kind {
			e.faults[i] = f
			return
		}
	}
	e.faults = append(e.faults, f)
}

// Sound takes all faults away.
func (e *Engine) Sound() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults = nil
}

// faultAt finds the fault of a step and counts it. The lock is held.
func (e *Engine) faultAt(step string) (Fault, bool) {
	for i := range e.faults {
		f := &e.faults[i]
		if f.Step != step && f.Step != "*" {
			continue
		}
		found := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				e.faults = append(e.faults[:i], e.faults[i+1:]...)
			}
		}
		return found, true
	}
	return Fault{}, false
}
