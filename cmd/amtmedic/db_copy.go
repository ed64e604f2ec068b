package main

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/secretfile"
	"amtmedic/amt/store"
)

const copyPassphrase = "AMTMEDIC_COPY_PASSPHRASE"

// dbExport is the JSON form of what db export wrote.
type dbExport struct {
	File   string       `json:"file"`
	Schema int64        `json:"schema"`
	Rows   int          `json:"rows"`
	Tables []tableCount `json:"tables"`
}

func runDBExport(e *env, args []string) (int, error) {
	fs := flags("db export FILE [--recipient KEY]... [--recipients-file FILE] [--passphrase-file FILE] [--force] [--db FILE|URL] [--json]")
	db := addDB(fs)
	var to texts
	fs.Var(&to, "recipient", "age recipient (`KEY`, age1...) who can open the copy; may be given more than once")
	file := fs.String("recipients-file", "", "`FILE` with a recipient on each line")
	words := fs.String("passphrase-file", "", "`FILE` with the passphrase that seals the copy (default: AMTMEDIC_COPY_PASSPHRASE, else it is asked for)")
	force := fs.Bool("force", false, "replace the file when it holds something")
	asJSON := fs.Bool("json", false, "print one JSON object")
	operands, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	switch {
	case len(operands) != 1:
		return exitUsage, misuse(fs, "db export takes the file to write; - is standard output")
	case operands[0] == "-" && *asJSON:
		return exitUsage, misuse(fs, "--json needs standard output: name a file")
	}
	if db.missing() {
		return exitUsage, db.noDatabase("export database")
	}
	if operands[0] != "-" && !*force && secretfile.Check(operands[0]) != nil { // before anybody types a passphrase
		return exitFound, existingCopy(operands[0])
	}
	seal, err := sealing(e, to, *file, *words)
	if err != nil {
		return exitUsage, err
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	var sum store.Exported
	write := func(w io.Writer) (err error) { sum, err = st.Export(e.ctx, w, seal); return err }
	err = audited(e, st, "export database", plain(operands[0]), func() error {
		if operands[0] == "-" {
			return write(e.stdout)
		}
		err := secretfile.Write(operands[0], *force, write)
		if errors.Is(err, secretfile.ErrExists) {
			return existingCopy(operands[0])
		}
		return err
	})
	if err != nil {
		return interrupted(e, exitFound, asExport(operands[0], err))
	}
	if operands[0] == "-" {
		return exitOK, nil
	}
	return reportExport(e, operands[0], sum, *asJSON)
}

func existingCopy(file string) error {
	return &amt.Error{Op: "export database", Subject: plain(file), Err: secretfile.ErrExists, Hint: "take another name, or --force to replace it"}
}

// asExport names the file of an error that names none.
func asExport(file string, err error) error {
	var known *amt.Error
	if errors.As(err, &known) {
		return err
	}
	return &amt.Error{Op: "export database", Subject: plain(file), Err: err}
}

func reportExport(e *env, file string, sum store.Exported, asJSON bool) (int, error) {
	if !asJSON {
		fmt.Fprintf(e.stderr, "amtmedic: %s: %s, sealed; whoever can open it can read every secret of the database\n", plain(file), count(sum.Total, "row"))
		return exitOK, nil
	}
	out := dbExport{File: file, Schema: sum.Schema, Rows: sum.Total, Tables: []tableCount{}}
	for t, n := range sum.Rows {
		out.Tables = append(out.Tables, tableCount{t, int64(n)})
	}
	slices.SortFunc(out.Tables, func(a, b tableCount) int { return cmp.Compare(a.Table, b.Table) })
	return exitOK, writeJSON(e.stdout, out)
}

// sealing finds out for whom a copy is sealed.
func sealing(e *env, to []string, file, words string) (store.Sealing, error) {
	out := store.Sealing{Recipients: to}
	if file != "" {
		raw, err := readUpTo(&env{stdin: os.Stdin}, file, maxInput)
		if err != nil {
			return out, &amt.Error{Op: "read recipients", Subject: plain(file), Err: err}
		}
		for line := range strings.Lines(string(raw)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				out.Recipients = append(out.Recipients, line)
			}
		}
	}
	if len(out.Recipients) == 0 || words != "" {
		var err error
		if out.Passphrase, err = passphrase(e, copyPassphrase, words, "passphrase of the copy", true,
			"name a --recipient, put a passphrase into "+copyPassphrase+", or into a file that --passphrase-file names"); err != nil {
			return out, err
		}
	}
	if err := out.Check(); err != nil {
		return out, &amt.Error{Op: "seal copy", Err: err, Hint: "a recipient is what \"age-keygen -y FILE\" prints"}
	}
	return out, nil
}

