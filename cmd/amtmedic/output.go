package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"amtmedic/amt"
)

// writeJSON writes one object on one line, so that a list of them is NDJSON.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// subcommand runs the word behind a command that has several, such as "hello decode". A word that
// is none of them is wrong usage, answered with the list.
func subcommand(e *env, name string, table []command, args []string) (int, error) {
	if e.describe != nil {
		e.describe(table)
		return exitOK, nil
	}
	var lines, words []string
	for _, c := range table {
		if len(args) > 0 && args[0] == c.name {
			return c.run(e, args[1:])
		}
		words = append(words, c.name)
		lines = append(lines, fmt.Sprintf("  amtmedic %s %-10s %s\n", name, c.name, c.summary))
	}
	hint := fmt.Sprintf("amtmedic %s takes %s; -h behind each of them tells more", name, strings.Join(words, ", "))
	switch {
	case len(args) == 0:
		return exitUsage, &amt.Error{Op: name, Err: errors.New("what to do is missing"), Hint: hint}
	case args[0] == "-h" || args[0] == "--help" || args[0] == "-help":
		fmt.Fprint(e.stdout, strings.Join(lines, ""))
		return exitOK, nil
	}
	return exitUsage, &amt.Error{Op: name, Subject: plain(args[0]), Err: errors.New("there is no such word"), Hint: hint}
}

// maxInput is the most that a command reads of a small file, in bytes.
const maxInput = 16 << 20

// readInput reads a whole small file; "-" is standard input.
func readInput(e *env, name string) ([]byte, error) { return readUpTo(e, name, maxInput) }

// readUpTo reads a whole file of at most limit bytes; "-" is standard input.
func readUpTo(e *env, name string, limit int64) ([]byte, error) {
	r := e.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("larger than %d MiB", limit>>20)
	}
	return b, err
}

// printProblems writes problems or notes as lines of their own, each with its place.
func printProblems(w io.Writer, word string, ps []amt.Problem) {
	for _, p := range ps {
		place := p.Where
		if p.Offset != nil {
			place = fmt.Sprintf("byte %d", *p.Offset)
		}
		if place != "" {
			place += ": "
		}
		fmt.Fprintf(w, "%s: %s%s [%s]\n", word, plain(place), plain(p.Text), p.Code)
	}
}

// plain takes control characters out of text that came from outside, so that it cannot steer a
// terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || (r >= 0x7f && r < 0xa0) || r == 0x2028 || r == 0x2029 || (r >= 0x202a && r <= 0x202e) {
			return '?'
		}
		return r
	}, s)
}
