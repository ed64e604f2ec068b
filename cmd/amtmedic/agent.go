package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"amtmedic/amt"
	"amtmedic/diag/journal"
)

// runAgent holds what a software delivery runs on many clients: no terminal, no question, one run.
func runAgent(e *env, args []string) (int, error) { return runAgentIn(e, thisClient(), args) }

func runAgentIn(e *env, w agentWorld, args []string) (int, error) {
	return subcommand(e, "agent", []command{
		{"restart-hello", "make this client say hello again; to run the command is to agree to it",
			func(e *env, args []string) (int, error) { return agentRestart(e, w, args) }},
	}, args)
}

// agentWorld is what a one-shot touches outside its own process.
type agentWorld struct {
	// restart looks at the firmware and, unless dry, starts its hellos. What it reports is said in words
	// even with an error.
	restart func(ctx context.Context, dry bool) (agentResult, error)
	now     func() time.Time
	pause   time.Duration // between tries
}

// The outcomes of a one-shot. The first two exit 0.
const (
	agentDone    = "done"
	agentNothing = "nothing-to-do"
	agentCannot  = "not-possible"
	agentFailed  = "failed"
)

// agentResult is the JSON form of what a one-shot did, and a line of its log.
type agentResult struct {
	Time       time.Time `json:"time"`
	Outcome    string    `json:"outcome"`
	Text       string    `json:"text"`
	Next       string    `json:"next"`
	ProvState  string    `json:"prov_state"`
	AMTVersion string    `json:"amt_version"`
	UUID       string    `json:"uuid"`
	DryRun     bool      `json:"dry_run"`
	Tries      int       `json:"tries"`

	again bool // it may be otherwise in a moment
}

func agentRestart(e *env, w agentWorld, args []string) (int, error) {
	fs := flags("agent restart-hello [--dry-run] [--deadline LONG] [--log FILE] [--quiet] [--json]")
	dry := fs.Bool("dry-run", false, "look only, and say what would be done")
	deadline := fs.Duration("deadline", 2*time.Minute, "try for so `LONG` when the firmware is not ready yet")
	logName := fs.String("log", "", "add a line to `FILE` (default: agent.log in the folder of the cases)")
	quiet := fs.Bool("quiet", false, "print nothing; the exit code and the log tell")
	asJSON := fs.Bool("json", false, "print one JSON object")
	words, err := parse(fs, args)
	switch {
	case err != nil:
		return exitUsage, err
	case len(words) > 0:
		return exitUsage, misuse(fs, "%s is not expected", plain(words[0]))
	case *deadline < time.Second || *deadline > 24*time.Hour:
		return exitUsage, misuse(fs, "--deadline is between 1s and 24h")
	}
	log, err := openAgentLog(*logName, "agent.log")
	if err != nil && *logName != "" { // it was asked for: nothing is done without it
		return exitUsage, &amt.Error{Op: "open log", Subject: plain(*logName), Err: err}
	}
	if err != nil {
		fmt.Fprintf(e.stderr, "amtmedic: warning: no log is written: %s\n", plain(err.Error()))
	}
	r, err := w.tryRestart(e.ctx, *deadline, *dry)
	if log != nil {
		err = errors.Join(err, log.add(r))
	}
	if *asJSON && !*quiet {
		err = errors.Join(err, writeJSON(e.stdout, r))
	}
	return r.report(e, err, *quiet || *asJSON)
}

// report prints the outcome and gives the exit code.
func (r agentResult) report(e *env, err error, silent bool) (int, error) {
	if e.ctx.Err() != nil {
		return exitInterrupt, &amt.Error{Op: "restart hello", Err: errors.New("interrupted")}
	}
	if !silent {
		fmt.Fprintf(e.stdout, "%s: %s\n", r.Outcome, plain(r.Text))
	}
	code := map[string]int{agentDone: exitOK, agentNothing: exitOK, agentCannot: exitUndecided}[r.Outcome]
	if r.Outcome == agentFailed {
		code = exitFound
	}
	if code != exitOK {
		if err == nil {
			err = errors.New(r.Text)
		}
		return code, &amt.Error{Op: "restart hello", Err: err, Hint: r.Next}
	}
	return code, err
}

// tryRestart tries until something other than "not ready yet" comes of it.
func (w agentWorld) tryRestart(parent context.Context, deadline time.Duration, dry bool) (r agentResult, err error) {
	ctx, cancel := context.WithTimeout(parent, deadline)
	defer cancel()
	for try := 1; ; try++ {
		r, err = w.restart(ctx, dry)
		r.Time, r.DryRun, r.Tries = w.now().UTC().Truncate(time.Millisecond), dry, try
		if !r.again || ctx.Err() != nil {
			return r, err
		}
		select {
		case <-ctx.Done():
			return r, err
		case <-time.After(w.pause):
		}
	}
}

// agentLog is a file of JSON lines, one a run.
type agentLog struct{ name string }

// maxAgentLog is the size in bytes from which on a log is set aside, one only.
const maxAgentLog = 1 << 20

// openAgentLog makes folder and file, so that what stands in the way is known before anything is done.
// Without a name it is the usual one in the folder of the cases.
func openAgentLog(name, usual string) (*agentLog, error) {
	if name == "" {
		dir, err := journal.Dir()
		if err != nil {
			return nil, err
		}
		name = filepath.Join(dir, usual)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, err
	}
	if fi, err := os.Stat(name); err == nil && fi.Mode().IsRegular() && fi.Size() > maxAgentLog {
		if err := os.Rename(name, name+".old"); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &agentLog{name}, f.Close()
}

// add writes one line in one piece: several runs may write at the same time.
func (l *agentLog) add(line any) error {
	b, err := json.Marshal(line)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(l.name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	return errors.Join(err, f.Close())
}
