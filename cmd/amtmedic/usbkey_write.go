package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/setupbin"
	"amtmedic/amt/usbkey"
)

// keyFlags are what prepare and repair have in common.
type keyFlags struct {
	firmware *string
	yes      *bool
	device   *string
	asJSON   *bool
}

func addKeyFlags(fs *flag.FlagSet) keyFlags {
	return keyFlags{
		firmware: fs.String("amt-version", "", "AMT `version` of the client that the result is judged for; without it the oldest, 2.x"),
		yes:      fs.Bool("yes", false, "agree to every question, on image files only"),
		device:   fs.String("device", "", "exact `name` of the device, such as sdb, instead of typing it"),
		asJSON:   fs.Bool("json", false, "print one JSON object: the key as usbkey inspect sees it"),
	}
}

// keyTarget is what is written to: an image file, or a device that may be.
type keyTarget struct {
	path   string
	device *usbkey.Device // nil for an image file
}

// target looks at a path, and refuses a device that must not be written to.
func target(path string) (keyTarget, error) {
	d, err := usbSystem.Look(path)
	if err == nil && d != nil {
		err = d.Refusal()
	}
	if err != nil {
		return keyTarget{}, keyError("write USB key", path, err)
	}
	return keyTarget{path, d}, nil
}

// agree asks before something is lost. A device is only agreed to by its exact name. Without a
// terminal nothing is asked and nothing is written.
func (t keyTarget) agree(e *env, k keyFlags, loses string) error {
	fail := func(why, hint string) error {
		return &amt.Error{Op: "write USB key", Subject: plain(t.path), Err: errors.New(why), Hint: hint + "; nothing was written"}
	}
	want, words := "yes", fmt.Sprintf("%s: %s. Type yes to go on: ", plain(t.path), loses)
	if t.device != nil {
		want = t.device.Name
		words = fmt.Sprintf("%s (%s, %.1f MiB): %s. Type the device's name, %s, to go on: ", plain(t.path), plain(t.device.Words), float64(t.device.Bytes)/(1<<20), loses, want)
		if *k.device != "" {
			if *k.device != want {
				return fail(fmt.Sprintf("--device says %s, the device is %s", plain(*k.device), want), "give the exact name")
			}
			return nil
		}
	} else if *k.yes {
		return nil
	}
	if f, ok := e.stdin.(*os.File); !ok || !isTerminal(f) {
		hint := "--yes agrees"
		if t.device != nil {
			hint = "--device " + want + " agrees"
		}
		return fail(loses+", and there is no terminal to ask on", hint)
	}
	fmt.Fprint(e.stderr, words)
	answer := make(chan string, 1)
	go func() { // ends with the line, or with the process
		line, _ := bufio.NewReader(e.stdin).ReadString('\n')
		answer <- strings.TrimSpace(line)
	}()
	select {
	case <-e.ctx.Done():
		return e.ctx.Err()
	case got := <-answer:
		if got != want {
			return fail("not agreed to", "the answer was not "+want)
		}
	}
	return nil
}

// writeKey formats the target and judges the result.
func (t keyTarget) writeKey(e *env, setup []byte, f usbkey.Format, v amt.Version) (*usbkey.Report, error) {
	f.At, f.Progress = time.Now(), progress(e)
	if err := usbSystem.Write(e.ctx, t.path, setup, rand.Reader, f); err != nil {
		return nil, keyError("write USB key", t.path, err)
	}
	return inspectKey(t.path, v)
}

// progress tells on standard error how far writing is, at every quarter.
func progress(e *env) func(done, total int64, doing string) {
	shown := int64(-1)
	return func(done, total int64, doing string) {
		if quarter := done * 4 / max(total, 1); quarter != shown {
			shown = quarter
			fmt.Fprintf(e.stderr, "amtmedic: %3d %%, %s\n", quarter*25, doing)
		}
	}
}

// keyResult prints the report on a key that was written and gives the exit code.
func keyResult(e *env, r *usbkey.Report, asJSON bool) (int, error) {
	code := exitOK
	if len(r.Problems) > 0 {
		code = exitFound
	}
	if asJSON {
		return code, writeJSON(e.stdout, cleanReport(r))
	}
	var b bytes.Buffer
	printReport(&b, r)
	_, err := b.WriteTo(e.stdout)
	return code, err
}

