package tools

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/amt"
	"amtmedic/amt/usbkey"
	"amtmedic/diag"
	"amtmedic/tui/theme"
)

// usbTool is what the page of the USB key remembers.
type usbTool struct {
	devices []*usbkey.Device
	listed  bool
	last    string      // the path that was looked at
	amt     amt.Version // of the client that keys are judged for; zero: the oldest
}

// listed brings the removable devices.
type listed struct{ devices []*usbkey.Device }

func (p *Page) listDevices() tea.Cmd {
	return func() tea.Msg { return Msg{p, listed{p.world.USB.Devices()}} }
}

func (p *Page) usbTab() *tab {
	return &tab{word: "usbkey", title: "USB key",
		intro: "Firmware reads setup.bin from a USB key only when the key is one that a BIOS of 2006 understands: FAT16, not too large, setup.bin first in the root, in one piece. Whatever it minds, it says nothing. Only removable devices that nothing uses are written to; an image file always works.",
		acts:  p.usbActs}
}

func (p *Page) usbActs() []act {
	acts := []act{
		{name: "Look at a key or image …", about: "whether firmware will take it, and why not", do: p.askInspect},
		{name: "Prepare a key or image …", about: "format it and write setup.bin to it", do: p.askPrepare},
		{name: "Repair a key or image …", about: "rebuild it around the setup.bin that is on it", do: p.askRepair},
	}
	judged := "the oldest, 2.x: keys are judged for it"
	if !p.usb.amt.IsZero() {
		judged = p.usb.amt.String() + ": keys are judged for it"
	}
	acts = append(acts, act{name: "AMT version of the client …", about: judged, do: p.askClientAMT})
	for _, d := range p.usb.devices {
		about := strings.TrimSpace(d.Words+", "+mib(d.Bytes)) + ": enter looks at it"
		if err := d.Refusal(); err != nil {
			about += "; not to be written to, " + reason(err)
		}
		acts = append(acts, act{name: d.Path, about: strings.TrimPrefix(about, ", "), run: func() *ask {
			return p.work("Look at "+d.Path, readLimit, func(_ context.Context, _ string, m *meter) reply { return p.inspect(d.Path, m) })
		}})
	}
	return acts
}

func (p *Page) askClientAMT() *ask {
	return p.question("Judge keys for the AMT version of one client", "AMT version", "3.2.1; enter alone: the oldest, 2.x", []askRow{{"why", "from AMT 4 on firmware also takes FAT32, larger keys, and newer formats of setup.bin"}},
		func(_ context.Context, typed string, _ *meter) reply {
			v := amt.Version{}
			if typed = strings.TrimSpace(typed); typed != "" {
				var err error
				if v, err = amt.ParseVersion(typed); err != nil {
					return reply{err: err}
				}
			}
			return reply{apply: func() { p.usb.amt = v }}
		})
}

// reason gives the cause of an error without operation and subject.
func reason(err error) string {
	var known *amt.Error
	if errors.As(err, &known) && known.Err != nil {
		return known.Err.Error()
	}
	return err.Error()
}

// askKey asks for a key. The one that was looked at last stands there already.
func (p *Page) askKey(title string, rows []askRow, run func(ctx context.Context, path string, m *meter) reply) *ask {
	a := p.question(title, "image file or device", "key.img, or /dev/sdb", rows, func(ctx context.Context, typed string, m *meter) reply {
		path := p.path(typed)
		if path == "" {
			return reply{err: errors.New("type the path of an image file, or the name of a device")}
		}
		return run(ctx, path, m)
	})
	a.in.Set(p.usb.last)
	return a
}

func (p *Page) askInspect() *ask {
	return p.askKey("Look at a USB key", []askRow{{"reads", "the key; nothing is written"}}, func(_ context.Context, path string, m *meter) reply { return p.inspect(path, m) })
}

// look reads a key and judges it.
func (p *Page) look(path string) (r *usbkey.Report, size int64, err error) {
	m, size, err := p.world.USB.Open(path, false)
	if err == nil {
		r, err = usbkey.Inspect(m, size, usbkey.Options{AMT: p.usb.amt})
		err = errors.Join(err, m.Close())
	}
	if err != nil {
		return nil, 0, keyError("read USB key", path, err)
	}
	return r, size, nil
}

// keyError names the key in an error that does not do so itself.
func keyError(op, path string, err error) error {
	var known *amt.Error
	if errors.As(err, &known) {
		return err
	}
	return &amt.Error{Op: op, Subject: path, Err: errors.New(strings.TrimPrefix(err.Error(), "open "+path+": ")), Hint: "check the path"}
}

func (p *Page) inspect(path string, m *meter) reply {
	m.set(0, 0, "reading "+path)
	r, _, err := p.look(path)
	if err != nil {
		return reply{err: err}
	}
	next := ""
	if len(r.Problems) > 0 {
		next = "Repair rebuilds the key around its setup.bin; Prepare makes a new key of a setup.bin."
	}
	return reply{out: keyLines(path, r, next), of: filepath.Base(path), apply: func() { p.usb.last = path }}
}

// keyLines explains a report.
func keyLines(path string, r *usbkey.Report, next string) []line {
	out := []line{verdict(r.Problems, "sound: firmware should take this key", "unfit: firmware would not take it"), fieldLine("key", path)}
	out = append(out, judged(r.Problems, r.Notes)...)
	if next != "" {
		out = append(out, fieldLine("what to do", next))
	}
	if r.Filesystem == usbkey.NoneFS {
		return append(out, fieldLine("file system", "none of the FAT family"))
	}
	fs := fmt.Sprintf("%s, %s, sectors of %d bytes, %s clusters of %s bytes", r.Filesystem, mib(r.VolumeBytes), r.SectorBytes, thousands(int(r.Clusters)), thousands(r.Cluster))
	if r.Label != "" {
		fs += ", label " + r.Label
	}
	out = append(out, fieldLine("file system", fs))
	for _, x := range r.Partitions {
		active := ""
		if x.Active {
			active = ", active"
		}
		out = append(out, fieldLine("partition", fmt.Sprintf("%d: type %s, %s%s", x.Number, x.Type, mib(x.Bytes), active)))
	}
	if s := r.Setup; s != nil {
		out = append(out, fieldLine("setup.bin", fmt.Sprintf("version %s, %s, %d of them free", s.Version, several(int(s.RecordsTotal), "record"), s.RecordsFree)))
	}
	if len(r.Entries) > 0 {
		out = append(out, line{}, rowLine(theme.Muted, fmt.Sprintf("%-5s %-10s %-5s %10s  %s", "slot", "kind", "attr", "bytes", "name")))
	}
	for _, s := range r.Entries {
		name := s.Name
		if s.Long != "" && !strings.EqualFold(s.Long, s.Name) {
			name += " (" + s.Long + ")"
		}
		out = append(out, rowLine(theme.Plain, fmt.Sprintf("%-5d %-10s %-5s %10s  %s", s.Slot, s.Kind, s.Attributes, thousands(int(s.Size)), name)))
	}
	return out
}

// written is the result after a key was written: it is read and judged once more.
func (p *Page) written(path, done string) reply {
	r, _, err := p.look(path)
	if err != nil {
		return reply{err: err}
	}
	out := append([]line{lit(diag.Good, done+"; read back and compared")}, keyLines(path, r, "")...)
	return reply{out: out, of: filepath.Base(path), apply: func() { p.usb.last = path }}
}
