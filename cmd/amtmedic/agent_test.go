package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// agentRun runs restart-hello against a firmware that gives one answer after the other, the last one
// again and again.
func agentRun(t *testing.T, answers []agentResult, fail error, args ...string) (code int, out, told string, calls []bool) {
	t.Helper()
	w := agentWorld{now: func() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }, pause: time.Millisecond,
		restart: func(ctx context.Context, dry bool) (agentResult, error) {
			r := answers[min(len(calls), len(answers)-1)]
			calls = append(calls, dry)
			return r, fail
		}}
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	e := &env{ctx: ctx, stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr}
	code, err := runAgentIn(e, w, append([]string{"restart-hello"}, args...))
	return report(e, code, err), stdout.String(), stderr.String(), calls
}

func TestAgentOutcomes(t *testing.T) {
	t.Setenv("AMTMEDIC_HOME", t.TempDir())
	for _, c := range []struct {
		r    agentResult
		err  error
		code int
	}{
		{agentResult{Outcome: agentDone, Text: "accepted", ProvState: "in"}, nil, exitOK},
		{agentResult{Outcome: agentNothing, Text: "provisioned already", ProvState: "post"}, nil, exitOK},
		{agentResult{Outcome: agentCannot, Text: "no driver", Next: "load it"}, errors.New("no driver"), exitUndecided},
		{agentResult{Outcome: agentFailed, Text: "status 1"}, nil, exitFound},
	} {
		code, out, told, calls := agentRun(t, []agentResult{c.r}, c.err)
		if code != c.code || !strings.Contains(out, c.r.Outcome+": "+c.r.Text) || len(calls) != 1 || calls[0] {
			t.Errorf("%s: exit %d, %v\n%s%s", c.r.Outcome, code, calls, out, told)
		}
		if c.r.Next != "" && !strings.Contains(told, "hint: "+c.r.Next) {
			t.Errorf("%s: %s", c.r.Outcome, told)
		}
		code, out, _, _ = agentRun(t, []agentResult{c.r}, c.err, "--json")
		var r agentResult
		if err := json.Unmarshal([]byte(out), &r); err != nil || code != c.code || r.Outcome != c.r.Outcome || r.Tries != 1 {
			t.Errorf("%s: exit %d, %v\n%s", c.r.Outcome, code, err, out)
		}
		readJSONDoc(t).check(t, "agent restart-hello", []byte(out))
		if code, out, _, _ = agentRun(t, []agentResult{c.r}, c.err, "--quiet"); code != c.code || out != "" {
			t.Errorf("%s, quiet: exit %d\n%s", c.r.Outcome, code, out)
		}
	}
	b, err := os.ReadFile(filepath.Join(os.Getenv("AMTMEDIC_HOME"), "agent.log"))
	if err != nil || strings.Count(string(b), "\n") != 12 || strings.Count(string(b), `"outcome":"done"`) != 3 || !strings.Contains(string(b), `"time":"2026-11-25T12:00:00Z"`) {
		t.Errorf("%v\n%s", err, b)
	}
}

// Firmware that is not ready yet is asked again until the deadline, and only that.
func TestAgentTriesAgain(t *testing.T) {
	t.Setenv("AMTMEDIC_HOME", t.TempDir())
	wait := agentResult{Outcome: agentFailed, Text: "not ready", again: true}
	code, out, _, calls := agentRun(t, []agentResult{wait, wait, {Outcome: agentDone, Text: "accepted"}}, nil, "--json")
	if code != exitOK || len(calls) != 3 || !strings.Contains(out, `"tries":3`) {
		t.Errorf("exit %d after %d\n%s", code, len(calls), out)
	}
	code, _, told, calls := agentRun(t, []agentResult{wait}, nil, "--deadline", "1s")
	if code != exitFound || len(calls) < 2 || !strings.Contains(told, "not ready") {
		t.Errorf("exit %d after %d\n%s", code, len(calls), told)
	}
	if _, out, _, calls := agentRun(t, []agentResult{{Outcome: agentNothing, Text: "x"}}, nil, "--dry-run", "--json"); len(calls) != 1 || !calls[0] || !strings.Contains(out, `"dry_run":true`) {
		t.Errorf("%v %s", calls, out)
	}
}

// A log that was asked for and cannot be written ends it before anything is done; a full one is set
// aside.
func TestAgentLog(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("AMTMEDIC_HOME", dir)
	done := []agentResult{{Outcome: agentDone, Text: "accepted"}}
	if code, _, _, calls := agentRun(t, done, nil, "--log", dir); code != exitUsage || len(calls) != 0 {
		t.Errorf("a folder as log: exit %d after %d", code, len(calls))
	}
	name := filepath.Join(dir, "sub", "log")
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, bytes.Repeat([]byte("{}\n"), 1<<19), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, told, _ := agentRun(t, done, nil, "--log", name); code != exitOK {
		t.Errorf("exit %d\n%s", code, told)
	}
	b, err := os.ReadFile(name)
	old, oldErr := os.Stat(name + ".old")
	if err != nil || bytes.Count(b, []byte("\n")) != 1 || oldErr != nil || old.Size() != 3<<19 {
		t.Errorf("%v, %v, %d bytes", err, oldErr, len(b))
	}
	t.Setenv("AMTMEDIC_HOME", name) // a file in place of the folder
	if code, _, told, calls := agentRun(t, done, nil); code != exitOK || len(calls) != 1 || !strings.Contains(told, "no log is written") {
		t.Errorf("no default log: exit %d\n%s", code, told)
	}
	for _, bad := range [][]string{{"x"}, {"--deadline", "1ms"}, {"--what"}} {
		if code, _, _, calls := agentRun(t, done, nil, bad...); code != exitUsage || len(calls) != 0 {
			t.Errorf("%v: exit %d", bad, code)
		}
	}
}
