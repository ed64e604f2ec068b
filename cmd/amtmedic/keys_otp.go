package main

import (
	"fmt"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// otpImport is the JSON form of what keys otp did.
type otpImport struct {
	Imported int           `json:"imported"`
	Promoted int           `json:"promoted"` // delayed clients that had been refused for theirs
	Problems []amt.Problem `json:"problems"`
}

func runKeysOTP(e *env, args []string) (int, error) {
	fs := flags("keys otp FILE [--db FILE] [--json]")
	db := addDB(fs)
	asJSON := fs.Bool("json", false, "print one JSON object")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) != 1 {
		return exitUsage, misuse(fs, "keys otp takes one file, CSV with the header %s; - is standard input", store.OTPHeader)
	}
	raw, err := readUpTo(e, words[0], maxSetupBin)
	if err != nil {
		return exitUsage, &amt.Error{Op: "read one-time passwords", Subject: plain(words[0]), Err: err}
	}
	rows, problems, err := store.ReadOTPs(raw)
	if err != nil {
		return exitUsage, &amt.Error{Op: "read one-time passwords", Subject: plain(words[0]), Err: err, Hint: "its first line has to be " + store.OTPHeader}
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	out := otpImport{Imported: len(rows), Problems: problems}
	if out.Promoted, err = st.ImportOTPs(e.ctx, rows); err != nil {
		return exitFound, err
	}
	code := exitOK
	if len(problems) > 0 {
		code = exitFound
	}
	if *asJSON {
		return code, writeJSON(e.stdout, out)
	}
	_, err = fmt.Fprintf(e.stdout, "imported %d, problems %d\n", out.Imported, len(problems))
	printProblems(e.stdout, "  problem", problems)
	if out.Promoted > 0 {
		fmt.Fprintf(e.stdout, "%s had been refused for it and went to the queue\n", count(out.Promoted, "client"))
	}
	return code, err
}
