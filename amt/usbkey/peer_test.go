package usbkey

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"amtmedic/amt"
	"amtmedic/amt/keys"
	"amtmedic/amt/setupbin"
)

// need skips without a foreign program; in CI its absence is a failure.
func need(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is missing", p)
			}
			t.Skipf("%s is missing", p)
		}
	}
}

// sh runs a shell script in dir and gives what it printed. mtools is told not to judge geometries.
func sh(t testing.TB, dir, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "MTOOLS_SKIP_CHECK=1", "LC_ALL=C.UTF-8", "PATH="+os.Getenv("PATH")+":/sbin:/usr/sbin")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// setupBytes makes a sound setup.bin with n records.
func setupBytes(t testing.TB, n int) []byte {
	t.Helper()
	var records [][]setupbin.Variable
	for range n {
		records = append(records, setupbin.FromKeys(keys.Row{
			Pair:          keys.Pair{PID: "0000037M", PPS: amt.NewSecret("NKLDG5DCRRNQE9YZZIJL7LFLVJED69XJ")},
			AdminPassword: amt.NewSecret("P@ssw0rd"),
		}))
	}
	f, err := setupbin.Build(setupbin.V10, records, setupbin.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return f.Bytes()
}

// inspectFile inspects an image file.
func inspectFile(t testing.TB, path, version string) *Report {
	t.Helper()
	m, size, err := OpenImage(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var o Options
	if version != "" {
		if o.AMT, err = amt.ParseVersion(version); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Inspect(m, size, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// without gives codes but for some.
func without(codes []string, drop ...string) []string {
	out := []string{}
	for _, c := range codes {
		if !strings.Contains(strings.Join(drop, " ")+" ", c+" ") {
			out = append(out, c)
		}
	}
	return out
}

// TestForeignKeys inspects keys that mkfs.fat, mtools and sfdisk made.
func TestForeignKeys(t *testing.T) {
	need(t, "mkfs.fat", "mcopy", "sfdisk")
	const img = "truncate -s %s k.img; mkfs.fat %s k.img >/dev/null; "
	mk := func(size, flags, rest string) string { return fmt.Sprintf(img, size, flags) + rest }
	fill := "for i in 1 2 3 4 5 6; do head -c 4096 /dev/zero >f$i; mcopy -i k.img f$i ::F$i; done; "
	for _, c := range []struct {
		name, script  string
		fs            string
		first, whole  bool
		problems, at7 string // codes for AMT 2.x and for AMT 7
		notes         string
		label, other  string
	}{
		{name: "fat16", script: mk("64M", "-F 16", "mcopy -i k.img setup.bin ::SETUP.BIN"), fs: FAT16, first: true, whole: true},
		{name: "fat16, lower case by mtools", script: mk("64M", "-F 16", "mcopy -i k.img setup.bin ::"), fs: FAT16, first: true, whole: true},
		{name: "fat16, 2 GB", script: mk("2000M", "-F 16", "mcopy -i k.img setup.bin ::SETUP.BIN"), fs: FAT16, first: true, whole: true},
		{name: "fat32", script: mk("64M", "-F 32", "mcopy -i k.img setup.bin ::SETUP.BIN"), fs: FAT32, first: true, whole: true, problems: "not-fat16"},
		{name: "fat32, 4 GB", script: mk("4G", "-F 32", "mcopy -i k.img setup.bin ::SETUP.BIN"), fs: FAT32, first: true, whole: true, problems: "not-fat16 too-large"},
		{name: "fat32 with few clusters", script: mk("20M", "-F 32 -s 1", ""), fs: FAT32, problems: "not-fat16 setup-missing", at7: "setup-missing", notes: "fat-type"},
		{name: "fat12", script: mk("20M", "-F 12", "mcopy -i k.img setup.bin ::SETUP.BIN"), fs: FAT12, first: true, whole: true, problems: "not-fat16"},
		{name: "16 MiB", script: mk("16M", "-F 16", "mcopy -i k.img setup.bin ::SETUP.BIN"), fs: FAT16, first: true, whole: true, problems: "too-small", at7: "too-small"},
		{name: "sectors of 2048", script: mk("64M", "-F 16 -S 2048", "mcopy -i k.img setup.bin ::SETUP.BIN"), fs: FAT16, first: true, whole: true, notes: "sector-size"},
		{name: "label", script: mk("64M", "-F 16 -n 'AMT KEY'", "mcopy -i k.img setup.bin ::SETUP.BIN"), fs: FAT16, first: true, whole: true, problems: "slot-before", label: "AMT KEY"},
		{name: "long name", script: mk("64M", "-F 16", "mcopy -i k.img setup.bin ::SetUp.bin"), fs: FAT16, first: true, whole: true, problems: "slot-before"},
		{name: "directory before", script: mk("64M", "-F 16", "mmd -i k.img '::System Volume Information'; mcopy -i k.img setup.bin ::SETUP.BIN"), fs: FAT16, first: true, whole: true, problems: "slot-before"},
		{name: "deleted before", script: mk("64M", "-F 16", "mcopy -i k.img setup.bin ::AAA.BIN; mcopy -i k.img setup.bin ::SETUP.BIN; mdel -i k.img ::AAA.BIN"), fs: FAT16, first: true, whole: true, problems: "slot-before"},
		{name: "not first", script: mk("64M", "-F 16", "mcopy -i k.img setup.bin ::README.TXT; mcopy -i k.img setup.bin ::SETUP.BIN"), fs: FAT16, whole: true, problems: "setup-not-first", at7: "setup-not-first"},
		{name: "file behind", script: mk("64M", "-F 16", "mcopy -i k.img setup.bin ::SETUP.BIN; mcopy -i k.img setup.bin ::README.TXT"), fs: FAT16, first: true, whole: true, notes: "other-files"},
		{name: "misnamed", script: mk("64M", "-F 16", "mcopy -i k.img setup.bin '::setup (1).bin'"), fs: FAT16, whole: true, problems: "setup-misnamed", at7: "setup-misnamed"},
		{name: "any name", script: mk("64M", "-F 16", "mcopy -i k.img setup.bin ::KEYS.DAT"), fs: FAT16, whole: true, problems: "setup-misnamed", at7: "setup-misnamed"},
		{name: "in a folder", script: mk("64M", "-F 16", "mmd -i k.img ::AMT; mcopy -i k.img setup.bin ::AMT/SETUP.BIN"), fs: FAT16, problems: "setup-missing", at7: "setup-missing"},
		{name: "empty", script: mk("64M", "-F 16", ""), fs: FAT16, problems: "setup-missing", at7: "setup-missing"},
		{name: "hidden", script: mk("64M", "-F 16", "mcopy -i k.img setup.bin ::SETUP.BIN; mattrib -i k.img +h ::SETUP.BIN"), fs: FAT16, first: true, whole: true, problems: "setup-hidden", at7: "setup-hidden"},
		{name: "system", script: mk("64M", "-F 16", "mcopy -i k.img setup.bin ::SETUP.BIN; mattrib -i k.img +s ::SETUP.BIN"), fs: FAT16, first: true, whole: true, problems: "setup-system", at7: "setup-system"},
		{name: "read-only", script: mk("64M", "-F 16", "mcopy -i k.img setup.bin ::SETUP.BIN; mattrib -i k.img +r ::SETUP.BIN"), fs: FAT16, first: true, whole: true, notes: "setup-read-only"},
		{name: "fragmented", script: mk("64M", "-F 16", fill+"mdel -i k.img ::F1 ::F3 ::F5 ::F6; mcopy -i k.img long.bin ::SETUP.BIN"), fs: FAT16, first: true, problems: "setup-fragmented", at7: "setup-fragmented", notes: "other-files"},
		{name: "fragmented, fat32", script: mk("34M", "-F 32", fill+fullVolume+"mdel -i k.img ::F1 ::F3 ::F5 ::F6; mcopy -i k.img long.bin ::SETUP.BIN"), fs: FAT32, first: true, problems: "not-fat16 setup-fragmented", at7: "setup-fragmented", notes: "other-files"},
		{name: "fragmented, fat12", script: mk("17M", "-F 12", fill+"mdel -i k.img ::F1 ::F3 ::F5 ::F6; mcopy -i k.img long.bin ::SETUP.BIN"), fs: FAT12, first: true, problems: "not-fat16 setup-fragmented", at7: "setup-fragmented", notes: "other-files"},
		{name: "no setup.bin inside", script: mk("64M", "-F 16", "head -c 2048 /dev/zero >z; mcopy -i k.img z ::SETUP.BIN"), fs: FAT16, first: true, whole: true, problems: "file-type", at7: "file-type"},
		{name: "shorter than a header", script: mk("64M", "-F 16", "head -c 100 setup.bin >z; mcopy -i k.img z ::SETUP.BIN"), fs: FAT16, first: true, whole: true, problems: "setup-unreadable", at7: "setup-unreadable"},
		{name: "zero bytes", script: mk("64M", "-F 16", ": >z; mcopy -i k.img z ::SETUP.BIN"), fs: FAT16, first: true, problems: "setup-unreadable", at7: "setup-unreadable"},
		{name: "partition", script: part("start=2048, type=6") + mk("30M", "-F 16", place), fs: FAT16, first: true, whole: true},
		{name: "active partition", script: part("start=2048, type=6, bootable") + mk("30M", "-F 16", place), fs: FAT16, first: true, whole: true, problems: "active", at7: "active"},
		{name: "two partitions", script: part("start=2048, size=61440, type=6\nstart=63488, type=6") + mk("30M", "-F 16", place), fs: FAT16, first: true, whole: true, problems: "partitions", at7: "partitions"},
		{name: "partition larger than the key", script: part("start=2048, type=6") + mk("30M", "-F 16", place+"truncate -s 20M k.img"), fs: FAT16, first: true, whole: true, problems: "volume-cut", at7: "volume-cut"},
		{name: "fake partition of mkfs.fat", script: mk("64M", "-F 16 --mbr=y", "mcopy -i k.img setup.bin ::SETUP.BIN"), fs: FAT16, first: true, whole: true, problems: "active", at7: "active"},
		{name: "GUID partition table", script: "truncate -s 64M k.img; printf 'label: gpt\nstart=2048\n' | sfdisk -q k.img >/dev/null 2>&1", fs: NoneFS, problems: "no-fat", at7: "no-fat"},
		{name: "second partition alone is FAT", script: part("start=2048, size=2048, type=83\nstart=4096, type=6") + mk("30M", "-F 16", strings.Replace(place, "seek=1 ", "seek=2 ", 1)), fs: FAT16, first: true, whole: true, problems: "partitions", at7: "partitions"},
		{name: "long names", script: mk("64M", "-F 16", "mcopy -i k.img setup.bin ::SETUP.BIN; mcopy -i k.img setup.bin '::a long näme with more than thirteen letters.text'"), fs: FAT16, first: true, whole: true, notes: "other-files", other: "a long näme with more than thirteen letters.text"},
		{name: "large root of FAT32", script: mk("64M", "-F 32", "touch z; for i in 1 2 3 4 5 6 7 8; do for j in 1 2 3 4 5; do mcopy -i k.img z ::$i$j; done; done; mcopy -i k.img setup.bin ::SETUP.BIN"), fs: FAT32, whole: true, problems: "not-fat16 setup-not-first", at7: "setup-not-first"},
		{name: "nothing", script: "truncate -s 20M k.img", fs: NoneFS, problems: "no-fat", at7: "no-fat"},
		{name: "partition table alone", script: part("start=2048, type=6") + "cp d.img k.img", fs: NoneFS, problems: "no-fat", at7: "no-fat"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "setup.bin", setupBytes(t, 2))
			write(t, dir, "long.bin", setupBytes(t, 30))
			sh(t, dir, c.script)
			r := inspectFile(t, filepath.Join(dir, "k.img"), "")
			if r.Filesystem != c.fs || r.SetupFirst != c.first || r.Contiguous != c.whole || r.Label != c.label {
				t.Errorf("%s, first %t, contiguous %t, label %q", r.Filesystem, r.SetupFirst, r.Contiguous, r.Label)
			}
			if c.other != "" && !slices.ContainsFunc(r.Entries, func(s Slot) bool { return s.Long == c.other }) {
				t.Errorf("%q is not among %v", c.other, r.Entries)
			}
			if got := strings.Join(amt.Codes(r.Problems), " "); got != c.problems {
				t.Errorf("problems %q, want %q: %v", got, c.problems, r.Problems)
			}
			if got := strings.Join(without(amt.Codes(r.Notes), "used", "pid-twice"), " "); got != c.notes {
				t.Errorf("notes %q, want %q: %v", got, c.notes, r.Notes)
			}
			if got := strings.Join(amt.Codes(inspectFile(t, filepath.Join(dir, "k.img"), "7.0").Problems), " "); got != c.at7 {
				t.Errorf("for AMT 7: problems %q, want %q", got, c.at7)
			}
		})
	}
}

// fullVolume fills k.img: mtools takes free clusters behind the last ones first, and goes back to the
// gaps when there are none.
const fullVolume = "head -c $(mdir -i k.img :: | sed -n 's/ bytes free//p' | tr -d ' ') /dev/zero >big; mcopy -i k.img big ::BIG; "

// part makes d.img, a disk of 64 MiB with a partition table; place puts k.img into its first
// partition.
func part(table string) string {
	return "truncate -s 64M d.img; printf '" + strings.ReplaceAll(table, "\n", "\\n") + "\\n' | sfdisk -q d.img >/dev/null 2>&1; "
}

const place = "mcopy -i k.img setup.bin ::SETUP.BIN; dd if=k.img of=d.img bs=1M seek=1 conv=notrunc,sparse status=none; mv d.img k.img; "

func write(t testing.TB, dir, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestReadLikeMtools: what we read of a fragmented file is what mtools reads.
func TestReadLikeMtools(t *testing.T) {
	need(t, "mkfs.fat", "mcopy")
	for _, flags := range []string{"15M -F 12 -s 8", "36M -F 16", "36M -F 32 -s 1"} {
		room, flags, _ := strings.Cut(flags, " ")
		dir := t.TempDir()
		want := setupBytes(t, 20)
		write(t, dir, "long.bin", want)
		sh(t, dir, "truncate -s "+room+" k.img; mkfs.fat "+flags+" k.img >/dev/null; for i in 1 2 3 4 5 6 7 8 9; do head -c 3000 /dev/zero >f; mcopy -i k.img f ::F$i; done; "+
			fullVolume+"mdel -i k.img ::F2 ::F4 ::F6 ::F8; mcopy -i k.img long.bin ::SETUP.BIN; mtype -i k.img ::SETUP.BIN >out.bin")
		m, size, err := OpenImage(filepath.Join(dir, "k.img"), false)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		d, err := open(m, size)
		if err != nil || len(d.volumes) != 1 {
			t.Fatal(err)
		}
		files, err := d.volumes[0].files()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if f.slot.raw != setupName {
				continue
			}
			c, err := f.v.chainOf(f.slot.Cluster, f.slot.Size)
			if err != nil || c.contiguous() || c.fault != "" {
				t.Errorf("%s: %+v %v", flags, c, err)
			}
			b, err := f.v.read(c.extents, f.slot.Size)
			if err != nil || !bytes.Equal(b, want) {
				t.Errorf("%s: read other bytes, %v", flags, err)
			}
		}
	}
}
