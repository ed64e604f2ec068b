package remedy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"amtmedic/amt"
	"amtmedic/amt/keys"
	"amtmedic/amt/store"
)

// PIDMap is what the repairs of the PID map need of a database; *store.Store has it.
type PIDMap interface {
	PID(ctx context.Context, p amt.PID) (store.PIDRow, bool, error)
	Key(ctx context.Context, p amt.PID) (store.Pair, bool, error)
	PIDCounts(ctx context.Context) (total, unused int, err error)
	ImportKeys(ctx context.Context, pairs []store.Pair) (store.KeyImport, error)
	Close() error
}

// KeyRemover takes a row out of the PID map again. Undo of an added row needs it.
type KeyRemover interface {
	RemoveKey(ctx context.Context, p amt.PID) error
}

// Pairs says which PID map is repaired.
type Pairs struct {
	ID     string  // the remedy's id
	Target string  // database, as --db takes it
	PID    amt.PID // of the client; empty: it is asked
	File   string  // key file to import; empty: one pair is typed
	// Replace allows a typed pair to replace the PPS of a row that is there (rc-pps-mismatch).
	Replace bool
	Options store.Options
	// Open opens the database; nil is store.Open, or store.OpenExisting for a preview.
	Open func(ctx context.Context, look bool) (PIDMap, error)
}

// Inputs of a pair that is typed.
const (
	FieldPID = "pid"
	FieldPPS = "pps"
)

// pairing is one change of the map: what it did, so that it can be taken back.
type pairing struct {
	Pairs
	mu    sync.Mutex
	added []amt.PID
	old   *store.Pair // the pair that was replaced
}

// EnterPair gives the repair that adds the pair of a client to csti_pid_map. A row that is there is
// never changed, unless Replace says so. The PPS is shown nowhere.
func EnterPair(p Pairs) Action {
	g := &pairing{Pairs: p.withDefaults()}
	return Action{ID: p.ID, Plan: g.planOne, Apply: g.applyOne, Undo: g.undo}
}

// ImportPairs gives the repair that adds the pairs of a maker's key file. PIDs that are in the map
// already are left as they are.
func ImportPairs(p Pairs) Action {
	g := &pairing{Pairs: p.withDefaults()}
	return Action{ID: p.ID, Plan: g.planFile, Apply: g.applyFile, Undo: g.undo}
}

func (p Pairs) withDefaults() Pairs {
	if p.Open == nil {
		p.Open = func(ctx context.Context, look bool) (PIDMap, error) {
			if look {
				return store.OpenExisting(ctx, p.Target, p.Options)
			}
			return store.Open(ctx, p.Target, p.Options)
		}
	}
	return p
}

// look opens the map for a preview. A database that is not there yet has an empty map.
func (g *pairing) look(ctx context.Context, f func(PIDMap) error) error {
	m, err := g.Open(ctx, true)
	if errors.Is(err, store.ErrNotFound) {
		return f(nil)
	}
	if err != nil {
		return err
	}
	return errors.Join(f(m), m.Close())
}

// canUndo reports whether added rows can be taken out again.
func canUndo(m PIDMap) bool { _, ok := m.(KeyRemover); return ok }