// unfinished gives the exit code of work that did not succeed.
func unfinished(e *env) int {
	if e.ctx.Err() != nil {
		return exitInterrupt
	}
	return exitFound
}

// defaultImage is the size in MiB of an image file that is made.
const defaultImage = 64

func runUSBKeyPrepare(e *env, args []string) (int, error) {
	fs := flags("usbkey prepare PATH --file SETUP [--fat32] [--size MIB] [--yes] [--device NAME] [--force] [--amt-version V] [--json]")
	k := addKeyFlags(fs)
	file := fs.String("file", "", "the setup.bin, under whatever `name`")
	wide := fs.Bool("fat32", false, "format as FAT32, which AMT 2.x and 3.x are not known to read")
	size := fs.Int("size", 0, "size of the volume in `MiB` (an image file that is made: 64; else that of the key, at most 512)")
	force := fs.Bool("force", false, "write a setup.bin that firmware would not take")
	words, err := parse(fs, args)
	switch {
	case err != nil:
		return exitUsage, err
	case len(words) != 1 || *file == "":
		return exitUsage, misuse(fs, "usbkey prepare takes one image file or device, and --file")
	case *size < 0 || *size > 1<<20:
		return exitUsage, misuse(fs, "--size is in MiB")
	}
	v, err := optionalVersion(*k.firmware)
	if err != nil {
		return exitUsage, misuse(fs, "--amt-version: %v", err)
	}
	if *wide && !v.AtLeast(4, 0) {
		fmt.Fprintln(e.stderr, "amtmedic: warning: AMT 2.x and 3.x are only known to read FAT16; this key is for AMT 4 and later")
		if v.IsZero() {
			v, _ = amt.ParseVersion("4.0")
		}
	}
	setup, err := readUpTo(e, *file, usbkey.MaxSetup)
	if err != nil {
		return exitUsage, &amt.Error{Op: "read setup.bin", Subject: plain(*file), Err: err}
	}
	if err := fitToWrite(e, *file, setup, v, *force); err != nil {
		return exitFound, err
	}
	t, err := target(words[0])
	if err != nil {
		return exitFound, err
	}
	f := usbkey.Format{FAT32: *wide, Most: usbkey.Advised}
	if *size > 0 {
		f.Most = int64(*size) << 20
	}
	made, err := t.makeRoom(e, k, *size)
	if err != nil {
		return unfinished(e), err
	}
	r, err := t.writeKey(e, setup, f, v)
	if err != nil {
		if made { // half an image serves nobody
			_ = os.Remove(t.path)
		}
		return unfinished(e), err
	}
	return keyResult(e, r, *k.asJSON)
}

// fitToWrite judges the file before a key is cleared for it.
func fitToWrite(e *env, name string, setup []byte, v amt.Version, force bool) error {
	var problems []amt.Problem
	if f, err := setupbin.Read(setup); err != nil {
		problems = []amt.Problem{{Code: usbkey.CodeContent, Text: err.Error()}}
	} else {
		problems, _ = f.Judge(v)
	}
	if len(problems) == 0 {
		return nil
	}
	printProblems(e.stderr, "amtmedic: problem", problems)
	if force {
		return nil
	}
	return &amt.Error{Op: "write USB key", Subject: plain(name), Err: errors.New("firmware would not take this setup.bin"),
		Hint: "nothing was written; setupbin show tells more, --force writes it all the same"}
}

// makeRoom makes an image file that does not exist, and asks before a key that holds something is
// cleared. It reports whether it made the file.
func (t keyTarget) makeRoom(e *env, k keyFlags, size int) (made bool, err error) {
	if t.device != nil {
		return false, t.agree(e, k, "everything on it will be lost")
	}
	if size == 0 {
		size = defaultImage
	}
	fi, err := os.Stat(t.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		made = true
	case err != nil:
		return false, keyError("write USB key", t.path, err)
	case fi.Mode().IsRegular() && fi.Size() == 0:
	default:
		m, n, err := usbkey.OpenImage(t.path, false)
		if err != nil {
			return false, keyError("write USB key", t.path, err)
		}
		blank, err := usbkey.Blank(m, n)
		if cerr := m.Close(); err == nil {
			err = cerr
		}
		if err != nil || blank {
			return false, err
		}
		return false, t.agree(e, k, "everything in it will be lost")
	}
	err = usbkey.MakeImage(t.path, int64(size)<<20)
	if err != nil {
		return made, keyError("make image file", t.path, err)
	}
	return made, nil
}
