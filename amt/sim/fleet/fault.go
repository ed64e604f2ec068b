package fleet

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"amtmedic/amt/sim/engine"
	"amtmedic/amt/sim/front"
)

// Fault is something that goes wrong with every client: at a step of the connection, or, when At is
// empty, at a management call.
type Fault struct {
	At     front.Step
	Kind   front.Fault
	Engine engine.Fault
}

// engineKinds are the words for faults of a management call, and what an argument of them is.
var engineKinds = map[engine.FaultKind]string{
	engine.FaultRefuse: "number", engine.FaultHTTP: "number", engine.FaultSOAP: "", engine.FaultGarbage: "", engine.FaultCut: "",
	engine.FaultSlow: "time", engine.FaultDropBefore: "", engine.FaultDropDone: "", engine.FaultDropAfter: "", engine.FaultMissing: "name",
}

// ParseFault reads STEP=WHAT[:ARGUMENT][@TIMES], such as tls=refuse,
// AMT_SetupAndConfigurationService.CommitChanges=refuse:38 or *=slow:3s@2. A step is connect, tls,
// http or ping, or a management call as class.method.
func ParseFault(s string) (Fault, error) {
	step, what, ok := strings.Cut(s, "=")
	if !ok || step == "" || what == "" {
		return Fault{}, fmt.Errorf("%.60q has not the form STEP=WHAT, such as tls=refuse", s)
	}
	if at, ok := front.ParseStep(step); ok {
		kind, err := front.ParseFault(what)
		return Fault{At: at, Kind: kind}, err
	}
	if step != "*" && !strings.Contains(step, ".") {
		return Fault{}, fmt.Errorf("%.60q is no step: connect, tls, http, ping, a call such as AMT_SetupAndConfigurationService.CommitChanges, or *", step)
	}
	out := engine.Fault{Step: step}
	what, times, counted := strings.Cut(what, "@")
	if counted {
		n, err := strconv.Atoi(times)
		if err != nil || n < 1 {
			return Fault{}, fmt.Errorf("%.20q is not how often a fault happens, such as @2", times)
		}
		out.Times = n
	}
	kind, argument, _ := strings.Cut(what, ":")
	out.Kind = engine.FaultKind(kind)
	takes, ok := engineKinds[out.Kind]
	if !ok {
		return Fault{}, fmt.Errorf("%.20q is no fault of a call: refuse, http, soap, garbage, cut, slow, drop-before, drop-done, drop-after or missing", kind)
	}
	var err error
	switch {
	case takes == "" && argument != "":
		err = fmt.Errorf("%s takes nothing behind it", kind)
	case takes == "number":
		out.Code, err = code(out.Kind, argument)
	case takes == "time":
		out.Delay, err = delay(argument)
	case takes == "name" && argument == "":
		err = fmt.Errorf("missing needs the name of an element: missing:DigestRealm")
	case takes == "name":
		out.Field = argument
	}
	return Fault{Engine: out}, err
}

// code reads the number that a refused call gives; without one an internal error.
func code(kind engine.FaultKind, s string) (int, error) {
	if s == "" {
		if kind == engine.FaultHTTP {
			return 500, nil
		}
		return 1, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 65535 || kind == engine.FaultHTTP && (n < 400 || n > 599) {
		return 0, fmt.Errorf("%.20q is no number for %s", s, kind)
	}
	return n, nil
}

func delay(s string) (time.Duration, error) {
	if s == "" {
		return 5 * time.Second, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 || d > time.Hour {
		return 0, fmt.Errorf("%.20q is no time such as 3s", s)
	}
	return d, nil
}
