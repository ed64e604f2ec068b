package tools

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/secretfile"
	"amtmedic/amt/store"
	"amtmedic/diag"
)

// hereLimit is how long looking at this computer may take.
const hereLimit = time.Minute

// hostTool is what the page of this computer knows.
type hostTool struct{ here *Here }

func (p *Page) hostTab() *tab {
	return &tab{word: "thispc", title: "This PC",
		intro: "Asks the Management Engine of this computer for version, UUID and state, and looks whether its ports answer from here, through LMS or a tunnel. It reads only. Where there is no Management Engine it says so. What needs the password of AMT: amtmedic local status.",
		acts: func() []act {
			acts := []act{{name: "Look at this computer", about: "its Management Engine, and its row of the UUID map", run: func() *ask {
				return p.work("Look at this computer", hereLimit, func(ctx context.Context, _ string, m *meter) reply { return p.lookHere(ctx, m) })
			}}}
			if h := p.host.here; h != nil && h.UUID != "" && h.FQDN != "" {
				acts = append(acts,
					act{name: "Save its row of the UUID map …", about: "as a CSV file, to be imported at the core", do: p.askSaveRow},
					act{name: "Import its row into the UUID map", about: "of the provisioning core, after a preview", run: func() *ask {
						return p.work("Import the row of this computer", readLimit, func(ctx context.Context, _ string, _ *meter) reply {
							u, err := amt.ParseUUID(h.UUID)
							if err == nil {
								err = store.HostName(h.FQDN)
							}
							if err != nil {
								return reply{err: err}
							}
							return p.previewNames(ctx, "this computer", []store.MapRow{{UUID: u, FQDN: h.FQDN, Source: "import"}}, nil)
						})
					}})
			}
			return acts
		}}
}

// lookHere asks this computer. What was found out before an error is shown with it.
func (p *Page) lookHere(ctx context.Context, m *meter) reply {
	if p.world.Here == nil {
		return reply{err: &amt.Error{Op: "look at this computer", Err: errors.New("it cannot be done here"), Hint: "amtmedic local status does it at the command line"}}
	}
	m.set(0, 0, "asking the Management Engine")
	h, err := p.world.Here(ctx)
	if ctx.Err() != nil {
		return reply{err: ctx.Err()}
	}
	var out []line
	switch {
	case err != nil:
		out = append(out, lit(diag.Unknown, "the Management Engine tells nothing: "+err.Error()))
	case len(h.Problems) > 0:
		out = append(out, lit(diag.Unknown, "not everything could be read"))
	default:
		out = append(out, lit(diag.Good, "this computer has a Management Engine, and it answers"))
	}
	if h.Hint != "" {
		out = append(out, fieldLine("what to do", h.Hint))
	}
	for _, f := range h.Fields {
		if f[1] != "" {
			out = append(out, fieldLine(f[0], f[1]))
		}
	}
	out = append(out, judged(h.Problems, h.Notes)...)
	return reply{out: out, of: h.FQDN, apply: func() { p.host.here = &h }}
}

func (p *Page) askSaveRow() *ask {
	const title = "Save the row of this computer"
	h := p.host.here
	body := store.MapHeader + "\n" + h.UUID + "," + h.FQDN + ",\n"
	return p.question(title, "file", "this-pc.csv", []askRow{{"UUID", h.UUID}, {"FQDN", h.FQDN}}, func(_ context.Context, typed string, _ *meter) reply {
		path := p.path(typed)
		if path == "" {
			return reply{err: errors.New("type the name of the new file")}
		}
		if err := secretfile.Check(path); err != nil {
			return reply{err: &amt.Error{Op: "save row", Subject: path, Err: err, Hint: "type another name"}}
		}
		return reply{next: p.confirm(title, yes, []askRow{{"file", path}, {"holds", store.MapHeader}, {"", h.UUID + "," + h.FQDN + ","}, {"undo", "remove the file"}},
			func(_ context.Context, _ string, _ *meter) reply {
				if err := secretfile.Write(path, false, func(w io.Writer) error { _, err := io.WriteString(w, body); return err }); err != nil {
					return reply{err: &amt.Error{Op: "save row", Subject: path, Err: err, Hint: "nothing was written"}}
				}
				return reply{out: []line{lit(diag.Good, "written to "+path)}, of: filepath.Base(path)}
			})}
	})
}