func (g *pairing) planOne(ctx context.Context) (Plan, error) {
	plan := Plan{Title: "Add the client's PID/PPS pair to the server", Confirm: "yes", Fields: g.fields()}
	who := "the PID that you type"
	if g.PID != "" {
		who = "PID " + g.PID.Dashed()
	}
	err := g.look(ctx, func(m PIDMap) error {
		plan.Rows = []Row{{"to", g.Target + ", table csti_pid_map"}, {"adds", "one row for " + who + "; the PPS is encrypted there and shown nowhere"}, {"removes", "nothing"}}
		checked := "no row of that PID there"
		switch {
		case m == nil:
			checked = "the database is not there yet; it is made"
		case g.PID != "":
			row, found, err := m.PID(ctx, g.PID)
			if err != nil {
				return err
			}
			if found && !g.Replace {
				return g.taken(row)
			}
			if found {
				plan.Title = "Replace the PPS of the client's PID at the server"
				checked = fmt.Sprintf("row %d has that PID", row.ID)
				plan.Rows[1] = Row{"changes", fmt.Sprintf("the PPS of row %d (%s); nothing else of it", row.ID, who)}
				plan.Undo = "puts the old PPS back"
			}
		}
		if plan.Undo == "" && m != nil && canUndo(m) {
			plan.Undo = "removes exactly this row"
		}
		plan.Rows = append(plan.Rows, Row{"undo", orNone(plan.Undo)}, Row{"checked first", checked})
		return nil
	})
	plan.ByHand = []string{"amtmedic keys import FILE --db " + g.Target, "FILE is CSV with the header " + keys.Header, "then delete the file: it holds the PPS"}
	return plan, err
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func (g *pairing) taken(row store.PIDRow) error {
	return &amt.Error{Op: "add pair", Subject: row.PID.Dashed(), Err: fmt.Errorf("row %d of the map has that PID already", row.ID),
		Hint: "if the handshake still fails the PPS differs: replace it, or enter both on the client again"}
}

func (g *pairing) fields() []Field {
	fs := []Field{{Name: FieldPPS, Label: "PPS", Hint: "eight groups of four, as on the maker's list", Secret: true, Check: func(s string) error {
		return first(keys.CheckPPS(amt.NewSecret(s)))
	}}}
	if g.PID == "" {
		fs = append([]Field{{Name: FieldPID, Label: "PID", Hint: "XXXX-XXXX", Check: func(s string) error { return first(keys.CheckPID(s)) }}}, fs...)
	}
	return fs
}

func first(ps []amt.Problem) error {
	if len(ps) == 0 {
		return nil
	}
	return errors.New(ps[0].Text)
}

func (g *pairing) applyOne(ctx context.Context, in map[string]string) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	pid := string(g.PID)
	if pid == "" {
		pid = in[FieldPID]
	}
	pair, problems := keys.Parse(pid, amt.NewSecret(in[FieldPPS]))
	if err := first(problems); err != nil {
		return "", &amt.Error{Op: "add pair", Err: err, Hint: "compare with the source; " + keys.Blind().Text}
	}
	m, err := g.Open(ctx, false)
	if err != nil {
		return "", err
	}
	defer func() { _ = m.Close() }()
	row, found, err := m.PID(ctx, pair.PID)
	if err != nil {
		return "", err
	}
	add := store.Pair{PID: pair.PID, PPS: pair.PPS}
	if found {
		if !g.Replace {
			return "", g.taken(row)
		}
		old, _, err := m.Key(ctx, pair.PID)
		if err != nil {
			return "", err
		}
		add = old
		add.PPS, g.old = pair.PPS, &old
	} else {
		g.added = []amt.PID{pair.PID}
	}
	sum, err := m.ImportKeys(ctx, []store.Pair{add})
	if err != nil || sum.Imported != 1 {
		g.added, g.old = nil, nil
		return "", errors.Join(err, importFault(sum))
	}
	return g.verified(ctx, m, pair.PID, sum)
}

func importFault(sum store.KeyImport) error {
	for _, c := range sum.Conflicts {
		return fmt.Errorf("PID %s stands in row %d", c.PID.Dashed(), c.Taken)
	}
	return nil
}

// verified asks the map for the row that was written.
func (g *pairing) verified(ctx context.Context, m PIDMap, pid amt.PID, sum store.KeyImport) (string, error) {
	row, ok, err := m.PID(ctx, pid)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", &amt.Error{Op: "read pair again", Subject: pid.Dashed(), Err: errors.New("the row that was written is not there")}
	}
	done := fmt.Sprintf("PID %s is row %d of csti_pid_map", pid.Dashed(), row.ID)
	if sum.Promoted > 0 {
		done += fmt.Sprintf("; %d waiting client(s) went to the queue", sum.Promoted)
	}
	return done, nil
}

