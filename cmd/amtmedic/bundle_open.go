package main

import (
	"amtmedic/diag/bundle"
	"amtmedic/tui"
)

// bundleOpen opens the workstation on a bundle: the same pages from recorded facts, without repairs.
func bundleOpen(e *env, args []string) (int, error) {
	fs := flags("bundle open FILE [--ascii] [--theme NAME] [--mouse]")
	asJSON := fs.Bool("json", false, "print one JSON object instead")
	look := addScreenFlags(fs)
	ops, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(ops) != 1 {
		return exitUsage, misuse(fs, "bundle open reads one file, %d are named", len(ops))
	}
	if err := look.configure(); err != nil {
		return exitUsage, err
	}
	b, err := bundle.OpenFile(ops[0])
	if err != nil {
		return exitUsage, err
	}
	if *asJSON {
		code := exitOK
		if len(b.Problems) > 0 {
			code = exitFound
		}
		return code, writeJSON(e.stdout, bundleObject(b, b.Problems))
	}
	printProblems(e.stderr, "problem", b.Problems)
	e, report := e.guarded()
	walk, end, err := openRecorded(e.ctx, ops[0])
	if err != nil {
		return report(exitUsage, err)
	}
	*look.readOnly = true
	code, err := show(e, look, tui.Options{Walker: walk})
	if cerr := end(); err == nil && cerr != nil {
		return report(exitFault, cerr)
	}
	return report(code, err)
}
