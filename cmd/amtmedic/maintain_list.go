package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"text/tabwriter"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// waiting are the flags of maintain that look at what waits.
type waiting struct{ list, cancel, all, asJSON bool }

// waitingLine is the JSON form of maintenance that waits or is under way, one a line.
type waitingLine struct {
	UUID     amt.UUID   `json:"uuid"`
	FQDN     string     `json:"fqdn"`
	Kind     string     `json:"kind"`
	State    string     `json:"state"` // queued, in-progress, delayed
	Attempts int        `json:"attempts"`
	Since    time.Time  `json:"since"`
	Due      *time.Time `json:"due"` // of a delayed one
	Reason   string     `json:"reason"`
}

func newWaitingLine(m store.MaintenanceRow) waitingLine {
	line := waitingLine{UUID: m.UUID, FQDN: m.FQDN, Kind: string(m.Kind), State: "queued", Attempts: m.Attempts, Since: m.Since, Reason: m.Reason}
	switch {
	case m.Worker != "":
		line.State = "in-progress"
	case !m.Due.IsZero():
		line.State, line.Due = "delayed", &m.Due
	}
	return line
}

// cancelLine is the JSON form of what became of a client's maintenance, one a line.
type cancelLine struct {
	UUID      amt.UUID `json:"uuid"`
	Kind      string   `json:"kind"`
	Cancelled bool     `json:"cancelled"`
	Reason    string   `json:"reason"` // why it was not cancelled
}

func waitingMaintenance(e *env, fs *flag.FlagSet, db dbFlags, w waiting, words []string) (int, error) {
	switch {
	case w.list && (w.cancel || w.all || len(words) > 0):
		return exitUsage, misuse(fs, "--list stands alone")
	case w.cancel && w.all == (len(words) > 0):
		return exitUsage, misuse(fs, "name the clients by their UUID, or all of them with --all")
	}
	uuids, err := parseUUIDs(fs, words)
	if err != nil {
		return exitUsage, err
	}
	st, err := db.open(e)
	if err != nil {
		return stopped(e, err)
	}
	defer func() { _ = st.Close() }()
	if w.list {
		return listMaintenance(e, st, w.asJSON)
	}
	if w.all {
		if err := eachMaintenance(e, st, func(m store.MaintenanceRow) error { uuids = append(uuids, m.UUID); return nil }); err != nil {
			return exitFound, err
		}
	}
	return cancelMaintenance(e, st, uuids, w.asJSON)
}

// eachMaintenance goes through all pages.
func eachMaintenance(e *env, st *store.Store, fn func(store.MaintenanceRow) error) error {
	for after := ""; ; {
		rows, next, err := st.ListMaintenance(e.ctx, store.ListOptions{After: after, Limit: 1000})
		if err != nil {
			return err
		}
		for _, m := range rows {
			if err := fn(m); err != nil {
				return err
			}
		}
		if after = next; next == "" {
			return nil
		}
	}
}

func listMaintenance(e *env, st *store.Store, asJSON bool) (int, error) {
	w, out := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0), json.NewEncoder(e.stdout)
	n := 0
	err := eachMaintenance(e, st, func(m store.MaintenanceRow) error {
		line := newWaitingLine(m)
		if n++; asJSON {
			return out.Encode(line)
		}
		if n == 1 {
			fmt.Fprintln(w, "UUID\tFQDN\tKIND\tSTATE\tATTEMPTS\tSINCE\tREASON")
		}
		_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", line.UUID, dash(plain(line.FQDN)), line.Kind, line.State, line.Attempts, line.Since.Format(time.RFC3339), dash(plain(line.Reason)))
		return err
	})
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return exitFound, err
	}
	if n == 0 && !asJSON {
		fmt.Fprintln(e.stderr, "amtmedic: no maintenance waits or is under way")
	}
	return exitOK, nil
}

func cancelMaintenance(e *env, st *store.Store, uuids []amt.UUID, asJSON bool) (int, error) {
	out, code := json.NewEncoder(e.stdout), exitOK
	for _, u := range uuids {
		line := cancelLine{UUID: u}
		m, err := st.CancelMaintenance(e.ctx, u, "asked for at the command line")
		switch {
		case err == nil:
			line.Kind, line.Cancelled = string(m), true
		case errors.Is(err, store.ErrNoMaintenance), errors.Is(err, store.ErrBusy):
			line.Reason, code = rootWords(err), exitFound
		default:
			return exitFound, err
		}
		if asJSON {
			err = out.Encode(line)
		} else if line.Cancelled {
			_, err = fmt.Fprintf(e.stdout, "%s  cancelled: %s\n", u, line.Kind)
		} else {
			_, err = fmt.Fprintf(e.stdout, "%s  not cancelled: %s\n", u, line.Reason)
		}
		if err != nil {
			return exitFound, err
		}
	}
	return code, nil
}
