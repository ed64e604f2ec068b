package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/mei"
	"amtmedic/amt/store"
)

// thisHost is what discover without a target tells of this computer: the row of the UUID map, and the
// state of its AMT. What could not be found out is empty.
type thisHost struct {
	UUID       string        `json:"uuid"`
	FQDN       string        `json:"fqdn"`
	Host       string        `json:"host"`
	AMTVersion string        `json:"amt_version"`
	Mode       string        `json:"mode"`
	State      string        `json:"state"`
	Problems   []amt.Problem `json:"problems"`
	Notes      []amt.Problem `json:"notes"`
}

// hostWorld is where discover looks at this computer.
type hostWorld struct {
	// look asks the Management Engine: it fills in UUID, version, mode and state as far as it can tell.
	look     func(ctx context.Context, h *thisHost) error
	hostname func() (string, error)
	resolver string // file with the search domain; empty: none
	smbios   string // file with the UUID of the mainboard; empty: none
}

// discoverThis looks at this computer.
func discoverThis(e *env, w hostWorld, asJSON, asCSV bool) (int, error) {
	ctx, cancel := context.WithTimeout(e.ctx, time.Minute)
	defer cancel()
	h := thisHost{Problems: []amt.Problem{}, Notes: []amt.Problem{}}
	err := w.look(ctx, &h)
	if e.ctx.Err() != nil {
		return exitInterrupt, &amt.Error{Op: "look at this computer", Err: errors.New("interrupted")}
	}
	if err != nil {
		h.Problems = append(h.Problems, amt.In("mei", "not-read", "%v", err))
	}
	w.identity(&h)
	h.Host = h.FQDN
	if werr := h.write(e, asJSON, asCSV); werr != nil {
		return exitFound, werr
	}
	if err != nil {
		var hint *amt.Error
		out := &amt.Error{Op: "ask the Management Engine", Err: err}
		if errors.As(err, &hint) {
			out.Hint = hint.Hint
		}
		return exitUndecided, out
	}
	return exitOK, nil
}

// identity fills in the name, and the UUID where the firmware did not tell it.
func (w hostWorld) identity(h *thisHost) {
	name, err := w.hostname()
	if err != nil {
		h.Notes = append(h.Notes, amt.In("fqdn", "no-name", "the name of this computer cannot be read: %v", err))
	}
	h.FQDN = strings.ToLower(strings.TrimSuffix(name, "."))
	if !strings.Contains(h.FQDN, ".") && h.FQDN != "" {
		if d := searchDomain(w.resolver); d != "" {
			h.FQDN += "." + d
		} else {
			h.Notes = append(h.Notes, amt.In("fqdn", "no-domain", "the name has no domain: complete it before the row is imported"))
		}
	}
	if h.UUID != "" || w.smbios == "" {
		return
	}
	b, err := os.ReadFile(w.smbios)
	if err != nil {
		return
	}
	if u, err := amt.ParseUUID(strings.TrimSpace(string(b))); err == nil {
		h.UUID = u.String()
		h.Notes = append(h.Notes, amt.In("uuid", "smbios", "the UUID is the mainboard's (SMBIOS), which AMT takes for its own"))
	}
}

// searchDomain gives the first search domain of a resolver's configuration; empty when there is none.
func searchDomain(name string) string {
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		words := strings.Fields(sc.Text())
		if len(words) > 1 && (words[0] == "search" || words[0] == "domain") {
			d := strings.ToLower(strings.Trim(words[1], "."))
			if store.HostName(d) == nil {
				return d
			}
		}
	}
	return ""
}

// write prints one JSON object, the UUID map's lines, or lines for a person.
func (h *thisHost) write(e *env, asJSON, asCSV bool) error {
	switch {
	case asJSON:
		return writeJSON(e.stdout, h)
	case asCSV:
		w := csv.NewWriter(e.stdout)
		_ = w.Write(strings.Split(store.MapHeader, ","))
		if h.UUID != "" && h.FQDN != "" {
			_ = w.Write([]string{h.UUID, h.FQDN, ""})
		}
		w.Flush()
		return w.Error()
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	for _, l := range [][2]string{{"name", h.FQDN}, {"UUID", h.UUID}, {"AMT version", h.AMTVersion}, {"mode", h.Mode}, {"state", h.State}} {
		if l[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", l[0], plain(l[1]))
		}
	}
	err := w.Flush()
	printProblems(e.stdout, "note", h.Notes)
	return err
}

// hostWorldOf is this computer with a way to its Management Engine.
func hostWorldOf(dial mei.Dialer) hostWorld {
	return hostWorld{hostname: os.Hostname, resolver: "/etc/resolv.conf", smbios: "/sys/class/dmi/id/product_uuid",
		look: func(ctx context.Context, h *thisHost) error { return lookAtME(ctx, dial, h) }}
}
