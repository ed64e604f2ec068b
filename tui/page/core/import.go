package core

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/keys"
	"amtmedic/amt/setupbin"
	"amtmedic/amt/store"
	"amtmedic/tui/part/input"
)

// maxKeyFile is the size of the largest file that is read as keys.
const maxKeyFile = 64 << 20

// named is how many problems and conflicts a preview names; the rest is counted.
const named = 50

// askImport asks for a key file.
func (p *Page) askImport() *ask {
	a := &ask{p: p, title: "Import keys into the PID map", label: "file", hint: "oem-keys.csv", rows: []askRow{
		{"reads", "a key file (CSV), the list of a maker in plain text, or a setup.bin"},
		{"then", "says what would change; nothing is written before you have read it and typed " + yes},
	}}
	if p.env.ReadOnly {
		return a
	}
	a.in = &input.Input{}
	a.check = func(s string) error {
		if s == "" {
			return errors.New("type the path of a file")
		}
		return nil
	}
	a.run = func(ctx context.Context, path string) reply {
		found, err := readKeys(path)
		if err != nil {
			return reply{err: err}
		}
		err = p.db.read(ctx, func(ctx context.Context, st *store.Store) error { return found.compare(ctx, st) })
		if err != nil {
			return reply{err: err}
		}
		return reply{next: p.askImportOf(found)}
	}
	return a
}

// keyFile is what a file of keys holds, and what its import would do.
type keyFile struct {
	path     string
	rows     []keys.Row
	problems []amt.Problem
	pairs    []store.Pair
	plan     store.KeyPlan
}

// readKeys reads a file of keys.
func readKeys(path string) (*keyFile, error) {
	if rest, ok := strings.CutPrefix(path, "~"+string(filepath.Separator)); ok {
		if home, err := os.UserHomeDir(); err == nil {
			path = filepath.Join(home, rest)
		}
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, &amt.Error{Op: "read key file", Err: err}
	case !info.Mode().IsRegular():
		return nil, &amt.Error{Op: "read key file", Subject: path, Err: errors.New("it is no file")}
	case info.Size() > maxKeyFile:
		return nil, &amt.Error{Op: "read key file", Subject: path, Err: fmt.Errorf("it has more than %d MiB", maxKeyFile>>20)}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, &amt.Error{Op: "read key file", Err: err}
	}
	found := &keyFile{path: path}
	if f, err := setupbin.Read(raw); err == nil && f.Known() {
		found.rows, found.problems = f.Keys()
	} else if found.rows, found.problems, err = keys.Read(raw); err != nil {
		return nil, &amt.Error{Op: "read key file", Subject: path, Err: err}
	}
	if len(found.rows) == 0 {
		why := "it holds no pair of PID and PPS"
		if len(found.problems) > 0 {
			why = words(found.problems[0])
		}
		return nil, &amt.Error{Op: "read key file", Subject: path, Err: errors.New(why)}
	}
	for _, r := range found.rows {
		found.pairs = append(found.pairs, store.Pair{ID: r.ID, PID: r.PID, PPS: r.PPS, CurrentPassword: r.CurrentPassword, AdminPassword: r.AdminPassword, Used: r.Used})
	}
	return found, nil
}

// words gives a problem with its place.
func words(p amt.Problem) string {
	if p.Where == "" {
		return p.Text
	}
	return p.Where + ": " + p.Text
}

// compare says what the import would do to the map.
func (f *keyFile) compare(ctx context.Context, st *store.Store) (err error) {
	f.plan, err = store.PlanKeys(ctx, st, f.pairs)
	return err
}

// askImportOf shows what the import of a file would do.
func (p *Page) askImportOf(f *keyFile) *ask {
	rows := []askRow{
		{"file", f.path},
		{"new", thousands(f.plan.New) + " pairs"},
		{"the same", thousands(f.plan.Same) + " pairs stand in the map as they are"},
		{"replaces", thousands(len(f.plan.Changes)) + " rows"},
		{"conflicts", thousands(len(f.plan.Conflicts)) + " pairs are left out, because their PID has another id"},
		{"unfit", thousands(len(f.problems)) + " lines are left out"},
		{"changes", "csti_pid_map; delayed clients that wait for one of the keys go to the queue at once"},
		{"undo", "none for rows that are replaced; the map before: amtmedic keys export --out FILE.csv"},
	}
	list := func(label string, lines []string) {
		for i, l := range lines[:min(named, len(lines))] {
			if i > 0 {
				label = ""
			}
			rows = append(rows, askRow{label, l})
		}
		if more := len(lines) - named; more > 0 {
			rows = append(rows, askRow{"", thousands(more) + " more"})
		}
	}
	var replaced, conflicts []string
	for _, c := range f.plan.Changes {
		replaced = append(replaced, fmt.Sprintf("id %d: %s", c.ID, c))
	}
	for _, c := range f.plan.Conflicts {
		conflicts = append(conflicts, fmt.Sprintf("%s, in the file under %d", c, c.ID))
	}
	list("replaced", replaced)
	list("conflict", conflicts)
	var unfit []string
	for _, x := range f.problems {
		unfit = append(unfit, words(x))
	}
	list("unfit", unfit)
	return p.confirm("Import keys into the PID map", rows, func(ctx context.Context) reply { return p.importKeys(ctx, f) })
}

func (p *Page) importKeys(ctx context.Context, f *keyFile) reply {
	var sum store.KeyImport
	err := p.db.change(ctx, func(ctx context.Context, st *store.Store) (err error) {
		sum, err = st.ImportKeys(ctx, f.pairs)
		return err
	})
	done := fmt.Sprintf("%s imported, %s conflicts", thousands(sum.Imported), thousands(len(sum.Conflicts)))
	if sum.Promoted > 0 {
		done += fmt.Sprintf("; %s delayed clients waited for them and are in the queue", thousands(sum.Promoted))
	}
	return reply{done: done, err: err}
}
