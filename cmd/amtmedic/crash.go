package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/diag/bundle"
	"amtmedic/diag/check"
	"amtmedic/diag/flow"
	"amtmedic/diag/journal"
	"amtmedic/tui"
)

// crashKey is where a context carries the function that ends everything when a walk crashes.
type crashKey struct{}

// guarded gives an environment that ends when a walk in it crashes, and the function that makes a
// crash of screen or walk a report. The function must be called.
func (e *env) guarded() (*env, func(code int, err error) (int, error)) {
	ctx, end := context.WithCancelCause(e.ctx)
	inner := *e
	inner.ctx = context.WithValue(ctx, crashKey{}, end)
	return &inner, func(code int, err error) (int, error) {
		cause := context.Cause(ctx)
		end(nil)
		var crash *tui.Crash
		if errors.As(cause, &crash) || errors.As(err, &crash) {
			return exitFault, reportCrash(crash)
		}
		return code, err
	}
}

// runWalk drives a walk. A panic in it ends the screen too.
func runWalk(ctx context.Context, walk *flow.Walk, caseID string) (err error) {
	defer func() {
		if c := tui.Caught(recover(), caseID); c != nil {
			err = c
			if end, ok := ctx.Value(crashKey{}).(context.CancelCauseFunc); ok {
				end(c)
			}
		}
	}()
	return walk.Run(ctx)
}

// crashWait is how long writing the last state may take.
const crashWait = 30 * time.Second

// reportCrash writes the last state of the case into a bundle, and says where it is.
func reportCrash(c *tui.Crash) error {
	out := &amt.Error{Op: "work on the case", Err: c, Hint: "no case was open; please report this text together with what you did:\n" + string(c.Stack)}
	if c.CaseID == "" {
		return out
	}
	path, err := crashBundle(c)
	if err != nil {
		dir, _ := journal.Dir() // the case was read from there
		out.Hint = fmt.Sprintf("the case is kept in %s, but no bundle of it could be written (%v); please report this text:\n%s",
			filepath.Join(dir, c.CaseID), err, c.Stack)
		return out
	}
	out.Hint = "the last state of the case, and where the fault is, stand in " + path + "; please report it together with what you did"
	return out
}

// crashBundle notes the crash in the log of the case and writes its bundle, beside the place where
// the program was started or, where that cannot be written, in the system's folder for such files.
func crashBundle(c *tui.Crash) (path string, err error) {
	defer func() {
		if r := recover(); r != nil { // what crashed may crash again
			err = fmt.Errorf("it crashed again: %v", r)
		}
	}()
	dir, err := journal.Dir()
	if err != nil {
		return "", err
	}
	logErr := logCrash(dir, c)
	r, err := journal.Read(dir, c.CaseID)
	if err != nil {
		return "", errors.Join(err, logErr)
	}
	ctx, cancel := context.WithTimeout(context.Background(), crashWait)
	defer cancel()
	name := c.CaseID + "-crash-" + time.Now().UTC().Format("150405") + ".zip"
	for _, folder := range []string{".", os.TempDir()} {
		if path, err = filepath.Abs(filepath.Join(folder, name)); err != nil {
			continue
		}
		if _, err = bundle.WriteFile(ctx, path, r, bundle.Options{Judge: check.Judge, Explain: causeSentence, Tool: toolInfo()}); err == nil {
			return path, nil
		}
	}
	return "", errors.Join(err, logErr)
}

func logCrash(dir string, c *tui.Crash) error {
	book, err := journal.Open(dir, c.CaseID)
	if err != nil {
		return err
	}
	for line := range strings.SplitSeq(strings.TrimSpace(c.Error()+"\n"+string(c.Stack)), "\n") {
		err = errors.Join(err, book.Log(line))
	}
	return errors.Join(err, book.Close())
}
