package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// wine runs programs of Windows in a prefix of its own.
type wine struct {
	loader string
	prefix string
}

// wineOrSkip finds wine and the compiler that makes the stand-in for the one library that wine 8
// lacks; without them the test is skipped, under CI it fails.
func wineOrSkip(t *testing.T) (loader, compiler string) {
	t.Helper()
	if os.Getenv("AMTMEDIC_LONG") == "" {
		t.Skip("the Windows program under wine belongs to the long set: AMTMEDIC_LONG=1")
	}
	missing := func(what string) {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is missing", what)
		}
		t.Skipf("%s is missing", what)
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		missing("linux/amd64, where wine runs the program,")
	}
	for _, p := range []string{"/usr/lib/wine/wine64", "wine64"} {
		if found, err := exec.LookPath(p); err == nil {
			loader = found
			break
		}
	}
	if loader == "" {
		missing("wine64 (package wine64)")
	}
	compiler, err := exec.LookPath("x86_64-w64-mingw32-gcc")
	if err != nil {
		missing("x86_64-w64-mingw32-gcc (package gcc-mingw-w64-x86-64-win32)")
	}
	return loader, compiler
}

// newWine makes a prefix and puts the stand-in for bcryptprimitives.dll into it.
func newWine(t *testing.T, loader, compiler string) wine {
	t.Helper()
	w := wine{loader: loader, prefix: filepath.Join(t.TempDir(), "prefix")}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		end := exec.CommandContext(ctx, filepath.Join(filepath.Dir(loader), "wineserver64"), "-k")
		end.Env = w.env()
		if err := end.Run(); err != nil {
			t.Logf("end wineserver: %v", err)
		}
	})
	w.mustRun(t, exec.Command(loader, "wineboot", "--init"))
	dll := filepath.Join(w.prefix, "drive_c", "windows", "system32", "bcryptprimitives.dll")
	w.mustRun(t, exec.Command(compiler, "-O1", "-shared", "-o", dll,
		filepath.Join("testdata", "wine", "prng.c"), "-ladvapi32"))
	return w
}

func (w wine) env() []string {
	return append(os.Environ(), "WINEPREFIX="+w.prefix, "HOME="+filepath.Dir(w.prefix), "WINEDEBUG=-all",
		"WINEARCH=win64", "DISPLAY=",
		"WINEDLLOVERRIDES=mscoree=;mshtml=;winemenubuilder.exe=")
}

func (w wine) mustRun(t *testing.T, c *exec.Cmd) {
	t.Helper()
	c.Env = w.env()
	if out, err := combined(c, 3*time.Minute); err != nil {
		t.Fatalf("%v: %v\n%s", c.Args, err, out)
	}
}

// combined runs a command with a deadline and gives what it wrote. Children that keep the pipes
// open, as wine's services do, do not hold it up.
func combined(c *exec.Cmd, limit time.Duration) ([]byte, error) {
	var out bytes.Buffer
	c.Stdout, c.Stderr, c.WaitDelay = &out, &out, time.Second
	err := runWithin(c, limit)
	return out.Bytes(), err
}

func runWithin(c *exec.Cmd, limit time.Duration) error {
	if err := c.Start(); err != nil {
		return err
	}
	timer := time.AfterFunc(limit, func() { _ = c.Process.Kill() })
	defer timer.Stop()
	err := c.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil // it ended well, a child still holds a pipe
	}
	return err
}

// outcome is everything that a run of the program leaves.
type outcome struct {
	code           int
	stdout, stderr string
}

