package tools

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"amtmedic/amt"
	"amtmedic/amt/store"
	"amtmedic/diag"
)

// maxMap is the most that is read of a UUID map, in bytes.
const maxMap = 64 << 20

var errNoCore = errors.New("there is no provisioning core here")

// noCore says what to do without a database.
func noCore() error {
	return &amt.Error{Op: "import names", Err: errNoCore, Hint: "start amtmedic with --db FILE, or the postgres:// URL of its database"}
}

func (p *Page) askMapFile() *ask {
	return p.question("Import names into the UUID map", "file", "names.csv", []askRow{
		{"reads", "CSV with the header " + store.MapHeader},
		{"then", "says what would change; nothing is written before you have typed " + yes},
	}, func(ctx context.Context, typed string, _ *meter) reply {
		path := p.path(typed)
		raw, err := readFile("read UUID map", path, maxMap)
		if err != nil {
			return reply{err: err}
		}
		rows, problems, err := store.ReadMap(raw)
		if err != nil {
			return reply{err: &amt.Error{Op: "read UUID map", Subject: path, Err: err, Hint: "the first line is " + store.MapHeader}}
		}
		return p.previewNames(ctx, path, rows, problems)
	})
}

// previewNames says what an import of rows would change.
func (p *Page) previewNames(ctx context.Context, from string, rows []store.MapRow, problems []amt.Problem) reply {
	if p.world.Read == nil || p.world.Change == nil {
		return reply{err: noCore()}
	}
	fresh, same, replaced := 0, 0, []string{}
	err := p.world.Read(ctx, func(ctx context.Context, st *store.Store) error {
		for _, r := range rows {
			old, known, err := st.MapRow(ctx, r.UUID)
			switch {
			case err != nil:
				return err
			case !known:
				fresh++
			case old.FQDN == r.FQDN && old.Profile == r.Profile:
				same++
			default:
				replaced = append(replaced, fmt.Sprintf("%s: %s instead of %s", r.UUID, r.FQDN, old.FQDN))
			}
		}
		return nil
	})
	if err != nil {
		return reply{err: err}
	}
	preview := []askRow{{"from", from}, {"to", p.world.Database}, {"new", several(fresh, "row")}, {"the same", several(same, "row")}, {"replaces", several(len(replaced), "row")}}
	list := func(label string, all []string) {
		for i, s := range all {
			if i == 50 {
				preview = append(preview, askRow{"", several(len(all)-i, "more")})
				return
			}
			if i > 0 {
				label = ""
			}
			preview = append(preview, askRow{label, s})
		}
	}
	list("replaced", replaced)
	var unfit []string
	for _, x := range problems {
		unfit = append(unfit, problemText(x))
	}
	list("left out", unfit)
	preview = append(preview, askRow{"changes", "csti_uuid_maps; clients that wait for one of the names go to the queue at once. Names that another UUID has, and profiles that do not exist, are left out and named"},
		askRow{"undo", "import the rows of before"})
	return reply{next: p.confirm("Import names into the UUID map", yes, preview, func(ctx context.Context, _ string, _ *meter) reply { return p.importNames(ctx, from, rows) })}
}

func (p *Page) importNames(ctx context.Context, from string, rows []store.MapRow) reply {
	var sum store.MapImport
	err := p.world.Change(ctx, func(ctx context.Context, st *store.Store) (err error) {
		sum, err = st.ImportMap(ctx, rows)
		return err
	})
	if err != nil {
		return reply{err: err}
	}
	out := []line{lit(diag.Good, several(sum.Imported, "name")+" imported, "+several(len(sum.Conflicts), "conflict"))}
	if sum.Promoted > 0 {
		out = append(out, plainLine(several(sum.Promoted, "client")+" waited for these names and went to the queue"))
	}
	for _, c := range sum.Conflicts {
		out = append(out, lit(diag.Contradicted, c.Text))
	}
	return reply{out: out, of: filepath.Base(from)}
}
