package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"amtmedic/amt"
	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/diag/probe"
	"amtmedic/diag/remedy"
)

// plainWalk is the guided walk as scrolling text: numbered questions and answers, no redraw, for
// screen readers, serial lines and logs.
type plainWalk struct {
	walk  *flow.Walk
	in    <-chan string
	out   io.Writer
	shown string   // what the last printed step was
	seen  int      // lines of "seen so far" that were printed
	tty   *os.File // where a person types; nil when lines come from elsewhere
}

// readLines gives the lines of r until it ends.
func readLines(ctx context.Context, r io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		sc := bufio.NewScanner(r)
		for sc.Scan() {
			select {
			case lines <- strings.TrimSpace(sc.Text()):
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

var errLeft = errors.New("left")

// run walks until the person quits, the input ends, or ctx does. It gives the last state.
func (p *plainWalk) run(ctx context.Context) (flow.Snapshot, error) {
	for {
		s := p.walk.Snapshot()
		if err := p.step(ctx, s); err != nil {
			if errors.Is(err, errLeft) {
				err = nil
			}
			return p.walk.Snapshot(), err
		}
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-p.walk.Changed():
		}
	}
}

// say prints one line without control characters.
func (p *plainWalk) say(format string, a ...any) {
	fmt.Fprintln(p.out, plain(fmt.Sprintf(format, a...)))
}

// gap prints an empty line.
func (p *plainWalk) gap() { fmt.Fprintln(p.out) }

// step prints a step once, and asks what it asks.
func (p *plainWalk) step(ctx context.Context, s flow.Snapshot) error {
	id := fmt.Sprint(s.Step.Kind, s.Step.Check.ID, s.Step.What, s.Judgement.Verdict, s.Step.Since)
	fresh := id != p.shown
	if fresh {
		p.shown, p.seen = id, 0
	}
	switch s.Step.Kind {
	case flow.Probing:
		if fresh {
			p.say("... %s", s.Step.What)
		}
		for ; p.seen < len(s.Step.Seen); p.seen++ {
			p.say("    %s", s.Step.Seen[p.seen])
		}
	case flow.Asking:
		if fresh {
			return p.ask(ctx, *s.Step.Question)
		}
	case flow.Provisioning:
		if fresh {
			p.gap()
			p.say("The road is open: the core has the client. Ctrl+C leaves; the core carries on.")
		}
		p.steps(s.Provisioning)
	case flow.Planned:
		if fresh {
			p.gap()
			p.say("The next step of the repair: %s", s.Step.Remedy.Text)
			return p.choose(ctx, s, []diag.Remedy{*s.Step.Remedy})
		}
	case flow.Decided, flow.Stuck:
		if fresh {
			p.gap()
			printVerdict(p.out, &s.Judgement, s.Facts)
			return p.choose(ctx, s, s.Judgement.Remedies)
		}
	}
	return nil
}

// steps prints the steps of the core that are new.
func (p *plainWalk) steps(g *probe.Progress) {
	if g == nil {
		return
	}
	for ; p.seen < g.Done(); p.seen++ {
		s := g.Steps[p.seen]
		p.say("    %s  %s", s.Title, s.Detail)
	}
}

// line reads one line of the person. The end of the input leaves the walk.
func (p *plainWalk) line(ctx context.Context, prompt string) (string, error) {
	fmt.Fprint(p.out, prompt)
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case l, ok := <-p.in:
		if !ok || l == "q" {
			fmt.Fprintln(p.out)
			return "", errLeft
		}
		return l, nil
	}
}

func (p *plainWalk) ask(ctx context.Context, q probe.Question) error {
	p.gap()
	p.say("%s (%s)", q.Title, q.Check)
	if q.Why != "" {
		p.say("  why  %s", q.Why)
	}
	for _, h := range q.How {
		p.say("  how  %s", h)
	}
	for i, o := range q.Options {
		follows := ""
		if o.Follows != "" {
			follows = "  -> " + o.Follows
		}
		p.say("  %d  %s%s", i+1, o.Label, follows)
	}
	if q.Field != nil {
		p.say("  or type %s (%s)", q.Field.Label, q.Field.Hint)
	}
	for {
		l, err := p.line(ctx, "answer, s to skip, u to take the last answer back, q to quit: ")
		if err != nil {
			return err
		}
		switch l {
		case "":
			continue
		case "s":
			p.walk.Skip()
			return nil
		case "u":
			p.walk.Undo()
			p.shown = ""
			return nil
		}
		option, text := -1, l
		if n, err := strconv.Atoi(l); err == nil && n >= 1 && n <= len(q.Options) {
			option, text = n-1, ""
		}
		if err := p.walk.Answer(q.ID, option, text); err != nil {
			p.say("%v", err)
			continue
		}
		return nil
	}
}

// choose offers remedies by their numbers.
func (p *plainWalk) choose(ctx context.Context, s flow.Snapshot, rs []diag.Remedy) error {
	words := "r to check again, d after draining the PC, q to quit"
	if len(rs) > 0 {
		words = "number of a remedy, " + words
	}
	for {
		l, err := p.line(ctx, words+": ")
		if err != nil {
			return err
		}
		n, nerr := strconv.Atoi(l)
		switch {
		case l == "r":
			p.shown = ""
			p.walk.Recheck("")
			return nil
		case l == "d":
			p.shown = ""
			p.walk.Drain()
			return nil
		case l == "s" && s.Step.Kind == flow.Planned:
			p.walk.Skip()
			return nil
		case nerr == nil && n >= 1 && n <= len(rs):
			if done, err := p.repair(ctx, rs[n-1]); err != nil || done {
				return err
			}
		}
	}
}

// repair shows the preview, asks for inputs and the confirmation, and does it.
func (p *plainWalk) repair(ctx context.Context, r diag.Remedy) (bool, error) {
	plan, automatic, err := p.walk.Preview(ctx, r)
	if err != nil {
		p.say("not possible now: %v", err)
		return false, nil
	}
	p.gap()
	p.say("%s", plan.Title)
	for _, row := range plan.Rows {
		p.say("  %-14s %s", row.Label, row.Text)
	}
	for i, step := range plan.ByHand {
		p.say("  %d  %s", i+1, step)
	}
	inputs, err := p.inputs(ctx, plan)
	if err != nil {
		return false, err
	}
	word := plan.Confirm
	if !automatic || word == "" {
		word = "done"
	}
	l, err := p.line(ctx, fmt.Sprintf("type %s to go on, anything else goes back: ", word))
	if err != nil || l != word {
		return false, err
	}
	done, err := p.walk.Apply(ctx, r, inputs)
	if err != nil {
		p.say("it did not work: %v", err)
		return false, nil
	}
	p.say("%s", done)
	p.shown = ""
	return true, nil
}

func (p *plainWalk) inputs(ctx context.Context, plan remedy.Plan) (map[string]string, error) {
	in := map[string]string{}
	for _, f := range plan.Fields {
		for {
			l, err := p.field(ctx, f)
			if err != nil {
				return nil, err
			}
			if f.Check != nil {
				if err := f.Check(l); err != nil {
					p.say("%v", err)
					continue
				}
			}
			in[f.Name] = l
			break
		}
	}
	return in, nil
}

// field asks for one input. What is secret is not shown while it is typed.
func (p *plainWalk) field(ctx context.Context, f remedy.Field) (string, error) {
	prompt := plain(f.Label)
	if f.Hint != "" {
		prompt += " (" + plain(f.Hint) + ")"
	}
	if !f.Secret || p.tty == nil {
		return p.line(ctx, prompt+": ")
	}
	show, err := hideTyping(p.tty)
	if err != nil {
		return p.line(ctx, prompt+", shown as you type: ")
	}
	defer func() {
		show()
		p.gap()
	}()
	return p.line(ctx, prompt+", not shown as you type: ")
}

// showPlain walks in scrolling text.
func showPlain(e *env, walk *flow.Walk) (int, error) {
	p := &plainWalk{walk: walk, in: readLines(e.ctx, e.stdin), out: e.stdout}
	if f, ok := e.stdin.(*os.File); ok && isTerminal(f) {
		p.tty = f
	}
	s, err := p.run(e.ctx)
	if e.ctx.Err() != nil {
		return exitInterrupt, &amt.Error{Op: "walk", Err: errors.New("interrupted")}
	}
	if err != nil {
		return exitFault, err
	}
	fmt.Fprintln(e.stdout, closingLine(&s.Judgement))
	return s.Judgement.ExitCode(), nil
}