func runProgram(t *testing.T, c *exec.Cmd, stdin string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr, c.WaitDelay = strings.NewReader(stdin), &stdout, &stderr, time.Second
	var exit *exec.ExitError
	if err := runWithin(c, time.Minute); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", c.Args, err)
	}
	return outcome{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// builds has the program of this source by system, each built once: functions that give its file.
var builds sync.Map

func buildOnce(goos string) (string, error) {
	file := filepath.Join(suiteDir, "amtmedic-"+goos)
	c := exec.Command("go", "build", "-o", file, ".")
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH=amd64")
	if out, err := combined(c, 10*time.Minute); err != nil {
		return "", fmt.Errorf("build for %s: %w\n%s", goos, err, out)
	}
	return file, nil
}

// buildFor puts the program of this source for a system at a file. It is a link: a program that was
// just written cannot be run while another test starts one of its own.
func buildFor(t *testing.T, goos, file string) string {
	t.Helper()
	build, _ := builds.LoadOrStore(goos, sync.OnceValues(func() (string, error) { return buildOnce(goos) }))
	from, err := build.(func() (string, error))()
	if err == nil {
		err = os.Link(from, file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// The same source gives the same answers on Windows as on Linux, byte for byte.
func TestWindowsProgramUnderWine(t *testing.T) {
	loader, compiler := wineOrSkip(t)
	bin := t.TempDir()
	windows := buildFor(t, "windows", filepath.Join(bin, "amtmedic.exe"))
	linux := buildFor(t, "linux", filepath.Join(bin, "amtmedic"))
	w := newWine(t, loader, compiler)

	work := t.TempDir()
	copyTo(t, work, filepath.Join("testdata", "wine"))
	copyTo(t, work, filepath.Join("..", "..", "amt", "hello", "testdata"))
	if err := os.WriteFile(filepath.Join(work, "short.bin"), []byte{1, 0, 2}, 0o600); err != nil {
		t.Fatal(err)
	}
	both := func(stdin string, args ...string) (win, lin outcome) {
		wc, lc := exec.Command(loader, append([]string{windows}, args...)...), exec.Command(linux, args...)
		wc.Dir, lc.Dir, wc.Env = work, work, w.env()
		lc.Env = append(os.Environ(), "AMTMEDIC_HOME="+filepath.Join(work, "home"))
		return runProgram(t, wc, stdin), runProgram(t, lc, stdin)
	}

	t.Run("version", func(t *testing.T) {
		win, lin := both("", "version")
		win.stdout = strings.Replace(win.stdout, "windows/amd64", "linux/amd64", 1)
		if win != lin || win.code != exitOK || !strings.HasPrefix(win.stdout, "amtmedic ") {
			t.Errorf("windows: %+v\nlinux:   %+v", win, lin)
		}
	})
	const psk = "01000200 00000000 44454c4c580010398059b7c04f4b5a31 344b524736355154"
	for _, c := range []struct {
		name, stdin string
		args        []string
		code        int
		says        string // somewhere in what it writes
		words       bool   // standard error has the system's own words
	}{
		{"hello psk", "", []string{"hello", "decode", "v1-psk.hex", "--hex", "--json"}, exitOK, `"pid":"4KRG65QT"`, false},
		{"hello pki", "", []string{"hello", "decode", "--json", "--hex", "v2-pki.hex"}, exitOK, `"type":"pki"`, false},
		{"hello from standard input", psk, []string{"hello", "decode", "-", "--json"}, exitOK, `"type":"psk"`, false},
		{"hello too short", "", []string{"hello", "decode", "short.bin", "--json"}, exitUsage, "", false},
		{"hello not there", "", []string{"hello", "decode", "nowhere.hex"}, exitUsage, "nowhere.hex", true},
		{"keys", "", []string{"keys", "check", "0000-037M", "--json"}, exitOK, `"problems":[]`, false},
		{"verdict name", "", []string{"diagnose", "split.jsonl", "--json"}, exitFound, "rc-dns-split-horizon", false},
		{"verdict client", "", []string{"diagnose", "--json", "factory.jsonl"}, exitFound, "rc-not-in-setup-factory", false},
		{"verdict in words", "", []string{"diagnose", "split.jsonl"}, exitFound, "rc-dns-split-horizon", false},
		{"broken facts", "", []string{"diagnose", "broken.jsonl"}, exitUsage, "client.prov_state", false},
		{"no such command", "", []string{"diagnoes"}, exitUsage, "diagnose", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			win, lin := both(c.stdin, c.args...)
			said := spaceless(win.stdout + win.stderr)
			if c.words {
				win.stderr, lin.stderr = "", ""
			}
			if win != lin {
				t.Errorf("%v differ\nwindows: %+v\nlinux:   %+v", c.args, win, lin)
			}
			if win.code != c.code || !strings.Contains(said, spaceless(c.says)) {
				t.Errorf("%v: exit %d, want %d and %q in\n%s%s", c.args, win.code, c.code, c.says, win.stdout, win.stderr)
			}
		})
	}
	t.Run("hello send", func(t *testing.T) { helloFromWindows(t, w, windows) })
	t.Run("serve", func(t *testing.T) { serveOnWindows(t, w, windows, linux) })
}

// spaceless takes the white space out, which JSON may have or not.
func spaceless(s string) string { return strings.Join(strings.Fields(s), "") }

// helloFromWindows lets the Windows program send a hello and compares the bytes that arrive.
func helloFromWindows(t *testing.T, w wine, program string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := make(chan []byte, 1)
	go func() {
		defer close(got)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		b := make([]byte, 32)
		n, _ := io.ReadFull(c, b)
		got <- b[:n]
	}()
	c := exec.Command(w.loader, program, "hello", "send", "--to", l.Addr().String(),
		"--uuid", "4c4c4544-0058-3910-8059-b7c04f4b5a31", "--pid", "4KRG-65QT")
	c.Env = w.env()
	out := runProgram(t, c, "")
	_ = l.Close() // a program that never came must not hold the test up
	b := <-got
	want := "\x02\x00\x00\x00\x00\x00DELLX\x00\x109\x80Y\xb7\xc0OKZ14KRG65QT"
	if out.code != exitOK || len(b) != 32 || string(b[2:]) != want {
		t.Errorf("arrived: %q, want %q after the first word\n%+v", b, want, out)
	}
}

// serveOnWindows lets the Windows program receive a hello, kills it, and reads the database that it
// leaves with the Linux program.
func serveOnWindows(t *testing.T, w wine, windows, linux string) {
	const uuid = "4c4c4544-0058-3910-8059-b7c04f4b5a31"
	dir := t.TempDir()
	c := exec.Command(w.loader, windows, "serve", "--db", "clients.db", "--listen", "127.0.0.1:0")
	c.Dir, c.Env = dir, w.env()
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	end := time.AfterFunc(time.Minute, func() { _ = c.Process.Kill() })
	defer end.Stop()
	address := ""
	lines := bufio.NewScanner(out)
	for address == "" && lines.Scan() {
		address = regexp.MustCompile(`127\.0\.0\.1:[1-9][0-9]*`).FindString(lines.Text())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	if address == "" {
		_ = c.Process.Kill()
		t.Fatalf("no address in its log: %v", c.Wait())
	}
	sent := runProgram(t, exec.Command(linux, "hello", "send", "--to", address, "--uuid", uuid, "--pid", "4KRG-65QT"), "")
	_ = c.Process.Kill()
	_ = c.Wait()
	if sent.code != exitOK {
		t.Errorf("hello send: %+v", sent)
	}
	// A file from Windows carries no mode of its own; on Linux only its owner may read the key.
	if err := os.Chmod(filepath.Join(dir, "clients.db.key"), 0o600); err != nil {
		t.Error(err)
	}
	list := exec.Command(linux, "clients", "--db", filepath.Join(dir, "clients.db"), "--json")
	if got := runProgram(t, list, ""); got.code != exitOK || !strings.Contains(got.stdout, uuid) {
		t.Errorf("clients: %+v", got)
	}
}

// copyTo copies the files of a folder.
func copyTo(t *testing.T, dir, from string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		b, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, e.Name()), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
