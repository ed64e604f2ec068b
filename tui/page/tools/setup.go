package tools

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/setupbin"
	"amtmedic/diag"
	"amtmedic/tui/theme"
)

// maxSetup is the most that is read of a setup.bin, in bytes.
const maxSetup = 64 << 20

func (p *Page) setupTab() *tab {
	return &tab{word: "setupbin", title: "setup.bin",
		intro: "setup.bin is the file by which a USB key sets up AMT at the PC (One-Touch). Firmware refuses a wrong one without a word; here it is explained record by record, with everything that firmware would mind. Passwords and PPS are not shown.",
		acts: func() []act {
			return []act{
				{name: "Open a setup.bin …", about: "judged for the oldest firmware that reads it", do: func() *ask { return p.askSetup("") }},
				{name: "Open it for one AMT version …", about: "such as 3.2.1, or 5.0", do: p.askSetupVersion},
			}
		}}
}

func (p *Page) askSetupVersion() *ask {
	return p.question("Open a setup.bin for one AMT version", "AMT version", "3.2.1", nil, func(_ context.Context, typed string, _ *meter) reply {
		if _, err := amt.ParseVersion(strings.TrimSpace(typed)); err != nil {
			return reply{err: err}
		}
		return reply{next: p.askSetup(strings.TrimSpace(typed))}
	})
}

func (p *Page) askSetup(version string) *ask {
	title := "Open a setup.bin"
	if version != "" {
		title += " for AMT " + version
	}
	return p.question(title, "file", "setup.bin", []askRow{{"reads", "all versions, 1.0 to 4.0, whatever the file is called"}}, func(_ context.Context, typed string, _ *meter) reply {
		path := p.path(typed)
		raw, err := readFile("read setup.bin", path, maxSetup)
		if err != nil {
			return reply{err: err}
		}
		f, err := setupbin.Read(raw)
		if err != nil {
			return reply{err: &amt.Error{Op: "read setup.bin", Subject: path, Err: err, Hint: "copy the file again from where it was made"}}
		}
		var v amt.Version
		if version != "" {
			if v, err = amt.ParseVersion(version); err != nil {
				return reply{err: err}
			}
		}
		return reply{out: setupLines(path, f, v), of: filepath.Base(path)}
	})
}

// setupLines explains a file.
func setupLines(path string, f *setupbin.File, v amt.Version) []line {
	problems, notes := f.Judge(v)
	kept := "each serves one client"
	if f.Keeps() {
		kept = "they are not consumed: each serves any number of clients"
	}
	out := []line{verdict(problems, "sound: firmware takes this file", "unfit: firmware would refuse it"),
		fieldLine("file", path), fieldLine("version", f.Version.String()),
		fieldLine("records", fmt.Sprintf("%s in the file, %s used, %s free; %s", thousands(len(f.Records)), thousands(int(f.Consumed)), thousands(f.Free()), kept))}
	out = append(out, judged(problems, notes)...)
	for i, r := range f.Records {
		if i == named {
			return append(out, line{}, mutedLine("and "+several(len(f.Records)-named, "more record")+"; amtmedic setupbin show lists all"))
		}
		out = append(out, line{}, recordLine(f, i))
		for _, x := range r.Variables {
			out = append(out, rowLine(theme.Plain, fmt.Sprintf("  %-5s %-33s %s", x.Key(), x.Name(), strings.ToValidUTF8(x.Words(false), "?"))))
		}
	}
	return out
}

func recordLine(f *setupbin.File, i int) line {
	r := f.Records[i]
	l := lit(diag.Good, fmt.Sprintf("record %d at byte %d: free", i+1, f.Offset(i)))
	if !r.Valid() {
		l = lit(diag.NotApplicable, fmt.Sprintf("record %d at byte %d: used", i+1, f.Offset(i)))
	}
	if r.Flags&setupbin.FlagScrambled != 0 {
		l.text += ", scrambled"
	}
	return l
}
