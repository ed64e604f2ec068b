package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/capture"
	"amtmedic/diag"
	"amtmedic/diag/bundle"
	"amtmedic/diag/check"
	"amtmedic/diag/flow"
	"amtmedic/diag/journal"
	"amtmedic/diag/lab"
	"amtmedic/diag/wire"
	"amtmedic/tui"
	"amtmedic/tui/theme"
)

// screenFlags are the flags of everything that draws the workstation.
type screenFlags struct {
	ascii, mouse, readOnly *bool
	plain, parting         *bool
	privacy                *bool
	theme                  *string
	fs                     *flag.FlagSet
	keys                   map[string][]string // from the configuration file
}

func addScreenFlags(fs *flag.FlagSet) *screenFlags {
	return &screenFlags{
		fs:       fs,
		privacy:  fs.Bool("privacy", false, "begin with names and addresses hidden"),
		plain:    fs.Bool("plain", false, "walk as questions and answers in scrolling text, without a screen"),
		parting:  fs.Bool("parting", false, "leave the verdict's line in the terminal after quitting"),
		ascii:    fs.Bool("ascii", false, "draw with ASCII characters only"),
		mouse:    fs.Bool("mouse", false, "let the mouse choose and scroll (hold shift to select text)"),
		readOnly: fs.Bool("read-only", false, "make repairs impossible"),
		theme:    fs.String("theme", "", "light, dark, contrast, mono or ascii, several joined by commas (default: AMTMEDIC_THEME, else what the terminal says)"),
	}
}

// configure adds what the configuration file says. It comes after the flags were parsed.
func (s *screenFlags) configure() error {
	c, err := loadConfig()
	if err != nil {
		return err
	}
	s.keys = c.keys
	if err := theme.Check(*s.theme); err != nil {
		return misuse(s.fs, "%w", err)
	}
	return c.apply(s.fs)
}

// runScreen opens the workstation on its first page.
func runScreen(e *env, args []string) (int, error) {
	fs := flags("[--server HOST] [--resolver HOST]... [--capture FILE]... [--db FILE] [--seed N] [--plain] [--privacy] [--parting] [--ascii] [--theme NAME] [--mouse] [--read-only]")
	here := siteFlags(fs)
	look := addScreenFlags(fs)
	seed := fs.Int64("seed", 0, "make practice worlds reproducible")
	operands, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(operands) > 0 {
		return exitUsage, unknownCommand(operands[0])
	}
	if err := look.configure(); err != nil {
		return exitUsage, err
	}
	if err := here.readCertificate(e); err != nil {
		return exitUsage, err
	}
	if _, _, err := here.world(); err != nil {
		return exitUsage, err
	}
	e, end := e.guarded()
	if *look.plain {
		w, closeCase, err := openChoice(e.ctx, tui.Choice{Kind: tui.WholeRoad}, here, *seed, *look.readOnly)
		if err != nil {
			return end(exitUndecided, err)
		}
		code, err := showPlain(e, w.(siteWalk).Walk)
		return end(code, errors.Join(err, closeCase()))
	}
	first := startPage()
	database := here.core()
	first.Core = database != nil
	return end(show(e, look, tui.Options{Start: first, Core: database, Serve: here.serveControl(e), Tools: here.tools(), Open: func(ctx context.Context, c tui.Choice) (flow.Walker, func() error, error) {
		return openChoice(ctx, c, here, *seed, *look.readOnly)
	}}))
}

// labScreen opens the workstation on the walk of a practice world. The screen stands before the
// world does.
func labScreen(e *env, o *labFlags) (int, error) {
	if err := o.screen.configure(); err != nil {
		return exitUsage, err
	}
	e, end := e.guarded()
	if *o.screen.plain {
		p, err := startPractice(e.ctx, o.faults, *o.seed, practiceSymptom, *o.screen.readOnly)
		if err != nil {
			return end(labError(err))
		}
		code, err := showPlain(e, p.walk)
		return end(code, errors.Join(err, p.Close()))
	}
	var failed error
	code, err := show(e, o.screen, tui.Options{First: &tui.Choice{Kind: tui.Practice, ID: strings.Join(o.faults, "+")},
		Open: func(ctx context.Context, _ tui.Choice) (flow.Walker, func() error, error) {
			p, err := startPractice(ctx, o.faults, *o.seed, practiceSymptom, *o.screen.readOnly)
			if err != nil {
				failed = err
				return nil, nil, err
			}
			return p.wired(), p.Close, nil
		}})
	if failed != nil {
		return end(labError(failed))
	}
	return end(code, err)
}

// practiceSymptom is how every practice world begins: its client is missing in the console.
var practiceSymptom = []diag.Fact{{Key: "case.symptom", Value: "sym-system-missing"}}

