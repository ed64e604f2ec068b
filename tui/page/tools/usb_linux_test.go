package tools

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/amt/setupbin"
	"amtmedic/amt/usbkey"
)

// fakeDevices makes the folders that tell about devices: sda is fixed, sdb a free removable key, sdc one
// that is mounted.
func fakeDevices(t *testing.T) *usbkey.System {
	t.Helper()
	root := t.TempDir()
	put := func(content string, parts ...string) {
		name := filepath.Join(append([]string{root}, parts...)...)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, d := range map[string][2]string{"sda": {"0", "8:0"}, "sdb": {"1", "8:16"}, "sdc": {"1", "8:32"}} {
		put(d[0], "sys", "block", name, "removable")
		put("0", "sys", "block", name, "ro")
		put(d[1], "sys", "block", name, "dev")
		put("131072", "sys", "block", name, "size")
		put("Maker", "sys", "block", name, "device", "vendor")
		put("Flash Disk", "sys", "block", name, "device", "model")
		put("", "dev", name)
		if err := os.Truncate(filepath.Join(root, "dev", name), 64<<20); err != nil {
			t.Fatal(err)
		}
	}
	put("21 1 8:32 / /media/KEY rw - vfat /dev/sdc rw\n", "proc", "self", "mountinfo")
	put("Filename Type\n", "proc", "swaps")
	return &usbkey.System{Dev: filepath.Join(root, "dev"), Sys: filepath.Join(root, "sys"), Proc: filepath.Join(root, "proc")}
}

// A device is prepared only by its exact name; a fixed or mounted one never.
func TestPrepareDevice(t *testing.T) {
	s := fakeDevices(t)
	d := drive(t, "usbkey", &World{USB: s}).fits()
	d.p.SetSize(200, 46)
	d.want("sdb", "sdc", "Maker Flash Disk, 64.0 MiB", "in use: mounted").lacks("sda")
	setup := d.file("whatever.bin", string(written(t, setupbin.V21)))
	sdb := filepath.Join(s.Dev, "sdb")
	d.choose(sdb).want("! unfit", "file system   none")
	d.p.SetSize(200, 46) // room for the whole preview
	for _, c := range [][2]string{{"sda", "it is not removable"}, {"sdc", "unmount it first"}, {"nothing", "lsblk lists"}} {
		d.choose("Prepare").keys("type:"+setup, "enter", "ctrl+u", "type:"+filepath.Join(s.Dev, c[0]), "enter").want(c[1]).keys("esc")
	}
	d.choose("Prepare").keys("type:"+setup, "enter").want("▸ image file or device: " + sdb).keys("enter").want("▸ file system:").keys("enter")
	d.want("Maker Flash Disk", "everything that is on it now", "Type sdb to do it:")
	d.keys("type:yes", "enter").want("nothing is done yet: type sdb").keys("ctrl+u", "type:sdb", "enter")
	d.want("✓ the key is prepared", "✓ sound: firmware should take this key", "SETUP.BIN", "version 2.1").fits()
	if r, _, err := d.p.look(sdb); err != nil || len(r.Problems) > 0 {
		t.Errorf("the key: %v, %v", r, err)
	}
	d.choose("Repair").keys("enter").want("There is nothing to repair")
	d.choose("AMT version").keys("type:x", "enter").want("! ").keys("ctrl+u", "type:3.2.1", "enter").want("3.2.1: keys are judged for it")
	d.choose(sdb).want("! unfit", "needs AMT 4.0")
}

// A key that mkfs.fat and mtools made, with another file first, is named, repaired, and its file saved.
func TestRepairImage(t *testing.T) {
	d := drive(t, "usbkey", nil)
	d.p.SetSize(120, 46)
	img := filepath.Join(d.dir, "key.img")
	setup := d.file("setup.bin", string(written(t, setupbin.V21)))
	other := d.file("other.txt", "keep me")
	for _, args := range [][]string{{"mkfs.fat", "-F", "16", "-C", img, "65536"}, {"mcopy", "-i", img, other, "::OTHER.TXT"}, {"mcopy", "-i", img, setup, "::SETUP.BIN"}} {
		if _, err := exec.LookPath(args[0]); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is missing", args[0])
			}
			t.Skipf("%s is missing", args[0])
		}
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v %s", args, err, out)
		}
	}
	d.choose("Look at").keys("type:"+img, "enter").want("! unfit", "OTHER.TXT stands before it", "what to do", "FAT16, 64.0 MiB").fits()
	d.p.SetSize(120, 46)
	saved := filepath.Join(d.dir, "saved")
	d.choose("Repair").keys("enter").want("1 other file", "OTHER.TXT").keys("type:"+saved, "enter")
	d.want("is wrong", "keeps", "OTHER.TXT to "+saved, "Type yes to do it").fits()
	d.p.SetSize(120, 46)
	d.keys("type:yes", "enter").want("✓ the key is repaired", "✓ sound: firmware should take this key").lacks("OTHER.TXT")
	if b, err := os.ReadFile(filepath.Join(saved, "OTHER.TXT")); err != nil || string(b) != "keep me" {
		t.Errorf("saved %q, %v", b, err)
	}
	if left, _ := os.ReadDir(d.p.world.Folder); len(left) != 0 {
		t.Errorf("the copy with secrets is left: %v", left)
	}
}

