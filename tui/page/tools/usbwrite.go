package tools

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/setupbin"
	"amtmedic/amt/usbkey"
)

// writeLimit is how long writing a key may take: old ones write 1 MB/s.
const writeLimit = time.Hour

// target is what will be written to.
type target struct {
	path   string
	device *usbkey.Device // nil for an image file
	fresh  bool           // the image file is made
	blank  bool           // nothing is on it
}

// target looks at a path, and refuses a device that must not be written to.
func (p *Page) target(path string) (target, error) {
	t := target{path: path}
	var err error
	if t.device, err = p.world.USB.Look(path); err != nil {
		return t, err
	}
	if t.device != nil {
		return t, t.device.Refusal()
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && info.Mode().IsRegular() && info.Size() == 0:
		t.fresh, t.blank = true, true
		return t, nil
	case err != nil:
		return t, err
	}
	m, size, err := usbkey.OpenImage(path, false)
	if err != nil {
		return t, err
	}
	t.blank, err = usbkey.Blank(m, size)
	return t, errors.Join(err, m.Close())
}

// word is what has to be typed before it is written to: the exact name of a device.
func (t target) word() string {
	if t.device != nil {
		return t.device.Name
	}
	return yes
}

// rows say what is written to.
func (t target) rows() []askRow {
	switch {
	case t.device != nil:
		return []askRow{{"device", fmt.Sprintf("%s (%s, %s)", t.path, t.device.Words, mib(t.device.Bytes))}}
	case t.fresh:
		return []askRow{{"image file", t.path + " is made, " + mib(usbkey.DefaultImage)}}
	}
	return []askRow{{"image file", t.path}}
}

func (t target) loses() string {
	if t.blank {
		return "nothing: there is nothing on it"
	}
	return "everything that is on it now"
}

// pulled is what a preview says about an interruption.
const pulled = "the key has no file system while it is written, so that no client takes a half-written one; esc stops it in that state"

func (p *Page) askPrepare() *ask {
	const title = "Prepare a USB key"
	return p.question(title, "setup.bin", "setup.bin, under whatever name", []askRow{{"first", "the file that goes onto the key; it is judged before a key is cleared for it"}},
		func(_ context.Context, typed string, _ *meter) reply {
			path := p.path(typed)
			setup, err := readFile("read setup.bin", path, usbkey.MaxSetup)
			if err != nil {
				return reply{err: err}
			}
			f, err := setupbin.Read(setup)
			if err != nil {
				return reply{err: &amt.Error{Op: "read setup.bin", Subject: path, Err: err, Hint: "copy the file again from where it was made"}}
			}
			if problems, _ := f.Judge(p.usb.amt); len(problems) > 0 {
				return reply{err: &amt.Error{Op: "prepare USB key", Subject: path, Err: fmt.Errorf("firmware would not take this setup.bin: %s", problemText(problems[0])),
					Hint: "nothing was written; the page setup.bin tells more, and amtmedic usbkey prepare --force writes it all the same"}}
			}
			about := fmt.Sprintf("%s: version %s, %s, %d free", path, f.Version, several(len(f.Records), "record"), f.Free())
			return reply{next: p.askKey(title, []askRow{{"setup.bin", about}}, func(_ context.Context, key string, _ *meter) reply {
				t, err := p.target(key)
				if err != nil {
					return reply{err: keyError("prepare USB key", key, err)}
				}
				return reply{next: p.askFAT(title, about, t, setup)}
			})}
		})
}

// askFAT asks for the file system: FAT16, unless another one is typed.
func (p *Page) askFAT(title, about string, t target, setup []byte) *ask {
	rows := []askRow{{"FAT16", "every AMT reads it; enter alone takes it"}, {"FAT32", "AMT 4 and later; 2.x and 3.x are not known to read it"}}
	return p.question(title, "file system", "16 or 32; enter alone: 16", rows, func(_ context.Context, typed string, _ *meter) reply {
		switch strings.TrimPrefix(strings.ToLower(strings.TrimSpace(typed)), "fat") {
		case "", "16":
			return reply{next: p.confirmPrepare(title, about, t, setup, false)}
		case "32":
			return reply{next: p.confirmPrepare(title, about, t, setup, true)}
		}
		return reply{err: errors.New("type 16 or 32")}
	})
}

func (p *Page) confirmPrepare(title, about string, t target, setup []byte, wide bool) *ask {
	fat := map[bool]string{false: "FAT16", true: "FAT32"}[wide]
	var warning []askRow
	if wide && !p.usb.amt.AtLeast(4, 0) {
		warning = []askRow{{"warning", "AMT 2.x and 3.x are only known to read FAT16: this key is for AMT 4 and later"}}
	}
	rows := append(append(t.rows(), warning...),
		askRow{"becomes", "one " + fat + " volume of at most " + mib(usbkey.Advised) + " without a partition table, setup.bin first and alone on it"},
		askRow{"setup.bin", about},
		askRow{"loses", t.loses()},
		askRow{"meanwhile", pulled},
		askRow{"undo", "none"})
	a := p.confirm(title, t.word(), rows, func(ctx context.Context, _ string, m *meter) reply {
		if t.fresh {
			if err := usbkey.MakeImage(t.path, usbkey.DefaultImage); err != nil {
				return reply{err: keyError("make image file", t.path, err)}
			}
		}
		err := p.world.USB.Write(ctx, t.path, setup, p.world.Random, usbkey.Format{FAT32: wide, Most: usbkey.Advised, At: p.world.Now(), Progress: m.set})
		if err != nil && t.fresh { // half an image serves nobody
			_ = os.Remove(t.path)
		}
		if err != nil {
			return reply{err: keyError("write USB key", t.path, err)}
		}
		return p.written(t.path, "the key is prepared")
	})
	a.wipes, a.limit = true, writeLimit
	return a
}

