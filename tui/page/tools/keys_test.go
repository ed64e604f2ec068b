package tools

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"amtmedic/amt"
	"amtmedic/amt/keys"
	"amtmedic/amt/setupbin"
)

// Published pair (MEBx guides).
const (
	goodPID = "0000037M"
	goodPPS = "NKLD-G5DC-RRNQ-E9YZ-ZIJL-7LFL-VJED-69XJ"
)

func TestMakePairs(t *testing.T) {
	d := drive(t, "pairs", nil)
	path := filepath.Join(d.dir, "new", "keys.csv")
	d.choose("Make new pairs").keys("type:0", "enter").want("type a number from 1").keys("ctrl+u", "type:7", "enter").want("▸ file:").fits()
	d.keys("type:"+path, "enter").want("7 pairs", "mode 0600", "Type yes to do it").fits()
	d.keys("type:no", "enter").want("nothing is done yet")
	if _, err := os.Stat(path); err == nil {
		t.Fatal("the file was written before the word")
	}
	d.keys("ctrl+u", "type:yes", "enter").want("✓ 7 pairs written", "[secret]", "unused")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	rows, problems, err := keys.Read(raw)
	if err != nil || len(rows) != 7 || len(problems) > 0 {
		t.Fatalf("%d rows, %v, %v", len(rows), problems, err)
	}
	for _, r := range rows {
		d.want(r.PID.Dashed())
		d.lacks(r.PPS.Reveal(), r.Dashed(), r.AdminPassword.Reveal())
	}
	d.keys("y")
	d.choose("Make new pairs").keys("type:7", "enter", "type:"+path, "enter").want("it exists already", "another name").keys("esc")
	d.choose("Look into a key file").keys("type:"+path, "enter").want("✓ 7 pairs, all sound", rows[0].PID.Dashed()).fits()
	d.lacks(rows[0].PPS.Reveal(), rows[0].Dashed())
	d.keys("esc").want("PID and PPS are the pair").lacks(rows[0].PID.Dashed())
}

func TestCheckPair(t *testing.T) {
	for _, c := range []struct{ name, pid, pps, want string }{
		{"sound", goodPID, goodPPS, "✓ the pair is sound"},
		{"PID alone", goodPID, "", "✓ the PID is sound"},
		{"PID check", "0000-0370", "", "! the PID is wrong"},
		{"PPS group", goodPID, "NKLD-G5DC-RRNQ-E9YZ-ZIJL-7LFM-VJED-69XJ", "group 6"},
		{"PPS length", goodPID, "NKLD-G5DC", "the pair is wrong"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			d := drive(t, "pairs", nil)
			d.choose("Check a pair").keys("type:"+c.pid, "enter").want("▸ PPS:")
			d.keys("type:" + c.pps)
			if c.pps != "" {
				d.want("••••").lacks(c.pps)
			}
			d.fits().keys("enter").want(c.want).fits()
			if c.pps != "" {
				d.lacks(c.pps, keys.Bare(c.pps))
			}
		})
	}
	d := drive(t, "pairs", nil)
	d.choose("Check a pair").keys("type:"+goodPPS, "enter").want("as long as a PPS").keys("esc")
}

// written is a setup.bin with one pair.
func written(t *testing.T, v setupbin.Version) []byte {
	t.Helper()
	row := keys.Row{Pair: keys.Pair{PID: goodPID, PPS: amt.NewSecret(keys.Bare(goodPPS))}, CurrentPassword: amt.NewSecret("admin"), AdminPassword: amt.NewSecret("Tr0ub4dor-3x!")}
	f, err := setupbin.Build(v, [][]setupbin.Variable{setupbin.FromKeys(row)}, setupbin.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return f.Bytes()
}

func TestSetupBin(t *testing.T) {
	d := drive(t, "setupbin", nil)
	d.choose("Open a setup.bin").keys("type:"+filepath.Join(d.dir, "nothing.bin"), "enter").want("no such file", "check the path").keys("esc")
	good := string(written(t, setupbin.V21))
	path := d.file("any name.bin", good)
	d.choose("Open a setup.bin").keys("type:"+path, "enter").want("✓ sound", "version       2.1", "record 1 at byte 512: free", "PID", goodPID, "[secret]").fits()
	d.keys("end").lacks(keys.Bare(goodPPS), "Tr0ub4dor")
	d.choose("Open a setup.bin").keys("type:"+d.file("cut.bin", good[:600]), "enter").want("! unfit: firmware would refuse it")
	d.choose("Open a setup.bin").keys("type:"+d.file("tiny.bin", "x"), "enter").want("copy the file again").keys("esc")
	d.choose("Open it for one AMT").keys("type:nonsense", "enter").want("! ").keys("ctrl+u", "type:2.1", "enter", "type:"+d.file("new.bin", string(written(t, setupbin.V30))), "enter").want("! unfit", "needs AMT")
}

// Files that other programs made are explained, and nothing secret of them is shown.
func TestForeignSetupBin(t *testing.T) {
	dir := os.Getenv("AMTMEDIC_FOREIGN_DATA")
	if dir == "" {
		t.Skip("AMTMEDIC_FOREIGN_DATA is not set")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "setupbin", "*.bin"))
	if len(files) == 0 {
		t.Fatal("no setup.bin in AMTMEDIC_FOREIGN_DATA")
	}
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := setupbin.Read(raw)
		if err != nil {
			t.Fatal(err)
		}
		d := drive(t, "setupbin", nil)
		d.p.SetSize(200, 200)
		d.choose("Open a setup.bin").keys("type:"+path, "enter").want("version       "+f.Version.String(), "record 1 at byte")
		for _, r := range f.Records {
			for _, v := range r.Variables {
				if v.Secret() && len(v.Value.Reveal()) > 4 {
					d.lacks(v.Value.Reveal())
				}
			}
		}
	}
}
