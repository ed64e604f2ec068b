package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// keyChange is the JSON form of what db rotate-key did.
type keyChange struct {
	From   string `json:"from"`
	To     string `json:"to"`
	File   string `json:"file"`
	Before string `json:"before"`
	Keys   int    `json:"keys"`
}

const newPassphrase = "AMTMEDIC_KEY_NEW_PASSPHRASE"

func runDBRotateKey(e *env, args []string) (int, error) {
	fs := flags("db rotate-key [--to WORD] [--new-key-file FILE] [--new-passphrase-file FILE] [--db FILE|URL] [--json]")
	db := addDB(fs)
	to := fs.String("to", "", "where the new key comes from, `WORD`: file, passphrase, keyring (default: as now)")
	file := fs.String("new-key-file", "", "key `FILE` to make, or to add the new key to (default: the one of now, else NAME.key beside the database)")
	words := fs.String("new-passphrase-file", "", "`FILE` with the new passphrase (default: AMTMEDIC_KEY_NEW_PASSPHRASE, else it is asked for)")
	asJSON := fs.Bool("json", false, "print one JSON object")
	rest, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if *to == "" && *file != "" {
		*to = store.KeyInFile
	}
	kinds := []string{"", store.KeyInFile, store.KeyByPassphrase, store.KeyInKeyring}
	switch {
	case len(rest) > 0:
		return exitUsage, misuse(fs, "db rotate-key takes no operand; the database goes to --db")
	case !slices.Contains(kinds, *to):
		return exitUsage, misuse(fs, "--to is file, passphrase or keyring")
	case *file != "" && *to != store.KeyInFile:
		return exitUsage, misuse(fs, "--new-key-file goes with --to file")
	}
	if db.missing() {
		return exitUsage, db.noDatabase("rotate key")
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	kind := *to
	if kind == "" {
		if kind, err = st.KeySource(e.ctx); err != nil {
			return exitFound, err
		}
	}
	target := store.KeyTarget{Kind: kind, File: *file}
	if kind == store.KeyByPassphrase {
		if target.Passphrase, err = passphrase(e, newPassphrase, *words, "passphrase of the database", true,
			"put it into "+newPassphrase+", or into a file that --new-passphrase-file names"); err != nil {
			return exitFound, err
		}
	}
	var out store.KeyChange
	err = audited(e, st, "rotate key", kind, func() (err error) { out, err = st.RotateKey(e.ctx, target); return err })
	if err != nil {
		return interrupted(e, exitFound, err)
	}
	return reportKeyChange(e, out, *asJSON)
}

func reportKeyChange(e *env, out store.KeyChange, asJSON bool) (int, error) {
	if asJSON {
		return exitOK, writeJSON(e.stdout, keyChange(out))
	}
	place := out.To
	if out.File != "" {
		place += " " + plain(out.File)
	}
	_, err := fmt.Fprintf(e.stdout, "%s wrapped anew; the key comes from: %s (before: %s)\n", count(out.Keys, "data key"), place, out.From)
	if out.Before != "" {
		fmt.Fprintf(e.stdout, "the key from before lies in %s: it opens copies of the database from before, and other databases that use it still\n", plain(out.Before))
	}
	fmt.Fprintln(e.stderr, "amtmedic: servers that run go on; those that start from now on need the new key")
	return exitOK, err
}

// dataKeyChange is the JSON form of what db rotate-data-key did.
type dataKeyChange struct {
	Key      uint32        `json:"key"`
	Resumed  bool          `json:"resumed"`
	Cells    int           `json:"cells"`
	Removed  []uint32      `json:"removed"`
	Kept     []uint32      `json:"kept"`
	Problems []amt.Problem `json:"problems"`
}

func runDBRotateDataKey(e *env, args []string) (int, error) {
	fs := flags("db rotate-data-key [--no-handover] [--grace TIME] [--db FILE|URL] [--json]")
	db := addDB(fs)
	alone := fs.Bool("no-handover", false, "do not seal the new data key under the old one for servers that run: for an old one that others may have")
	grace := fs.Duration("grace", 5*time.Second, "how long servers that run get to take up the new data key before the old one goes, `TIME`")
	asJSON := fs.Bool("json", false, "print one JSON object")
	if rest, err := parse(fs, args); err != nil {
		return exitUsage, err
	} else if *grace <= 0 || *grace > time.Hour {
		return exitUsage, misuse(fs, "--grace is above 0 and at most 1h")
	} else if len(rest) > 0 {
		return exitUsage, misuse(fs, "db rotate-data-key takes no operand; the database goes to --db")
	}
	if db.missing() {
		return exitUsage, db.noDatabase("rotate data key")
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	var out store.Rotated
	err = audited(e, st, "rotate data key", "", func() (err error) {
		out, err = st.RotateDataKey(e.ctx, store.RotateOptions{NoHandover: *alone, Grace: *grace, Progress: progressLines(e, "secrets encrypted anew")})
		return err
	})
	if err != nil {
		return interrupted(e, exitFound, err)
	}
	res := dataKeyChange{Key: out.Key, Resumed: out.Resumed, Cells: out.Cells, Removed: append([]uint32{}, out.Removed...), Kept: append([]uint32{}, out.Kept...), Problems: []amt.Problem{}}
	for _, u := range out.Unread {
		res.Problems = append(res.Problems, amt.In(u, "cell", "it cannot be decrypted, and stays as it is"))
	}
	code := exitOK
	if len(res.Problems)+len(res.Kept) > 0 {
		code = exitFound
	}
	if *asJSON {
		return code, writeJSON(e.stdout, res)
	}
	if out.Resumed {
		fmt.Fprintln(e.stdout, "an older rotation was not at its end: it is now")
	}
	_, err = fmt.Fprintf(e.stdout, "data key %d is in use; %s encrypted anew; data keys removed: %d, kept: %d\n", out.Key, count(out.Cells, "secret"), len(out.Removed), len(out.Kept))
	printProblems(e.stdout, "  problem", res.Problems)
	return code, err
}

// progressLines tells how far a long work is, every two seconds at most.
func progressLines(e *env, what string) func(done, total int) {
	var told time.Time
	return func(done, total int) {
		if told.IsZero() {
			told = time.Now()
		}
		if time.Since(told) < 2*time.Second {
			return
		}
		told = time.Now()
		fmt.Fprintf(e.stderr, "amtmedic: %d of %d %s\n", done, total, what)
	}
}

// interrupted gives the exit code of a work that a signal ended.
func interrupted(e *env, code int, err error) (int, error) {
	if err != nil && e.ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return exitInterrupt, &amt.Error{Op: "db", Err: errors.New("interrupted; nothing is lost, and the same command goes on")}
	}
	return code, err
}

// noDatabase is the error of a command that makes none.
func (d dbFlags) noDatabase(op string) error {
	target, err := d.target()
	if err != nil {
		return err
	}
	return &amt.Error{Op: op, Subject: plain(target), Err: store.ErrNotFound, Hint: `"amtmedic serve --db FILE" makes one`}
}
