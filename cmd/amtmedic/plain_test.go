package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/diag/remedy"
)

// person stands in for the engineer at the walk in scrolling text: it reads what is printed, looks
// at the simulated PC where it is asked, and types.
type person struct {
	t     *testing.T
	p     *practice
	lines chan string

	mu    sync.Mutex
	said  strings.Builder
	tried map[string]int // remedies tried, by verdict
}

var goOn = regexp.MustCompile(`type (\S+) to go on`)

// Write takes what the program prints; a prompt is answered.
func (x *person) Write(b []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.said.Write(b)
	if s := string(b); strings.HasSuffix(s, ": ") {
		l := x.answer(s)
		fmt.Fprintln(&x.said, l)
		go func() { x.lines <- l }()
	}
	return len(b), nil
}

func (x *person) answer(prompt string) string {
	s := x.p.walk.Snapshot()
	switch {
	case strings.HasPrefix(prompt, "answer"):
		if s.Step.Question == nil {
			return "s"
		}
		option, text, ok := x.p.world.Client().Answer(*s.Step.Question)
		switch {
		case !ok:
			return "s"
		case option >= 0:
			return fmt.Sprint(option + 1)
		}
		return text
	case strings.HasPrefix(prompt, "number of a remedy") && !s.Judgement.Healthy():
		x.tried[s.Judgement.Verdict]++
		return fmt.Sprint(x.tried[s.Judgement.Verdict])
	case goOn.MatchString(prompt):
		return goOn.FindStringSubmatch(prompt)[1]
	}
	return "q"
}

// A fault is found and repaired, and the road is green, by nothing but lines of text.
func TestPlainToTheGreenRoad(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"rc-dns-no-record", "rc-pid-unknown", "rc-not-in-setup-factory"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			p, err := startPractice(ctx, []string{fault}, 5, practiceSymptom, false)
			if err != nil {
				t.Skip(err)
			}
			x := &person{t: t, p: p, lines: make(chan string), tried: map[string]int{}}
			s, err := (&plainWalk{walk: p.walk, in: x.lines, out: x}).run(ctx)
			if cerr := p.Close(); cerr != nil {
				t.Error(cerr)
			}
			said := x.said.String()
			if err != nil || !s.Judgement.Healthy() {
				t.Fatalf("%v, it ended with %q:\n%s", err, s.Judgement.Verdict, said)
			}
			if !strings.Contains(said, fault) || strings.ContainsAny(said, "\x1b\r\b") {
				t.Errorf("the text:\n%s", said)
			}
		})
	}
}

// secretField is an input as a signed update of the name service asks for it.
var secretField = remedy.Field{Name: "secret", Label: "key secret", Hint: "base64", Secret: true}

// Without a terminal nothing echoes, and nothing is said about it; a wrong input is asked for again.
func TestPlainInputs(t *testing.T) {
	lines := make(chan string, 3)
	for _, l := range []string{"bad", "good", "name"} {
		lines <- l
	}
	var out strings.Builder
	f := secretField
	f.Check = func(s string) error {
		if s == "bad" {
			return fmt.Errorf("read key secret: not base64")
		}
		return nil
	}
	p := &plainWalk{in: lines, out: &out}
	in, err := p.inputs(t.Context(), remedy.Plan{Fields: []remedy.Field{f, {Name: "key", Label: "key name"}}})
	if err != nil || in["secret"] != "good" || in["key"] != "name" {
		t.Errorf("%v, %v", in, err)
	}
	if want := "key secret (base64): read key secret: not base64\nkey secret (base64): key name: "; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}

// The end of the input leaves the walk.
func TestPlainEndOfInput(t *testing.T) {
	lines := make(chan string)
	close(lines)
	p := &plainWalk{in: lines, out: &strings.Builder{}}
	if err := p.choose(t.Context(), flow.Snapshot{}, []diag.Remedy{}); !errors.Is(err, errLeft) {
		t.Error(err)
	}
}