// readFile gives the pairs of the key file that the map does not have yet; m may be nil.
func (g *pairing) readFile(ctx context.Context, m PIDMap) (add []store.Pair, known int, problems []amt.Problem, err error) {
	f, err := os.Open(g.File)
	if err != nil {
		return nil, 0, nil, &amt.Error{Op: "read key file", Subject: g.File, Err: err}
	}
	defer func() { _ = f.Close() }()
	rows, problems, err := keys.ReadCSV(f)
	if err != nil {
		return nil, 0, problems, &amt.Error{Op: "read key file", Subject: g.File, Err: err}
	}
	for _, r := range rows {
		found := false
		if m != nil {
			if _, found, err = m.PID(ctx, r.PID); err != nil {
				return nil, 0, problems, err
			}
		}
		if found {
			known++
			continue
		}
		// Its own id could be another pair's here, which it would replace.
		add = append(add, store.Pair{PID: r.PID, PPS: r.PPS, CurrentPassword: r.CurrentPassword, AdminPassword: r.AdminPassword, Used: r.Used})
	}
	return add, known, problems, nil
}

func (g *pairing) planFile(ctx context.Context) (Plan, error) {
	plan := Plan{Title: "Import the maker's key file", Confirm: "yes",
		ByHand: []string{"amtmedic keys import " + g.File + " --db " + g.Target}}
	err := g.look(ctx, func(m PIDMap) error {
		add, known, problems, err := g.readFile(ctx, m)
		if err != nil {
			return err
		}
		if len(add) == 0 {
			return &amt.Error{Op: "import keys", Subject: g.File, Err: fmt.Errorf("no pair that the map lacks: %d are there already, %d lines are unfit", known, len(problems))}
		}
		if m != nil && canUndo(m) {
			plan.Undo = "removes exactly these rows"
		}
		plan.Rows = []Row{{"from", g.File}, {"to", g.Target + ", table csti_pid_map"}, {"adds", fmt.Sprintf("%d pairs", len(add))}, {"removes", "nothing"},
			{"undo", orNone(plan.Undo)}, {"checked first", fmt.Sprintf("%d are there already and stay as they are; %d unfit lines are left out", known, len(problems))}}
		if g.PID != "" {
			plan.Rows = append(plan.Rows, Row{"the client's PID", g.PID.Dashed() + " " + among(g.PID, add)})
		}
		return nil
	})
	return plan, err
}

func among(pid amt.PID, pairs []store.Pair) string {
	for _, p := range pairs {
		if p.PID == pid {
			return "is among them"
		}
	}
	return "is not among them"
}

func (g *pairing) applyFile(ctx context.Context, _ map[string]string) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m, err := g.Open(ctx, false)
	if err != nil {
		return "", err
	}
	defer func() { _ = m.Close() }()
	add, _, _, err := g.readFile(ctx, m)
	if err != nil {
		return "", err
	}
	sum, err := m.ImportKeys(ctx, add)
	if err != nil {
		return "", err
	}
	g.added = nil
	for _, p := range add {
		if _, ok, err := m.PID(ctx, p.PID); err != nil || !ok {
			return "", errors.Join(err, &amt.Error{Op: "read pairs again", Subject: p.PID.Dashed(), Err: errors.New("the row is not there")})
		}
		g.added = append(g.added, p.PID)
	}
	done := fmt.Sprintf("%d pairs are in csti_pid_map now", sum.Imported)
	if sum.Promoted > 0 {
		done += fmt.Sprintf("; %d waiting client(s) went to the queue", sum.Promoted)
	}
	return done, nil
}

func (g *pairing) undo(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.added) == 0 && g.old == nil {
		return &amt.Error{Op: "undo import", Err: errors.New("nothing was added by this program run")}
	}
	m, err := g.Open(ctx, false)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	if g.old != nil {
		_, err := m.ImportKeys(ctx, []store.Pair{*g.old})
		if err == nil {
			g.old = nil
		}
		return err
	}
	remover, ok := m.(KeyRemover)
	if !ok {
		return &amt.Error{Op: "undo import", Err: errors.New("this database keeps every pair that was imported")}
	}
	for len(g.added) > 0 {
		if err := remover.RemoveKey(ctx, g.added[0]); err != nil {
			return err
		}
		g.added = g.added[1:]
	}
	return nil
}
