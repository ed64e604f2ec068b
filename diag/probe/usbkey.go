package probe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/usbkey"
	"amtmedic/diag"
)

// USBKey gives the probe that reads a key: an image file or a device, by its path. firmware is the
// version of the client, zero while unknown: the record is then judged for the oldest that reads it.
func USBKey(sys usbkey.System, path string, firmware amt.Version) Probe {
	return Probe{
		ID: "usb-key", Check: "chk-usb", What: "read the USB key " + path, Cost: Read, Limit: 20 * time.Second,
		Gives: []string{"usb.fs", "usb.setup_first", "usb.contiguous", "usb.name_ok", "usb.only_file", "usb.file_version", "usb.records_total",
			"usb.records_free", "usb.size_mib", "usb.bootable", "usb.problems"},
		Run: func(ctx context.Context, r Report) error {
			type answer struct {
				report *usbkey.Report
				err    error
			}
			done := make(chan answer, 1) // a device that does not answer cannot be interrupted, only left behind
			go func() {
				report, err := readKey(sys, path, firmware)
				done <- answer{report, err}
			}()
			select {
			case <-ctx.Done():
				return ctx.Err()
			case a := <-done:
				if a.err != nil {
					return a.err
				}
				for _, f := range keyFacts(a.report, path) {
					r.Fact(f)
				}
				r.Saw(keyLine(a.report))
				return nil
			}
		},
	}
}

func readKey(sys usbkey.System, path string, firmware amt.Version) (*usbkey.Report, error) {
	m, size, err := sys.Open(path, false)
	if err != nil {
		return nil, &amt.Error{Op: "read USB key", Subject: path, Err: err, Hint: "amtmedic usbkey inspect reads it as root, or an image of it"}
	}
	defer func() { _ = m.Close() }()
	return usbkey.Inspect(m, size, usbkey.Options{AMT: firmware})
}

// keyLine says in one line what was found.
func keyLine(r *usbkey.Report) string {
	if len(r.Problems) == 0 {
		return fmt.Sprintf("USB key: %s, sound, %d of %d records free", r.Filesystem, r.Setup.RecordsFree, r.Setup.RecordsTotal)
	}
	return fmt.Sprintf("USB key: %s, %s", r.Filesystem, strings.Join(amt.Codes(r.Problems), ", "))
}

// Codes of problems that a fact of their own tells.
var toldElsewhere = []string{usbkey.CodeNoFAT, usbkey.CodeNotFAT16, usbkey.CodeTooSmall, usbkey.CodeTooLarge, usbkey.CodeActive, usbkey.CodeMissing,
	usbkey.CodeMisnamed, usbkey.CodeNotFirst, usbkey.CodeFragmented, usbkey.CodeChain, "file-version"}

// keyFacts turns a report into facts. What was not found is not told: without a file system nothing
// is known of files, without SETUP.BIN nothing of its place and content.
func keyFacts(r *usbkey.Report, path string) []diag.Fact {
	var out []diag.Fact
	add := func(key string, v any, evidence string) {
		out = append(out, diag.Fact{Key: key, Value: v, Evidence: diag.Evidence{path + ": " + evidence}})
	}
	system := strings.ToLower(r.Filesystem)
	if r.Filesystem == usbkey.NoneFS && r.Other != "" {
		system = r.Other
	}
	add("usb.fs", system, "boot sector")
	add("usb.bootable", r.Active(), "partition table")
	if r.Filesystem == usbkey.NoneFS {
		return out
	}
	add("usb.size_mib", float64((r.VolumeBytes+1<<20-1)>>20), "boot sector") // rounded up: 16 means 16 MiB or less
	add("usb.name_ok", r.NameOK, "root directory")
	if !r.NameOK {
		return out
	}
	add("usb.setup_first", r.SetupFirst, "root directory")
	add("usb.only_file", r.OnlyFile, "root directory")
	add("usb.contiguous", r.Contiguous, "file allocation table")
	if !r.ContentSeen {
		return out
	}
	if s := r.Setup; s != nil && !slices.Contains(r.ContentBad, "file-type") {
		add("usb.file_version", s.Version, "SETUP.BIN")
		add("usb.records_total", float64(s.RecordsTotal), "SETUP.BIN")
		add("usb.records_free", float64(s.RecordsFree), "SETUP.BIN")
	}
	bad := []any{}
	for _, p := range r.Problems {
		if !slices.Contains(toldElsewhere, p.Code) && !slices.Contains(bad, any(p.Code)) {
			bad = append(bad, p.Code)
		}
	}
	// The two flags that a generator is known to leave out are the chunk counts (MeshCommander 110).
	for _, p := range r.Problems {
		if p.Code == "header-chunks" || p.Code == "record-chunks" {
			bad = append(bad, "flags-missing")
			break
		}
	}
	add("usb.problems", bad, "SETUP.BIN")
	return out
}