// dbImport is the JSON form of what an import of a copy did, or would do.
type dbImport struct {
	Schema    int64         `json:"schema"`
	From      string        `json:"from"`
	Made      string        `json:"made"`
	New       int           `json:"new"`
	Same      int           `json:"same"`
	Changed   int           `json:"changed"`
	Conflicts int           `json:"conflicts"`
	Tables    []copyTable   `json:"tables"`
	Taken     []amt.Problem `json:"taken"` // the conflicts, in words
	Problems  []amt.Problem `json:"problems"`
	Notes     []amt.Problem `json:"notes"`
	Applied   bool          `json:"applied"`
}

type copyTable struct {
	Table     string `json:"table"`
	New       int    `json:"new"`
	Same      int    `json:"same"`
	Changed   int    `json:"changed"`
	Conflicts int    `json:"conflicts"`
}

type importFlags struct {
	db                   dbFlags
	identity, words      *string
	preview, yes, asJSON *bool
	file                 string
	open                 store.CopySource
	key                  store.Opening
	fs                   *flag.FlagSet
}

func runDBImport(e *env, args []string) (int, error) {
	fs := flags("db import FILE [--identity FILE] [--passphrase-file FILE] [--preview] [--yes] [--db FILE|URL] [--json]")
	f := importFlags{fs: fs, db: addDB(fs),
		identity: fs.String("identity", "", "`FILE` with the age identity that opens the copy (AGE-SECRET-KEY-1...)"),
		words:    fs.String("passphrase-file", "", "`FILE` with the passphrase of the copy (default: AMTMEDIC_COPY_PASSPHRASE, else it is asked for)"),
		preview:  fs.Bool("preview", false, "say what would change, and change nothing"),
		yes:      fs.Bool("yes", false, "agree to the preview without being asked"),
		asJSON:   fs.Bool("json", false, "print one JSON object")}
	operands, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(operands) != 1 {
		return exitUsage, misuse(fs, "db import takes one file that db export wrote; - is standard input")
	}
	f.file = operands[0]
	if err := f.source(e); err != nil {
		return exitUsage, &amt.Error{Op: "read copy", Subject: plain(f.file), Err: err, Hint: "a copy is a file that db export wrote"}
	}
	if err := f.opening(e); err != nil {
		return exitUsage, err
	}
	return f.run(e)
}

// longestCopy bounds what is read from standard input, in bytes.
const longestCopy = 1 << 30

// source makes it possible to read the file twice, and looks whether it can be a copy at all.
func (f *importFlags) source(e *env) error {
	f.open = func() (io.ReadCloser, error) { return os.Open(f.file) }
	if f.file == "-" {
		raw, err := readUpTo(e, "-", longestCopy)
		if err != nil {
			return err
		}
		f.open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }
	}
	r, err := f.open()
	if err != nil {
		return err
	}
	return errors.Join(store.CheckCopyHead(r), r.Close())
}

// opening finds what opens the copy.
func (f *importFlags) opening(e *env) (err error) {
	if *f.identity != "" {
		raw, err := readUpTo(&env{stdin: os.Stdin}, *f.identity, maxInput)
		if err != nil {
			return &amt.Error{Op: "read identity", Subject: plain(*f.identity), Err: err}
		}
		f.key.Identities = amt.NewSecret(string(raw))
		return nil
	}
	f.key.Passphrase, err = passphrase(e, copyPassphrase, *f.words, "passphrase of the copy", false,
		"name the --identity that it is sealed for, put its passphrase into "+copyPassphrase+", or into a file that --passphrase-file names")
	return err
}

