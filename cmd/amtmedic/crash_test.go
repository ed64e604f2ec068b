package main

import (
	"archive/zip"
	"errors"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/bundle"
	"amtmedic/diag/check"
	"amtmedic/diag/flow"
	"amtmedic/diag/probe"
	"amtmedic/tui"
)

// faultyWorld has a fault of ours in it, which shows when probes are asked for.
type faultyWorld struct{ flow.Recorded }

func (faultyWorld) Probes(*diag.View) []probe.Probe { panic("injected") }

// A panic behind the screen ends it, the last state is in a bundle, and the error says where.
func TestCrashOfAWalk(t *testing.T) {
	outer, _, stderr := testEnv(t)
	t.Chdir(t.TempDir())
	e, end := outer.guarded()
	book, err := openCase()
	if err != nil {
		t.Fatal(err)
	}
	walk, err := flow.New(flow.Options{World: faultyWorld{flow.Recorded{Title: "faulty", At: time.Now()}}, Journal: book, Judge: check.Judge, Info: checkInfo,
		Facts: []diag.Fact{{Key: "client.enabled", Value: false}}})
	if err != nil {
		t.Fatal(err)
	}
	stop := keepRunning(e.ctx, walk, book.ID(), book.Close)
	select {
	case <-e.ctx.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the crash ended nothing")
	}
	_ = stop()
	code, err := end(exitOK, nil)
	if code = report(outer, code, err); code != exitFault {
		t.Errorf("exit %d", code)
	}
	said := stderr.String()
	path := regexp.MustCompile(`\S+-crash-\d+\.zip`).FindString(said)
	if path == "" || !strings.Contains(said, "fault inside the program: injected") {
		t.Fatalf("it said %s", said)
	}
	b, err := bundle.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	log, err := fs.ReadFile(z, "collect.log")
	if err != nil || len(b.Problems) > 0 || len(b.Facts) == 0 || !strings.Contains(string(log), "injected") || !strings.Contains(string(log), "crash_test.go") {
		t.Errorf("%v, problems %v, facts %v, log %s", err, b.Problems, b.Facts, log)
	}
}

func TestCrashWithoutCase(t *testing.T) {
	_, _, _ = testEnv(t)
	err := reportCrash(&tui.Crash{Value: "injected", Stack: []byte("goroutine 1")})
	if err == nil || !strings.Contains(err.Error(), "injected") {
		t.Error(err)
	}
	e, _, stderr := testEnv(t)
	if code := report(e, exitFault, err); code != exitFault || !strings.Contains(stderr.String(), "goroutine 1") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

// When no bundle can be written, the words say where the case is kept.
func TestCrashWithoutBundle(t *testing.T) {
	_, _, _ = testEnv(t)
	e, _, stderr := testEnv(t)
	report(e, exitFault, reportCrash(&tui.Crash{Value: errors.New("injected"), CaseID: "no-such-case"}))
	if !strings.Contains(stderr.String(), os.Getenv("AMTMEDIC_HOME")) || !strings.Contains(stderr.String(), "no bundle of it could be written") {
		t.Error(stderr.String())
	}
}