// An image that is interrupted half way is no key any more, and the setup.bin of a repair is safe.
func TestInterrupted(t *testing.T) {
	rows := [][]setupbin.Variable{}
	f, err := setupbin.Read(written(t, setupbin.V21))
	if err != nil {
		t.Fatal(err)
	}
	for range 40_000 { // 20 MB, so that writing takes a moment
		rows = append(rows, f.Records[0].Variables)
	}
	big, err := setupbin.Build(setupbin.V21, rows, setupbin.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := drive(t, "usbkey", nil)
	img := filepath.Join(d.dir, "key.img")
	if err := usbkey.MakeImage(img, 128<<20); err != nil {
		t.Fatal(err)
	}
	tg, err := d.p.target(img)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		a := d.p.confirmPrepare("Prepare a USB key", "", tg, big.Bytes(), false)
		d.p.ask = a
		d.p.View()
		cmd := a.start(yes)
		came := make(chan any, 1)
		go func() { came <- cmd() }()
		for done := int64(0); done == 0 && len(came) == 0; {
			done, _, _, _ = a.meter.look()
		}
		if !d.p.Typing() {
			t.Error("letters are commands while a key is written")
		}
		d.keys("esc").want("left without a file system")
		d.run(func() tea.Msg { return <-came })
		if a.over {
			d.want("not done: stopped", "prepare it again")
			if r, _, err := d.p.look(img); err != nil || r.Filesystem != usbkey.NoneFS {
				t.Errorf("the key: %+v, %v", r, err)
			}
			return
		}
	}
	t.Error("esc never came in time")
}

// What firmware would refuse is not written, and the key stays as it is.
func TestPrepareRefuses(t *testing.T) {
	d := drive(t, "usbkey", nil)
	d.p.SetSize(120, 30)
	bad := d.file("bad.bin", strings.Repeat("x", 1024))
	d.choose("Prepare").keys("type:"+bad, "enter").want("firmware would not take this setup.bin", "nothing was written").keys("esc")
	good := d.file("good.bin", string(written(t, setupbin.V21)))
	img := filepath.Join(d.dir, "new.img")
	d.choose("Prepare").keys("type:"+good, "enter", "type:"+img, "enter", "enter").want("is made, 64.0 MiB", "one FAT16 volume").lacks("warning").keys("esc")
	if _, err := os.Stat(img); err == nil {
		t.Error("the preview made the image")
	}
	d.choose("Prepare").keys("type:"+good, "enter", "type:"+img, "enter", "type:12", "enter").want("type 16 or 32").keys("ctrl+u", "type:FAT32", "enter")
	d.want("one FAT32 volume", "only known to read FAT16").keys("type:yes", "enter").want("✓ the key is prepared", "FAT32, ")
	d.choose("Prepare").keys("type:"+good, "enter", "enter", "type:16", "enter", "type:yes", "enter").want("✓ the key is prepared", "FAT16, ")
	d.choose("Prepare").keys("type:"+good, "enter", "enter", "enter").want("everything that is on it now").keys("esc")
	d.choose("Look at").keys("ctrl+u", "type:"+d.dir, "enter").want("it is a folder").keys("esc")
}
