package tools

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/keys"
	"amtmedic/amt/secretfile"
	"amtmedic/amt/setupbin"
	"amtmedic/diag"
	"amtmedic/tui/theme"
)

// Limits of key files.
const (
	maxKeyFile = 64 << 20 // bytes that are read
	mostPairs  = 100_000  // that are made at once
	named      = 200      // lines of a file that are shown; the rest is counted
)

func (p *Page) pairsTab() *tab {
	return &tab{word: "pairs", title: "Keys",
		intro: "PID and PPS are the pair of keys by which a client of AMT 2.x to 3.x and the setup server know each other. A pair is typed into the MEBx, or comes with setup.bin; the server has to hold the same one.",
		acts: func() []act {
			return []act{
				{name: "Make new pairs …", about: "into a key file that only you can read", do: p.askCount},
				{name: "Check a pair …", about: "test the check characters; the PPS is not shown", do: p.askPID},
				{name: "Look into a key file …", about: "CSV, a maker's list, or setup.bin; no PPS is shown", do: p.askKeyFile},
			}
		}}
}

func (p *Page) askCount() *ask {
	const title = "Make new PID/PPS pairs"
	return p.question(title, "number of pairs", "10", []askRow{
		{"makes", "pairs with right check characters from the system's random source, and a MEBx password for each"},
		{"then", "asks for the file; nothing is written before you have typed " + yes},
	}, func(_ context.Context, typed string, _ *meter) reply {
		n, err := strconv.Atoi(strings.TrimSpace(typed))
		if err != nil || n < 1 || n > mostPairs {
			return reply{err: fmt.Errorf("type a number from 1 to %s", thousands(mostPairs))}
		}
		return reply{next: p.askPairFile(title, n)}
	})
}

func (p *Page) askPairFile(title string, n int) *ask {
	return p.question(title, "file", "keys.csv", []askRow{{"pairs", thousands(n)}, {"form", keys.Header}},
		func(_ context.Context, typed string, _ *meter) reply {
			path := p.path(typed)
			if path == "" {
				return reply{err: errors.New("type the name of the new file")}
			}
			if err := secretfile.Check(path); err != nil {
				return reply{err: &amt.Error{Op: "make key file", Subject: path, Err: err, Hint: "its keys may exist nowhere else: type another name"}}
			}
			if abs, err := filepath.Abs(path); err == nil {
				path = abs
			}
			return reply{next: p.confirm(title, yes, []askRow{
				{"file", path},
				{"holds", several(n, "pair") + " with the current password admin and a new MEBx password each"},
				{"readable by", "you alone (mode 0600); nothing that exists is replaced"},
				{"changes", "this file only; no server knows the pairs before it is imported: amtmedic keys import, or i on the page Keys of the core"},
				{"undo", "remove the file while no client has a pair of it"},
			}, func(_ context.Context, _ string, _ *meter) reply { return p.makePairs(path, n) })}
		})
}

func (p *Page) makePairs(path string, n int) reply {
	rows, err := keys.GenerateRows(p.world.Random, n)
	if err == nil {
		err = secretfile.Write(path, false, func(w io.Writer) error { return keys.WriteCSV(w, rows) })
	}
	if err != nil {
		return reply{err: &amt.Error{Op: "make key file", Subject: path, Err: err, Hint: "nothing was written"}}
	}
	out := []line{lit(diag.Good, several(n, "pair")+" written to "+path), plainLine("Import it into the setup server before the clients get their pairs."), {}}
	return reply{out: append(out, pairLines(rows)...), of: filepath.Base(path)}
}

// pairLines lists pairs without their secrets.
func pairLines(rows []keys.Row) []line {
	out := []line{rowLine(theme.Muted, fmt.Sprintf("%-6s %-10s %-9s %s", "id", "PID", "PPS", "state"))}
	for i, r := range rows {
		if i == named {
			return append(out, mutedLine("and "+several(len(rows)-named, "more pair")))
		}
		state := "unused"
		if r.Used {
			state = "used"
		}
		out = append(out, rowLine(theme.Plain, fmt.Sprintf("%-6d %-10s %-9s %s", r.ID, r.PID.Dashed(), r.PPS.String(), state)))
	}
	return out
}

func (p *Page) askPID() *ask {
	const title = "Check a pair"
	return p.question(title, "PID", "4KRG-65QT", []askRow{{"tests", "length, characters and check characters, as the MEBx does"}},
		func(_ context.Context, typed string, _ *meter) reply {
			pid := strings.TrimSpace(typed)
			switch n := len(keys.Bare(pid)); {
			case n == 0:
				return reply{err: errors.New("type a PID: 8 characters, with or without a dash")}
			case n >= keys.PPSLen:
				return reply{err: errors.New("that is as long as a PPS: it is asked for next, where it is not shown; ctrl+u clears the line")}
			}
			next := p.question(title, "PPS", "not shown as you type; enter alone checks the PID only", []askRow{{"PID", keys.Bare(pid)}},
				func(_ context.Context, pps string, _ *meter) reply {
					return checkPair(pid, amt.NewSecret(strings.TrimSpace(pps)))
				})
			next.in.Secret = true
			return reply{next: next}
		})
}

// checkPair judges a pair; an empty PPS is not judged.
func checkPair(pid string, pps amt.Secret) reply {
	problems, notes := keys.CheckPID(pid), keys.LowerCase("pid", pid)
	what := "the PID"
	if !pps.IsZero() {
		what = "the pair"
		problems = append(problems, keys.CheckPPS(pps)...)
		notes = append(notes, keys.LowerCase("pps", pps.Reveal())...)
	}
	if len(problems) == 0 {
		notes = append(notes, keys.Blind())
	}
	name := amt.PID(keys.Bare(pid)).Dashed()
	out := []line{verdict(problems, what+" is sound: firmware takes it", what+" is wrong: firmware refuses it"), {}, fieldLine("PID", name)}
	if !pps.IsZero() {
		out = append(out, fieldLine("PPS", pps.String()))
	}
	return reply{out: append(out, judged(problems, notes)...), of: "PID " + name}
}

func (p *Page) askKeyFile() *ask {
	return p.question("Look into a key file", "file", "oem-keys.csv", []askRow{{"reads", "a key file (CSV), the list of a maker in plain text, or a setup.bin"}, {"shows", "PIDs and what is wrong; never a PPS or a password"}},
		func(_ context.Context, typed string, _ *meter) reply {
			path := p.path(typed)
			raw, err := readFile("read key file", path, maxKeyFile)
			if err != nil {
				return reply{err: err}
			}
			rows, problems, form, err := readPairs(raw)
			if err != nil {
				return reply{err: &amt.Error{Op: "read key file", Subject: path, Err: err}}
			}
			out := []line{verdict(problems, several(len(rows), "pair")+", all sound", several(len(rows), "sound pair")+", the rest is unfit"),
				fieldLine("file", path), fieldLine("form", form)}
			out = append(out, judged(problems[:min(named, len(problems))], nil)...)
			if len(rows) > 0 {
				out = append(append(out, line{}), pairLines(rows)...)
			}
			return reply{out: out, of: filepath.Base(path)}
		})
}

// readPairs takes the pairs out of a file, whatever its form is.
func readPairs(raw []byte) (rows []keys.Row, problems []amt.Problem, form string, err error) {
	if f, err := setupbin.Read(raw); err == nil && f.Known() {
		rows, problems = f.Keys()
		return rows, problems, "setup.bin, version " + f.Version.String(), nil
	}
	rows, problems, err = keys.Read(raw)
	return rows, problems, "list of keys", err
}