func (p *Page) askRepair() *ask {
	const title = "Repair a USB key"
	return p.askKey(title, []askRow{{"first", "looks for the setup.bin on it and says what would be done; nothing is written before that"}},
		func(_ context.Context, path string, _ *meter) reply {
			before, size, err := p.look(path)
			if err != nil {
				return reply{err: err}
			}
			if len(before.Problems) == 0 {
				return reply{out: keyLines(path, before, "There is nothing to repair; nothing was written."), of: filepath.Base(path)}
			}
			t, err := p.target(path)
			if err != nil {
				return reply{err: keyError("repair USB key", path, err)}
			}
			found, err := p.rescue(path, "")
			if err == nil {
				err = found.Refusal(before, size)
			}
			if err != nil {
				return reply{err: &amt.Error{Op: "repair USB key", Subject: path, Err: err, Hint: "nothing was written; Prepare makes a new key of a setup.bin"}}
			}
			if len(found.Others) == 0 {
				return reply{next: p.confirmRepair(title, t, before, found, "")}
			}
			rows := []askRow{{"on the key", several(len(found.Others), "other file") + ", which a repair removes: " + few(found.Others)},
				{"folder", "copies of them go there, readable by you alone; enter alone drops them"}}
			return reply{next: p.question(title, "folder for copies", "enter alone: no copies", rows, func(_ context.Context, typed string, _ *meter) reply {
				return reply{next: p.confirmRepair(title, t, before, found, p.path(typed))}
			})}
		})
}

// few names the first of many.
func few(names []string) string {
	const most = 8
	if len(names) > most {
		return strings.Join(names[:most], ", ") + " and " + several(len(names)-most, "more")
	}
	return strings.Join(names, ", ")
}

// rescue finds the setup.bin of a key, and saves the other files where a folder is named.
func (p *Page) rescue(path, save string) (*usbkey.Rescue, error) {
	m, size, err := p.world.USB.Open(path, false)
	if err != nil {
		return nil, err
	}
	found, err := usbkey.Find(m, size)
	if err == nil && save != "" {
		err = found.Save(save)
	}
	return found, errors.Join(err, m.Close())
}

func (p *Page) confirmRepair(title string, t target, before *usbkey.Report, found *usbkey.Rescue, save string) *ask {
	rows := t.rows()
	for i, x := range before.Problems {
		label := "is wrong"
		if i > 0 {
			label = ""
		}
		rows = append(rows, askRow{label, problemText(x)})
	}
	rows = append(rows, askRow{"keeps", fmt.Sprintf("%s, %s bytes", found.Path, thousands(len(found.Setup)))})
	for _, s := range found.Remarks {
		rows = append(rows, askRow{"", s})
	}
	for _, x := range found.Problems {
		rows = append(rows, askRow{"stays wrong", problemText(x)})
	}
	switch {
	case len(found.Others) == 0:
	case save == "":
		rows = append(rows, askRow{"loses", few(found.Others)})
	default:
		rows = append(rows, askRow{"saves", few(found.Others) + " to " + save})
	}
	if found.Partitions > 0 {
		rows = append(rows, askRow{"drops", "the partition table"})
	}
	rows = append(rows, askRow{"becomes", "one FAT16 volume, setup.bin first and alone on it"}, askRow{"meanwhile", pulled + "; a copy of setup.bin is kept in " + p.world.Folder + " until the key was read back"}, askRow{"undo", "none"})
	a := p.confirm(title, t.word(), rows, func(ctx context.Context, _ string, m *meter) reply { return p.repair(ctx, t, found, save, m) })
	a.wipes, a.limit = true, writeLimit
	return a
}

// repair does it. The setup.bin is safe on disk before the key loses its file system.
func (p *Page) repair(ctx context.Context, t target, found *usbkey.Rescue, save string, m *meter) reply {
	fail := func(err error, hint string) reply {
		return reply{err: &amt.Error{Op: "repair USB key", Subject: t.path, Err: err, Hint: hint}}
	}
	m.set(0, 0, "saving what is on the key")
	now, err := p.rescue(t.path, save)
	if err == nil && !bytes.Equal(now.Setup, found.Setup) {
		err = errors.New("another key is there than the one that was looked at")
	}
	if err != nil {
		return fail(err, "nothing was written")
	}
	kept, err := usbkey.KeepCopy(p.world.Folder, found.Setup)
	if err != nil {
		return fail(err, "nothing was written")
	}
	if err := p.world.USB.Write(ctx, t.path, found.Setup, p.world.Random, usbkey.Format{At: p.world.Now(), Progress: m.set}); err != nil {
		return fail(err, "the setup.bin of the key is safe in "+kept)
	}
	if err := os.Remove(kept); err != nil {
		return fail(err, "the key is repaired; remove "+kept+", it holds secrets")
	}
	return p.written(t.path, "the key is repaired")
}