func (f *importFlags) run(e *env) (int, error) {
	var st *store.Store
	if !f.db.missing() {
		var err error
		if st, err = f.db.open(e); err != nil {
			return exitFound, err
		}
		defer func() { _ = st.Close() }()
	}
	if plan, err := f.plan(e, st); err != nil {
		return f.refused(e, plan, err)
	} else if *f.preview {
		return f.report(e, plan, false)
	}
	if err := agreeLocal(e, *f.yes); err != nil {
		return exitFound, err
	}
	var err error
	if st == nil { // nobody made it meanwhile, or somebody did: the import looks again
		if st, err = f.db.open(e); err != nil {
			return exitFound, err
		}
		defer func() { _ = st.Close() }()
	}
	var plan store.CopyPlan
	err = audited(e, st, "import database", plain(f.file), func() (err error) {
		plan, err = st.ImportCopy(e.ctx, f.open, f.key, progressLines(e, "rows"))
		return err
	})
	if err != nil {
		return f.refused(e, plan, err)
	}
	return f.report(e, plan, true)
}

// plan shows what an import would do to the one who is asked. Where nobody is, the import makes its own
// plan; but a database is not made for a copy that cannot be read.
func (f *importFlags) plan(e *env, st *store.Store) (store.CopyPlan, error) {
	if *f.yes && !*f.preview && st != nil {
		return store.CopyPlan{}, nil
	}
	plan, err := store.PlanCopy(e.ctx, st, f.open, f.key)
	if err == nil && !*f.yes && !*f.preview {
		_, err = f.print(e.stderr, plan)
	}
	return plan, err
}

// refused tells why a copy cannot be read, and where.
func (f *importFlags) refused(e *env, plan store.CopyPlan, err error) (int, error) {
	var ce *store.CopyError
	if !errors.As(err, &ce) {
		var known *amt.Error
		if !errors.As(err, &known) {
			err = &amt.Error{Op: "import database", Subject: plain(f.file), Err: err}
		}
		return interrupted(e, exitFound, err)
	}
	hint := "nothing was changed; make the copy again with \"amtmedic db export\""
	if ce.Code == "sealed" {
		hint = "nothing was changed; give its own passphrase, or the --identity of one of its recipients"
	}
	err = &amt.Error{Op: "read copy", Subject: plain(f.file), Err: ce, Hint: hint}
	if *f.asJSON {
		out := newDBImport(store.CopyPlan{Schema: plan.Schema, From: plan.From, Made: plan.Made}, false)
		out.Problems = append(out.Problems, ce.Problem())
		return exitUsage, errors.Join(writeJSON(e.stdout, out), err)
	}
	return exitUsage, err
}

func newDBImport(p store.CopyPlan, applied bool) dbImport {
	out := dbImport{Schema: p.Schema, From: p.From, Made: p.Made, New: p.Total.New, Same: p.Total.Same, Changed: p.Total.Changed, Conflicts: p.Total.Conflicts,
		Tables: []copyTable{}, Taken: append([]amt.Problem{}, p.Conflicts...), Problems: []amt.Problem{}, Notes: append([]amt.Problem{}, p.Notes...), Applied: applied}
	for _, t := range p.Tables {
		out.Tables = append(out.Tables, copyTable(t))
	}
	return out
}

// report prints what was done, or would be.
func (f *importFlags) report(e *env, p store.CopyPlan, applied bool) (int, error) {
	code := exitOK
	if p.Total.Conflicts > 0 {
		code = exitFound
	}
	if *f.asJSON {
		return code, writeJSON(e.stdout, newDBImport(p, applied))
	}
	word := "nothing was written"
	if applied {
		word = "imported"
	}
	if _, err := fmt.Fprintf(e.stdout, "%s; new %d, same %d, changed %d, conflicts %d\n", word, p.Total.New, p.Total.Same, p.Total.Changed, p.Total.Conflicts); err != nil {
		return exitFound, err
	}
	_, err := f.print(e.stdout, p)
	return code, err
}

// print lists a plan by tables.
func (f *importFlags) print(w io.Writer, p store.CopyPlan) (int, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "a copy of a %s database, made %s\n", plain(p.From), plain(p.Made))
	for _, t := range p.Tables {
		if t.New+t.Same+t.Changed+t.Conflicts > 0 {
			fmt.Fprintf(&b, "  %-22s new %d, same %d, changed %d, conflicts %d\n", t.Table, t.New, t.Same, t.Changed, t.Conflicts)
		}
	}
	printProblems(&b, "  conflict", p.Conflicts)
	printProblems(&b, "  note", p.Notes)
	return w.Write(b.Bytes())
}
