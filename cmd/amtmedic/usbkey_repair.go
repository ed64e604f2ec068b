package main

import (
	"fmt"
	"os"

	"amtmedic/amt"
	"amtmedic/amt/usbkey"
	"amtmedic/diag/journal"
)

func runUSBKeyRepair(e *env, args []string) (int, error) {
	fs := flags("usbkey repair PATH [--save DIR] [--yes] [--device NAME] [--amt-version V] [--json]")
	k := addKeyFlags(fs)
	save := fs.String("save", "", "`folder` for copies of the other files on the key; only you can read them")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) != 1 {
		return exitUsage, misuse(fs, "usbkey repair takes one image file or device")
	}
	v, err := optionalVersion(*k.firmware)
	if err != nil {
		return exitUsage, misuse(fs, "--amt-version: %v", err)
	}
	before, err := inspectKey(words[0], v)
	if err != nil {
		return unreadable(err), err
	}
	if len(before.Problems) == 0 {
		fmt.Fprintln(e.stderr, "amtmedic: there is nothing to repair; nothing was written")
		return keyResult(e, before, *k.asJSON)
	}
	t, err := target(words[0])
	if err != nil {
		return exitFound, err
	}
	return t.repair(e, k, v, before, *save)
}

// repair shows what is on the key, saves it, and rebuilds the key.
func (t keyTarget) repair(e *env, k keyFlags, v amt.Version, before *usbkey.Report, save string) (int, error) {
	fail := func(err error, hint string) (int, error) {
		return unfinished(e), &amt.Error{Op: "repair USB key", Subject: plain(t.path), Err: err, Hint: hint}
	}
	const untouched = "nothing was written"
	m, size, err := usbSystem.Open(t.path, false)
	if err != nil {
		return exitFound, keyError("repair USB key", t.path, err)
	}
	rescue, err := usbkey.Find(m, size)
	if err == nil {
		err = rescue.Refusal(before, size)
	}
	if err == nil {
		t.announce(e, before, rescue, save)
		loses := fmt.Sprintf("it will be formatted, and %s on it will be lost", count(len(rescue.Others), "other file"))
		if err := t.agree(e, k, loses); err != nil {
			_ = m.Close()
			return unfinished(e), err
		}
	}
	if err == nil && save != "" {
		err = rescue.Save(save)
	}
	if cerr := m.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fail(err, untouched+"; usbkey prepare makes a new key of a setup.bin")
	}
	copied, err := keepCopy(rescue.Setup)
	if err != nil {
		return fail(err, untouched)
	}
	fmt.Fprintf(e.stderr, "amtmedic: %s holds the setup.bin until the key was read back\n", plain(copied))
	after, err := t.writeKey(e, rescue.Setup, usbkey.Format{}, v)
	if err != nil {
		fmt.Fprintf(e.stderr, "amtmedic: the setup.bin of the key is safe in %s\n", plain(copied))
		return unfinished(e), err
	}
	if err := os.Remove(copied); err != nil {
		return fail(err, "the key is repaired; remove "+plain(copied)+", it holds secrets")
	}
	return keyResult(e, after, *k.asJSON)
}

// announce says what was found and what will be done.
func (t keyTarget) announce(e *env, before *usbkey.Report, r *usbkey.Rescue, save string) {
	printProblems(e.stderr, "amtmedic: problem", cleanReport(before).Problems)
	fmt.Fprintf(e.stderr, "amtmedic: %s is kept, %d bytes\n", plain(r.Path), len(r.Setup))
	for _, s := range r.Remarks {
		fmt.Fprintf(e.stderr, "amtmedic: %s\n", plain(s))
	}
	printProblems(e.stderr, "amtmedic: stays wrong", r.Problems)
	for i, o := range r.Others {
		if i == 20 {
			fmt.Fprintf(e.stderr, "amtmedic: and %d more files\n", len(r.Others)-i)
			break
		}
		what := "is dropped"
		if save != "" {
			what = "goes to " + plain(save)
		}
		fmt.Fprintf(e.stderr, "amtmedic: %s %s\n", plain(o), what)
	}
	if r.Partitions > 0 {
		fmt.Fprintln(e.stderr, "amtmedic: the partition table is dropped")
	}
}

// keepCopy writes the setup.bin beside the cases, where it stays until the key was read back.
func keepCopy(setup []byte) (string, error) {
	dir, err := journal.Dir()
	if err != nil {
		return "", err
	}
	return usbkey.KeepCopy(dir, setup)
}
