package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/diag"
	"amtmedic/diag/check"
	"amtmedic/diag/flow"
	"amtmedic/diag/journal"
	"amtmedic/diag/lab"
	"amtmedic/diag/wire"
)

// texts is a flag that may be given several times.
type texts []string

func (t *texts) String() string     { return strings.Join(*t, ",") }
func (t *texts) Set(s string) error { *t = append(*t, s); return nil }

// headlessLimit ends a world that never settles: a fault of ours, since its probes have deadlines.
const headlessLimit = time.Minute

type labFlags struct {
	faults                 texts
	list, headless, repair *bool
	seed                   *int64
	form                   *reportFlags
	screen                 *screenFlags
}

func runLab(e *env, args []string) (int, error) {
	fs := flags("lab [--fault ID]... [--list] [--headless] [--repair] [--seed N] [--json | --format FORM] [flags of the screen]")
	var o labFlags
	fs.Var(&o.faults, "fault", "what is broken, by the cause it should lead to; none is a healthy world, none-pki one whose client is set up by certificate (repeatable)")
	o.list = fs.Bool("list", false, "list what can be broken here")
	o.headless = fs.Bool("headless", false, "walk without a screen; the simulated client's own screen answers")
	o.repair = fs.Bool("repair", false, "apply the proposed remedies until the road is green, and walk again")
	o.form = addFormatFlags(fs)
	o.seed = fs.Int64("seed", 0, "make a reproducible world")
	o.screen = addScreenFlags(fs)
	operands, err := parse(fs, args)
	if err == nil {
		err = o.form.read()
	}
	if err != nil {
		return exitUsage, err
	}
	if len(operands) > 0 {
		return exitUsage, misuse(fs, "lab takes no operand: name a fault with --fault %s", plain(operands[0]))
	}
	seeded := false
	fs.Visit(func(f *flag.Flag) { seeded = seeded || f.Name == "seed" })
	if !seeded {
		*o.seed = int64(rand.Uint64() >> 1)
	}
	switch {
	case *o.list:
		return listFaults(e, *o.form.format == "json")
	case *o.headless || *o.form.format != "text" || *o.repair:
		return labHeadless(e, &o)
	}
	return labScreen(e, &o)
}

func listFaults(e *env, asJSON bool) (int, error) {
	for _, f := range lab.List() {
		if asJSON {
			line := struct {
				ID        string `json:"id"`
				Text      string `json:"text"`
				Available bool   `json:"available"`
				Needs     string `json:"needs"`
			}{f.ID, f.Text, f.Available, f.Needs}
			if err := writeJSON(e.stdout, line); err != nil {
				return exitFault, err
			}
			continue
		}
		needs := ""
		if !f.Available {
			needs = "  (not here: needs " + f.Needs + ")"
		}
		fmt.Fprintf(e.stdout, "%-28s %s%s\n", f.ID, f.Text, needs)
	}
	return exitOK, nil
}

// practice is a practice world with its case and its walk.
type practice struct {
	world *lab.World
	book  *journal.Case
	walk  *flow.Walk
	stop  context.CancelFunc
	done  chan error
	log   *wire.Log
	quiet func() error // ends the reading of the log
}

// wired is the walk with its packets, for the screen.
func (p *practice) wired() wiredWalk { return wiredWalk{p.walk, p.log} }

// startPractice builds a world, opens its case, and lets the walk run.
func startPractice(ctx context.Context, faults []string, seed int64, given []diag.Fact, readOnly bool) (*practice, error) {
	dir, err := journal.Dir()
	if err != nil {
		return nil, err
	}
	if len(faults) == 1 && faults[0] == "none" {
		faults = nil
	}
	book, err := journal.Create(dir, journal.Options{Tool: versionLine(), Now: time.Now, Rand: rand.IntN,
		Practice: &journal.Practice{Seed: seed, Faults: append([]string{}, faults...)}})
	if err != nil {
		return nil, err
	}
	world, err := lab.New(ctx, lab.Options{Faults: faults, Seed: seed, Dir: book.Folder()})
	if err != nil {
		return nil, errors.Join(err, book.Discard())
	}
	walk, err := flow.New(flow.Options{World: world, Journal: book, Judge: check.Judge, Info: checkInfo, Facts: given, ReadOnly: readOnly})
	if err != nil {
		return nil, errors.Join(err, world.Close(), book.Close())
	}
	run, stop := context.WithCancel(ctx)
	p := &practice{world: world, book: book, walk: walk, stop: stop, done: make(chan error, 1)}
	go func() { p.done <- runWalk(run, walk, book.ID()) }()
	p.log = wire.New(practiceTaps(book.Folder(), world.Now)...)
	p.quiet = readWire(run, p.log)
	return p, nil
}

// Close ends the walk, takes the world down and closes the case.
func (p *practice) Close() error {
	p.stop()
	err := <-p.done
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, p.quiet(), p.world.Close(), p.book.Close())
}

func labHeadless(e *env, o *labFlags) (int, error) {
	e, end := e.guarded()
	return end(walkHeadless(e, o))
}

func walkHeadless(e *env, o *labFlags) (int, error) {
	ctx, cancel := context.WithTimeout(e.ctx, headlessLimit)
	defer cancel()
	p, err := startPractice(ctx, o.faults, *o.seed, practiceSymptom, false)
	if err != nil {
		return labError(err)
	}
	before, err := flow.Settle(ctx, p.walk)
	var after flow.Snapshot
	if err == nil && *o.repair {
		after, err = flow.RepairAll(ctx, p.walk)
	}
	err = errors.Join(err, p.Close())
	if e.ctx.Err() != nil {
		return exitInterrupt, &amt.Error{Op: "walk the practice world", Err: errors.New("interrupted")}
	}
	if err != nil {
		return exitFault, &amt.Error{Op: "walk the practice world", Err: err}
	}
	r := &judged{lead: fmt.Sprintf("practice world, seed %d, case %s", *o.seed, before.CaseID), before: before.Judgement, facts: before.Facts}
	if *o.repair {
		r.after, r.later = &after.Judgement, after.Facts
		for _, a := range after.Actions {
			line := fmt.Sprintf("%-13s %s", a.Stage, a.Title)
			if a.Detail != "" {
				line += ": " + plain(a.Detail)
			}
			r.repairs = append(r.repairs, line)
		}
	}
	return o.form.print(e.stdout, r)
}

// labError gives the exit code of a world that could not be built.
func labError(err error) (int, error) {
	var unknown *lab.UnknownFault
	var clash *lab.Contradiction
	var unavailable *lab.Unavailable
	hint := func(text string) error { return &amt.Error{Op: "build practice world", Err: err, Hint: text} }
	switch {
	case errors.As(err, &unknown), errors.As(err, &clash):
		return exitUsage, hint("amtmedic lab --list names every fault")
	case errors.As(err, &unavailable):
		return exitUndecided, hint("amtmedic lab --list says what can be broken here")
	}
	return exitUndecided, err
}

// checkInfo describes a check for a screen.
func checkInfo(id string) flow.Info {
	c, _ := check.LookupCheck(id)
	return flow.Info{ID: c.ID, Title: c.Title, Why: c.Why, How: c.How, Stage: c.Stage, Station: c.Station}
}