// show draws the workstation until the person quits.
func show(e *env, look *screenFlags, o tui.Options) (int, error) {
	o.ASCII, o.Mouse, o.ReadOnly, o.Theme, o.Parting = *look.ascii, *look.mouse, *look.readOnly, *look.theme, *look.parting
	o.Keys, o.Privacy, o.Names = look.keys, *look.privacy, ownNames()
	o.Title, o.Explain, o.Bundle = titleOf, explainText, writeCaseBundle
	if f, ok := e.stdout.(*os.File); !ok || !isTerminal(f) {
		return exitUsage, &amt.Error{Op: "open the workstation", Err: fmt.Errorf("standard output is not a terminal"),
			Hint: "amtmedic diagnose and amtmedic lab --headless work without one"}
	}
	err := tui.Run(e.ctx, o)
	var crash *tui.Crash
	if err != nil && (e.ctx.Err() == nil || errors.As(err, &crash)) {
		return exitFault, err
	}
	return exitOK, nil
}

// ownNames are the names of this machine and its user, for the privacy key.
func ownNames() []string {
	var names []string
	if h, err := os.Hostname(); err == nil {
		names = append(names, strings.SplitN(h, ".", 2)[0])
	}
	if u, err := user.Current(); err == nil {
		names = append(names, u.Username[strings.LastIndexByte(u.Username, '\\')+1:])
	}
	return names
}

// openChoice opens what the person chose on the first page.
func openChoice(ctx context.Context, c tui.Choice, here *siteOptions, seed int64, readOnly bool) (flow.Walker, func() error, error) {
	switch c.Kind {
	case tui.Practice:
		var faults []string
		if c.ID != "" {
			faults = []string{c.ID}
		}
		if seed == 0 {
			seed = int64(rand.Uint64() >> 1)
		}
		p, err := startPractice(ctx, faults, seed, practiceSymptom, readOnly)
		if err != nil {
			return nil, nil, err
		}
		return p.wired(), p.Close, nil
	case tui.FromBundle:
		return openRecorded(ctx, c.Path)
	}
	if *here.iface == "" {
		*here.iface = usualInterface()
	}
	world, facts, err := here.world()
	if err != nil {
		return nil, nil, err
	}
	if c.Kind == tui.FromSymptom {
		facts = append(facts, diag.Fact{Key: "case.symptom", Value: c.ID})
	}
	book, err := openCase()
	if err != nil {
		return nil, nil, err
	}
	log := wire.New(captureTaps(world.Captures())...)
	keepAndShow(world, book, log, *here.iface)
	walk, err := flow.New(flow.Options{World: world, Journal: book, Judge: check.Judge, Info: checkInfo, Facts: facts, ReadOnly: readOnly})
	if err != nil {
		_ = book.Close()
		return nil, nil, err
	}
	return siteWalk{wiredWalk{walk, log}, world}, keepRunning(ctx, walk, book.ID(), readWire(ctx, log), world.Close, book.Close), nil
}

// usualInterface is the one to listen on when none is named: the first that is up and has an IPv4
// address, where the right to capture exists; else none.
func usualInterface() string {
	if _, missing := liveMissing(); missing {
		return ""
	}
	ifs, _ := net.Interfaces()
	for _, i := range ifs {
		addrs, _ := i.Addrs()
		has4 := slices.ContainsFunc(addrs, func(a net.Addr) bool {
			n, ok := a.(*net.IPNet)
			return ok && n.IP.To4() != nil
		})
		if i.Flags&net.FlagUp != 0 && i.Flags&net.FlagLoopback == 0 && has4 {
			return i.Name
		}
	}
	return ""
}

// keepRunning lets a walk run until the function that it gives is called.
func keepRunning(ctx context.Context, walk *flow.Walk, caseID string, closes ...func() error) func() error {
	run, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- runWalk(run, walk, caseID) }()
	return func() error {
		stop()
		err := <-done
		if run.Err() != nil {
			err = nil
		}
		for _, c := range closes {
			if cerr := c(); err == nil {
				err = cerr
			}
		}
		return err
	}
}

// openRecorded opens a bundle or facts file to look at: same screens, nothing measured or repaired.
func openRecorded(ctx context.Context, path string) (flow.Walker, func() error, error) {
	r, err := bundle.Facts(path)
	id, facts, at := "", []diag.Fact(nil), time.Now()
	if err == nil {
		id, facts, at = r.Case, r.Facts, r.Moment
	} else if !bundle.IsBundle(path) {
		id, facts, at, err = recordedFacts(&env{stderr: io.Discard}, path)
	}
	if err != nil {
		return nil, nil, err
	}
	at = diag.NewView(facts, at).Now()
	walk, err := flow.New(flow.Options{World: flow.Recorded{Title: "replay of " + id, At: at}, Judge: check.Judge, Info: checkInfo, Facts: facts, ReadOnly: true})
	if err != nil {
		return nil, nil, err
	}
	taps, err := bundleTaps(path)
	if err != nil {
		taps = nil // a facts file has no packets
	}
	log := wire.New(taps...)
	return wiredWalk{walk, log}, keepRunning(ctx, walk, "", readWire(ctx, log)), nil
}

