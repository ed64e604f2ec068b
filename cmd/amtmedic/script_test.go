package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary play the program, so that scripts run the real command line.
func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){"amtmedic": main})
}

// suite runs all tests. Their cases, and those of the programs that they start, have one folder that
// goes with them, so that a test without wishes of its own needs no variable of the process.
type suite struct{ m *testing.M }

// suiteDir is the folder, and goes when all tests are over.
var suiteDir string

// Run is what testing.M's does.
func (s suite) Run() int {
	var err error
	if suiteDir, err = os.MkdirTemp("", "amtmedic-tests-"); err == nil {
		err = os.Setenv("AMTMEDIC_HOME", filepath.Join(suiteDir, "home"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(suiteDir) }()
	return s.m.Run()
}

// TestScripts runs every testdata/script/*.txt. Beside the standard words a script may say
//
//	exits N PROGRAM ARGS...   the program must end with exit code N; stdout and stderr can be matched after it
//	mode PERM FILE            the file must have these permission bits (not asked on Windows)
//	noescape                  the last program wrote no escape byte
//
// AMTMEDIC_HOME is $WORK/home in each.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			env.Setenv("AMTMEDIC_HOME", filepath.Join(env.WorkDir, "home"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":    scriptExits,
			"mode":     scriptMode,
			"noescape": scriptNoEscape,
		},
	})
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N program args...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func scriptMode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode PERM file")
	}
	fi, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", fi.Mode().Perm()); got != args[0] && runtime.GOOS != "windows" {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

func scriptNoEscape(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: noescape")
	}
	for _, name := range []string{"stdout", "stderr"} {
		for i, c := range []byte(ts.ReadFile(name)) {
			if c == 0x1b {
				ts.Fatalf("%s has an escape byte at %d", name, i)
			}
		}
	}
}

// testEnv is an environment for tests that call run in this process, with a folder of cases that no
// other test sees.
func testEnv(t *testing.T) (e *env, stdout, stderr *safeBuffer) {
	t.Helper()
	t.Setenv("AMTMEDIC_HOME", t.TempDir())
	return sharedEnv(t)
}

// sharedEnv is one for parallel tests: their cases lie among those of others.
func sharedEnv(t *testing.T) (e *env, stdout, stderr *safeBuffer) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	stdout, stderr = &safeBuffer{}, &safeBuffer{}
	return &env{ctx: ctx, stdin: &safeBuffer{}, stdout: stdout, stderr: stderr}, stdout, stderr
}
