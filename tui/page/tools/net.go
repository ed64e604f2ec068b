package tools

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/discover"
	"amtmedic/amt/secretfile"
	"amtmedic/diag"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// scanLimit is how long a scan may take.
const scanLimit = 12 * time.Hour

// netTool is what the page of discovery found last.
type netTool struct {
	hosts   []*discover.Host // in the order in which they were asked for
	targets string
}

func (p *Page) netTab() *tab {
	return &tab{word: "discover", title: "Discovery",
		intro: "Finds AMT on the network without a log-in: by the header of its ports 16992 and 16993, and by the presence ping on UDP 623. It tells the AMT version and whether the client is provisioned. The UUID is not told to strangers; names for the UUID map come from a list of your site, or from the page This PC on each client.",
		acts: func() []act {
			acts := []act{{name: "Look through the network …", about: fmt.Sprintf("names, addresses, ranges, blocks; at most %d a second", p.world.Discover.Rate), do: p.askScan}}
			if len(p.net.hosts) > 0 {
				acts = append(acts, act{name: "Save what was found …", about: several(len(p.net.hosts), "host") + " as a CSV file", do: p.askSaveHosts})
			}
			return append(acts, act{name: "Import names into the UUID map …", about: "of the provisioning core, from a CSV file", do: p.askMapFile})
		}}
}

func (p *Page) askScan() *ask {
	a := p.question("Look for AMT on the network", "targets", "10.1.0.0/24 10.2.0.1-10.2.0.99 pc-0412", []askRow{
		{"asks", "TCP 16992 and 16993, UDP 623; nothing is logged in to"},
		{"at most", fmt.Sprintf("%d connections and pings a second, %s for each answer", p.world.Discover.Rate, p.world.Discover.Timeout)},
		{"mind", "a scan is seen by those who watch the network; esc stops it"},
	}, func(ctx context.Context, typed string, m *meter) reply {
		targets, err := discover.ParseTargets(strings.FieldsFunc(typed, func(r rune) bool { return r == ' ' || r == ',' || r == ';' }))
		if err != nil {
			return reply{err: err}
		}
		return p.scan(ctx, strings.TrimSpace(typed), targets, m)
	})
	a.limit = scanLimit
	a.in.Set(p.net.targets)
	return a
}

// scan asks all hosts. What was found before esc is kept.
func (p *Page) scan(ctx context.Context, typed string, targets *discover.Targets, m *meter) reply {
	found := map[int]*discover.Host{}
	reached, mark, noName := false, 0, error(nil)
	o := p.world.Discover
	o.Done = func(e discover.Event) {
		reached, mark = reached || e.Reached, e.Mark
		if e.Err != nil {
			noName = e.Err
		}
		if e.Host != nil {
			found[e.Index] = e.Host
			m.add(rowLine(theme.Plain, hostRow(e.Host)))
		}
		m.set(int64(e.Mark), int64(targets.Len()), fmt.Sprintf("%s of %s asked, %d with AMT", thousands(e.Mark), several(targets.Len(), "host"), len(found)))
	}
	m.set(0, int64(targets.Len()), "asking "+several(targets.Len(), "host"))
	err := discover.Run(ctx, targets, o)
	var order []int
	for i := range found {
		order = append(order, i)
	}
	slices.Sort(order)
	hosts := make([]*discover.Host, len(order))
	for i, n := range order {
		hosts[i] = found[n]
	}
	out := []line{lit(diag.Good, fmt.Sprintf("%s asked, %d with AMT", several(targets.Len(), "host"), len(hosts)))}
	switch {
	case err != nil && mark == 0 && len(hosts) == 0:
		return reply{err: err}
	case err != nil:
		out[0] = lit(diag.Unknown, fmt.Sprintf("stopped: %s of %s asked, %d with AMT so far", thousands(mark), several(targets.Len(), "host"), len(hosts)))
	case !reached && noName != nil:
		return reply{err: &amt.Error{Op: "look for AMT", Err: noName, Hint: "check the name, and the name server of this machine"}}
	case !reached:
		out[0] = lit(diag.Unknown, "no host could be reached: is there a route, and does a firewall between let TCP 16992, 16993 and UDP 623 through?")
	}
	if len(hosts) > 0 {
		out = append(out, line{}, rowLine(theme.Muted, hostHead()))
	}
	for _, h := range hosts {
		out = append(out, rowLine(theme.Plain, hostRow(h)))
	}
	return reply{out: out, of: typed, apply: func() { p.net.hosts, p.net.targets = hosts, typed }}
}

func hostHead() string {
	return fmt.Sprintf("%-24s %-8s %-8s %-15s %-12s %-5s %-4s %s", "host", "AMT", "state", "address", "ports", "ping", "TLS", "server")
}

// hostRow gives a host as a row of the table.
func hostRow(h *discover.Host) string {
	dash := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	ping := "no"
	if h.Ping {
		ping = "yes"
	}
	return fmt.Sprintf("%s %s %s %s %s %-5s %s %s", text.Fit(text.Clean(h.Host), 24), text.Fit(dash(h.AMTVersion), 8), text.Fit(h.State, 8), text.Fit(h.Address, 15),
		text.Fit(dash(h.PortWords()), 12), ping, text.Fit(dash(h.TLS), 4), text.Clean(h.Server))
}

func (p *Page) askSaveHosts() *ask {
	const title = "Save what was found"
	hosts := p.net.hosts
	return p.question(title, "file", "amt-hosts.csv", []askRow{{"hosts", thousands(len(hosts))}, {"columns", strings.Join(discover.CSVHeader(), ",")}}, func(_ context.Context, typed string, _ *meter) reply {
		path := p.path(typed)
		if path == "" {
			return reply{err: errors.New("type the name of the new file")}
		}
		if err := secretfile.Check(path); err != nil {
			return reply{err: &amt.Error{Op: "save hosts", Subject: path, Err: err, Hint: "type another name"}}
		}
		if abs, err := filepath.Abs(path); err == nil {
			path = abs
		}
		return reply{next: p.confirm(title, yes, []askRow{{"file", path}, {"holds", several(len(hosts), "host") + " of " + p.net.targets}, {"readable by", "you alone (mode 0600); nothing that exists is replaced"}, {"undo", "remove the file"}},
			func(_ context.Context, _ string, _ *meter) reply {
				var b bytes.Buffer
				w := csv.NewWriter(&b)
				_ = w.Write(discover.CSVHeader())
				for _, h := range hosts {
					fields := h.CSVRow()
					for i := range fields {
						fields[i] = text.Clean(fields[i])
					}
					_ = w.Write(fields)
				}
				w.Flush()
				err := secretfile.Write(path, false, func(f io.Writer) error { _, err := b.WriteTo(f); return err })
				if err != nil {
					return reply{err: &amt.Error{Op: "save hosts", Subject: path, Err: err, Hint: "nothing was written"}}
				}
				return reply{out: []line{lit(diag.Good, several(len(hosts), "host")+" written to "+path)}, of: filepath.Base(path)}
			})}
	})
}
