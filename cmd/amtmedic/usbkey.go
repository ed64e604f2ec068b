package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/usbkey"
)

// usbSystem is where devices are looked up; tests put another in its place.
var usbSystem = usbkey.ThisSystem()

func runUSBKey(e *env, args []string) (int, error) {
	return subcommand(e, "usbkey", []command{
		{"inspect", "say whether firmware will take a key, and why not", runUSBKeyInspect},
		{"prepare", "format an image file or a removable device, and write setup.bin to it", runUSBKeyPrepare},
		{"repair", "rebuild a key around the setup.bin that is on it", runUSBKeyRepair},
	}, args)
}

func runUSBKeyInspect(e *env, args []string) (int, error) {
	fs := flags("usbkey inspect PATH [--amt-version V] [--json]")
	firmware := fs.String("amt-version", "", "AMT `version` of the client; without it the oldest, 2.x")
	asJSON := fs.Bool("json", false, "print one JSON object")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) != 1 {
		return exitUsage, misuse(fs, "usbkey inspect takes one image file or device")
	}
	v, err := optionalVersion(*firmware)
	if err != nil {
		return exitUsage, misuse(fs, "--amt-version: %v", err)
	}
	r, err := inspectKey(words[0], v)
	if err != nil {
		return unreadable(err), err
	}
	code := exitOK
	if len(r.Problems) > 0 {
		code = exitFound
	}
	if *asJSON {
		return code, writeJSON(e.stdout, cleanReport(r))
	}
	var b bytes.Buffer
	printReport(&b, r)
	_, err = b.WriteTo(e.stdout)
	return code, err
}

// inspectKey reads an image file or device.
func inspectKey(path string, v amt.Version) (*usbkey.Report, error) {
	m, size, err := usbSystem.Open(path, false)
	if err != nil {
		return nil, keyError("read USB key", path, err)
	}
	defer func() { _ = m.Close() }()
	r, err := usbkey.Inspect(m, size, usbkey.Options{AMT: v})
	if err != nil {
		return nil, keyError("read USB key", path, err)
	}
	return r, nil
}

// unreadable gives the exit code of a key that could not be read: for want of a privilege, or at all.
func unreadable(err error) int {
	if errors.Is(err, fs.ErrPermission) {
		return exitUndecided
	}
	return exitUsage
}

// keyError names the key in an error that does not do so itself.
func keyError(op, path string, err error) error {
	if known, ok := err.(*amt.Error); ok {
		return known
	}
	return &amt.Error{Op: op, Subject: plain(path), Err: err}
}

// cleanReport takes control characters out of the names that came from the key.
func cleanReport(r *usbkey.Report) *usbkey.Report {
	c := *r
	c.Label = plain(c.Label)
	c.Entries = append([]usbkey.Slot{}, c.Entries...)
	for i := range c.Entries {
		c.Entries[i].Name, c.Entries[i].Long = plain(c.Entries[i].Name), plain(c.Entries[i].Long)
	}
	for _, list := range []*[]amt.Problem{&c.Problems, &c.Notes} {
		*list = append([]amt.Problem{}, *list...)
		for i := range *list {
			(*list)[i].Text = plain((*list)[i].Text)
		}
	}
	return &c
}

// printReport writes a report in words and closes with the verdict.
func printReport(w io.Writer, r *usbkey.Report) {
	r = cleanReport(r)
	if r.Filesystem == usbkey.NoneFS {
		fmt.Fprintln(w, "no FAT file system")
	} else {
		fmt.Fprintf(w, "%s, %.1f MiB, sectors of %d bytes, %d clusters of %d bytes", r.Filesystem, float64(r.VolumeBytes)/(1<<20), r.SectorBytes, r.Clusters, r.Cluster)
		if r.Label != "" {
			fmt.Fprintf(w, ", label %q", r.Label)
		}
		fmt.Fprintln(w)
	}
	for _, p := range r.Partitions {
		active := ""
		if p.Active {
			active = ", active"
		}
		fmt.Fprintf(w, "partition %d: type %s, %.1f MiB at byte %d%s\n", p.Number, p.Type, float64(p.Bytes)/(1<<20), p.Offset, active)
	}
	for _, s := range r.Entries {
		name := s.Name
		if s.Long != "" && !strings.EqualFold(s.Long, s.Name) {
			name += " (" + s.Long + ")"
		}
		size := ""
		if s.Kind == usbkey.KindFile {
			size = fmt.Sprintf("%d bytes", s.Size)
		}
		fmt.Fprintf(w, "  slot %-3d %-10s %-4s %s %s\n", s.Slot, s.Kind, s.Attributes, name, size)
	}
	if s := r.Setup; s != nil {
		fmt.Fprintf(w, "setup.bin, version %s: %s, %d of them free\n", s.Version, count(int(s.RecordsTotal), "record"), s.RecordsFree)
	}
	printProblems(w, "problem", r.Problems)
	printProblems(w, "note", r.Notes)
	if len(r.Problems) == 0 {
		fmt.Fprintln(w, "sound: firmware should take this key")
	} else {
		fmt.Fprintf(w, "unfit: %s\n", count(len(r.Problems), "problem"))
	}
}