// startPage says what this machine can do, and what was worked on last.
func startPage() tui.Start {
	s := tui.Start{Machine: machineLine(), Can: []string{"probe names and ports", "read captures", "receive hellos"}}
	if m, ok := liveMissing(); ok {
		s.Missing = append(s.Missing, m)
	} else {
		s.Can = append(s.Can, "capture live")
	}
	s.Symptoms = symptomLines()
	for _, f := range lab.List() {
		s.Faults = append(s.Faults, tui.Fault{ID: f.ID, Text: f.Text, Available: f.Available, Needs: f.Needs})
	}
	s.Recent = recentCases(3)
	return s
}

// common are the six things that engineers see most, in words of the first screen.
var common = []tui.Symptom{
	{ID: "sym-system-missing", Text: "The PC does not appear in the console", Part: "client or network"},
	{ID: "sym-one-not-provision", Text: "It appears, but stays unprovisioned", Part: "server or credentials"},
	{ID: "sym-provisioned-wrong-name", Text: "It was provisioned, now it cannot be managed", Part: "after provisioning"},
	{ID: "sym-usb-ignored", Text: "One-Touch with a USB key did nothing", Part: "client, USB key"},
	{ID: "sym-script-failed", Text: "\"Properties Script Failed\" in the log", Part: "server, script"},
	{ID: "sym-console-error", Text: "The console shows an error on its nodes", Part: "web directory, database"},
}

// symptomLines lists every symptom, the common ones first.
func symptomLines() []tui.Symptom {
	out := slices.Clone(common)
	for _, x := range check.Symptoms() {
		i := slices.IndexFunc(out, func(s tui.Symptom) bool { return s.ID == x.ID })
		if i >= 0 {
			out[i].Hint = x.Look
			continue
		}
		out = append(out, tui.Symptom{ID: x.ID, Text: x.Text, Part: x.Part, Hint: x.Look})
	}
	return out
}

func machineLine() string {
	parts := []string{runtime.GOOS}
	if u, err := user.Current(); err == nil {
		parts = append(parts, u.Username)
	}
	if ifs, err := net.Interfaces(); err == nil {
		var names []string
		for _, i := range ifs {
			if i.Flags&net.FlagUp != 0 && len(names) < 4 {
				names = append(names, i.Name)
			}
		}
		parts = append(parts, strings.Join(names, ", "))
	}
	return strings.Join(parts, " · ")
}

// recentCases names the latest cases with their verdicts.
func recentCases(n int) []string {
	dir, err := journal.Dir()
	if err != nil {
		return nil
	}
	entries, err := journal.List(dir)
	if err != nil {
		return nil
	}
	var out []string
	for _, en := range entries[:min(n, len(entries))] {
		r, err := journal.Read(dir, en.Info.ID)
		if err != nil {
			continue
		}
		j := check.Judge(r.Facts, en.Info.Created)
		word := j.Verdict
		if word == "" {
			word = "undecided"
		}
		out = append(out, fmt.Sprintf("%s %s %s", en.Info.Label(), word, en.Info.Created.Local().Format("Jan 2")))
	}
	return out
}

func titleOf(id string) string {
	if c, ok := check.Lookup(id); ok {
		return c.Sentence
	}
	if c, ok := check.LookupCheck(id); ok {
		return c.Short
	}
	s, _ := check.LookupSymptom(id)
	return s.Text
}

// writeCaseBundle writes a case beside the place where the program was started.
func writeCaseBundle(ctx context.Context, caseID string) (string, error) {
	dir, err := journal.Dir()
	if err != nil {
		return "", err
	}
	r, err := journal.Read(dir, caseID)
	if err != nil {
		return "", err
	}
	path, err := filepath.Abs(caseID + ".zip")
	if err != nil {
		return "", err
	}
	_, err = bundle.WriteFile(ctx, path, r, bundle.Options{Judge: check.Judge, Explain: causeSentence, Tool: toolInfo()})
	return path, err
}

// explainText is the offline page of an id.
func explainText(id string) string {
	page, ok := explain(id)
	if !ok {
		return ""
	}
	var b strings.Builder
	page.print(&b)
	return b.String()
}

// liveMissing says what keeps this program from capturing live.
func liveMissing() (tui.Missing, bool) {
	err := capture.Available()
	if err == nil {
		return tui.Missing{}, false
	}
	exe, nameless := os.Executable()
	if nameless != nil {
		exe = "amtmedic"
	}
	m := tui.Missing{What: "capture live", Needs: "not in this version on this system", Command: "amtmedic capture scan FILE reads what another tool captured"}
	switch {
	case errors.Is(err, capture.ErrNoDriver):
		m.Needs, m.Command = "needs the driver Npcap", "install it from https://npcap.com"
	case !errors.Is(err, capture.ErrPermission):
	case runtime.GOOS == "linux":
		m.Needs, m.Command = "needs one right", "sudo setcap cap_net_raw+ep "+exe
	default:
		m.Needs, m.Command = "needs the right to /dev/bpf*", "sudo "+exe
	}
	return m, true
}
