package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// flags makes a flag set that prints usage to standard error through report, not by itself.
func flags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// parse reads flags that may stand before or after operands, and gives the operands. "-" is an
// operand, "--" ends the flags.
func parse(fs *flag.FlagSet, args []string) ([]string, error) {
	var operands []string
	for {
		if err := fs.Parse(args); err != nil {
			return nil, usageError{fs, err}
		}
		rest := fs.Args()
		if n := len(args) - len(rest); n > 0 && args[n-1] == "--" {
			return append(operands, rest...), nil
		}
		if len(rest) == 0 {
			return operands, nil
		}
		operands, args = append(operands, rest[0]), rest[1:]
	}
}

// usageError is wrong use of a command.
type usageError struct {
	fs  *flag.FlagSet
	err error
}

func (u usageError) Error() string { return u.err.Error() }
func (u usageError) Unwrap() error { return u.err }

// misuse makes an error about wrong use, with the command's flags as the hint.
func misuse(fs *flag.FlagSet, format string, a ...any) error {
	return usageError{fs, fmt.Errorf(format, a...)}
}

// report prints an error in the house's form and gives the exit code.
func report(e *env, code int, err error) int {
	var u usageError
	switch {
	case err == nil:
		return code
	case errors.Is(err, flag.ErrHelp) && errors.As(err, &u):
		fmt.Fprintf(e.stdout, "usage: amtmedic %s\n", u.fs.Name())
		u.fs.SetOutput(e.stdout)
		u.fs.PrintDefaults()
		if ex := examplesOf(u.fs.Name()); len(ex) > 0 {
			fmt.Fprintf(e.stdout, "examples:\n    %s\n", strings.Join(ex, "\n    "))
		}
		return exitOK
	}
	fmt.Fprintf(e.stderr, "amtmedic: error: %s\n", err)
	var hint *amt.Error
	if errors.As(err, &hint) && hint.Hint != "" {
		fmt.Fprintf(e.stderr, "amtmedic: hint: %s\n", hint.Hint)
	}
	if errors.As(err, &u) {
		fmt.Fprintf(e.stderr, "amtmedic: hint: usage: amtmedic %s\n", u.fs.Name())
		if code == exitOK {
			code = exitUsage
		}
	}
	if code == exitOK {
		code = exitFound
	}
	if code == exitFound && errors.Is(err, store.ErrNoDatabase) {
		code = exitUsage // input that cannot be read
	}
	return code
}

func printHelp(w io.Writer) {
	fmt.Fprint(w, "amtmedic finds out why an AMT client does not provision, and repairs it.\n\n"+
		"  amtmedic               open the workstation\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  amtmedic %-13s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\nEvery command takes -h. The guide stands in docs/guide.\n")
}

func unknownCommand(name string) error {
	var near []string
	for _, c := range commands() {
		if strings.HasPrefix(c.name, name[:min(len(name), 2)]) {
			near = append(near, c.name)
		}
	}
	slices.Sort(near)
	hint := "amtmedic help lists the commands"
	if len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "? " + hint
	}
	return &amt.Error{Op: "run", Subject: name, Err: errors.New("there is no such command"), Hint: hint}
}
