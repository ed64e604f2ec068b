package probe

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/keys"
	"amtmedic/amt/setupbin"
	"amtmedic/amt/usbkey"
	"amtmedic/diag"
	"amtmedic/diag/check"
)

// keyImage makes a key as an image file; change may break it. used records come first.
func keyImage(t *testing.T, v setupbin.Version, used int, f usbkey.Format, change func(b []byte)) string {
	t.Helper()
	row := keys.Row{Pair: keys.Pair{PID: "0000037M", PPS: amt.NewSecret("NKLDG5DCRRNQE9YZZIJL7LFLVJED69XJ")}, AdminPassword: amt.NewSecret("P@ssw0rd")}
	s, err := setupbin.Build(v, [][]setupbin.Variable{setupbin.FromKeys(row), setupbin.FromKeys(row)}, setupbin.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range used {
		s.Records[i].Flags &^= setupbin.FlagValid
		s.Consumed++
	}
	path := filepath.Join(t.TempDir(), "key.img")
	m, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	const size = 40 << 20
	if err := m.Truncate(size); err != nil {
		t.Fatal(err)
	}
	f.At = time.Unix(0, 0)
	if err := usbkey.Prepare(context.Background(), m, size, s.Bytes(), f); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		change(b)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// TestUSBKeyLeadsToVerdicts: what the probe reads of a key that did not work decides which fault it
// is.
func TestUSBKeyLeadsToVerdicts(t *testing.T) {
	root := func(b []byte) int { return strings.Index(string(b), "SETUP   BIN") }
	for _, c := range []struct {
		name, firmware string
		version        setupbin.Version
		used           int
		format         usbkey.Format
		change         func(b []byte)
		want           string
	}{
		{name: "fat32 for 2.2", firmware: "2.2", version: setupbin.V10, format: usbkey.Format{FAT32: true}, want: "rc-usb-key-layout"},
		{name: "other name", firmware: "2.2", version: setupbin.V10, change: func(b []byte) { copy(b[root(b):], "SETUP1  BIN") }, want: "rc-usb-key-layout"},
		{name: "no file system", firmware: "2.2", version: setupbin.V10, change: func(b []byte) { clear(b[:512]) }, want: "rc-usb-key-layout"},
		{name: "all used", firmware: "2.2", version: setupbin.V10, used: 2, want: "rc-usb-records-exhausted"},
		{name: "format 2.0 for 2.2", firmware: "2.2", version: setupbin.V20, want: "rc-usb-version-mismatch"},
		{name: "flags left out", firmware: "7.0", version: setupbin.V30, change: func(b []byte) {
			at := strings.Index(string(b), "\xa7\xf7\xf6\xc6\x89\xc4\xf6\x47")
			b[at+16], b[at+36] = 0, 0
		}, want: "rc-usb-version-mismatch"},
		{name: "sound", firmware: "2.2", version: setupbin.V10, want: "rc-not-in-setup-factory"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			path := keyImage(t, c.version, c.used, c.format, c.change)
			v, err := amt.ParseVersion(c.firmware)
			if err != nil {
				t.Fatal(err)
			}
			p := USBKey(usbkey.ThisSystem(), path, v)
			r, err := run(t, p)
			if err != nil {
				t.Fatal(err)
			}
			facts := []diag.Fact{}
			for k, v := range map[string]any{"client.prov_state": "pre", "client.enabled": true, "client.amt_version": c.firmware, "client.mebx_password": "factory",
				"client.usb_tried": true, "case.method": "psk", "case.expects_setup": true} {
				facts = append(facts, diag.Fact{Key: k, Value: v})
			}
			for _, f := range r.facts {
				if !slices.Contains(p.Gives, f.Key) {
					t.Errorf("%s is not announced", f.Key)
				}
			}
			facts = append(facts, r.facts...)
			for i := range facts {
				if facts[i], err = diag.Make(facts[i]); err != nil {
					t.Fatal(err)
				}
			}
			if j := check.Judge(facts, time.Now()); j.Verdict != c.want {
				t.Errorf("verdict %q (%s), want %s; saw %q", j.Verdict, j.Confidence, c.want, r.saw)
			}
		})
	}
	if _, err := run(t, USBKey(usbkey.ThisSystem(), filepath.Join(t.TempDir(), "none"), amt.Version{})); err == nil {
		t.Error("a key that is not there was read")
	}
}
