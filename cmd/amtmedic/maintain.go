package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// maintainLine is the JSON form of what became of one client, one a line.
type maintainLine struct {
	UUID   amt.UUID `json:"uuid"`
	Kind   string   `json:"kind"`
	Queued bool     `json:"queued"`
	Reason string   `json:"reason"` // why it was not queued
}

// maintenanceWords says what each kind of maintenance does to a client.
var maintenanceWords = map[store.Maintenance]string{
	store.MaintainClock:       "sets its clock",
	store.MaintainProfile:     "applies the settings of its profile again, TLS and users excepted",
	store.MaintainCertificate: "renews its TLS certificate",
	store.MaintainPassword:    "gives its administrator a new password",
	store.MaintainPair:        "gives it a new PID/PPS pair for its next setup",
	store.Unprovision:         "undoes its setup in part: it keeps administrator, pair and names, and says hello again",
	store.UnprovisionFull:     "undoes its setup: it is as it came from the factory, and must be set up anew",
}

func runMaintain(e *env, args []string) (int, error) {
	fs := flags("maintain KIND UUID... [--db FILE|URL] [--all] [--list] [--cancel] [--yes] [--json]")
	db := addDB(fs)
	all := fs.Bool("all", false, "every provisioned client")
	list := fs.Bool("list", false, "show the maintenance that waits or is under way; it takes no operand")
	cancel := fs.Bool("cancel", false, "take back the maintenance of these clients that waits, or of all with --all; the operands are UUIDs")
	yes := fs.Bool("yes", false, "agree to the preview without being asked")
	asJSON := fs.Bool("json", false, "print one JSON object for each client")
	rest, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if *list || *cancel {
		return waitingMaintenance(e, fs, db, waiting{list: *list, cancel: *cancel, all: *all, asJSON: *asJSON}, rest)
	}
	if len(rest) == 0 || !store.Maintenance(rest[0]).Known() {
		return exitUsage, misuse(fs, "the first operand is one of %s", kindList())
	}
	what := store.Maintenance(rest[0])
	if *all == (len(rest) > 1) {
		return exitUsage, misuse(fs, "name the clients by their UUID, or all of them with --all")
	}
	uuids, err := parseUUIDs(fs, rest[1:])
	if err != nil {
		return exitUsage, err
	}
	st, err := db.open(e)
	if err != nil {
		return stopped(e, err)
	}
	defer func() { _ = st.Close() }()
	if *all {
		clients, err := st.Clients(e.ctx)
		if err != nil {
			return exitFound, err
		}
		for _, c := range clients {
			if c.State == store.Provisioned {
				uuids = append(uuids, c.UUID)
			}
		}
	}
	if err := previewMaintenance(e, st, what, uuids, *yes); err != nil {
		return exitFound, err
	}
	return queueMaintenance(e, st, what, uuids, *asJSON)
}

func parseUUIDs(fs *flag.FlagSet, words []string) ([]amt.UUID, error) {
	var uuids []amt.UUID
	for _, text := range words {
		u, err := amt.ParseUUID(text)
		if err != nil {
			return nil, misuse(fs, "%q is no UUID", plain(text))
		}
		uuids = append(uuids, u)
	}
	return uuids, nil
}

func kindList() string {
	var names []string
	for _, m := range store.Maintenances() {
		names = append(names, string(m))
	}
	return strings.Join(names, ", ")
}

// previewed is how many clients a preview names.
const previewed = 10

// previewMaintenance shows what is going to happen to whom, and has it agreed to.
func previewMaintenance(e *env, st *store.Store, what store.Maintenance, uuids []amt.UUID, yes bool) error {
	fmt.Fprintf(e.stderr, "%s: for each of these clients, the running server %s.\n", what, maintenanceWords[what])
	for i, u := range uuids {
		if i == previewed {
			fmt.Fprintf(e.stderr, "  and %d more\n", len(uuids)-i)
			break
		}
		c, _, err := st.Client(e.ctx, u)
		if err != nil {
			return err
		}
		fmt.Fprintf(e.stderr, "  %s  %s  %s\n", u, dash(plain(c.FQDN)), dash(plain(c.IP)))
	}
	undo := "Undo: none; the old settings, password, pair or certificate do not come back."
	switch {
	case what == store.MaintainClock:
		undo = "Undo: none is needed."
	case what == store.Unprovision || what == store.UnprovisionFull:
		undo = "Undo: only by a new provisioning."
	}
	fmt.Fprintln(e.stderr, undo)
	if len(uuids) == 0 {
		return &amt.Error{Op: "maintain", Subject: st.Path(), Err: errors.New("it has no provisioned client"), Hint: "amtmedic clients --db FILE lists them; is it this database?"}
	}
	return agreeLocal(e, yes)
}

func queueMaintenance(e *env, st *store.Store, what store.Maintenance, uuids []amt.UUID, asJSON bool) (int, error) {
	out := json.NewEncoder(e.stdout)
	code := exitOK
	for _, u := range uuids {
		line := maintainLine{UUID: u, Kind: string(what)}
		err := st.Maintain(e.ctx, u, what, "asked for at the command line")
		switch {
		case err == nil:
			line.Queued = true
		case errors.Is(err, store.ErrNoClient), errors.Is(err, store.ErrNotProvisioned), errors.Is(err, store.ErrHasEntry):
			line.Reason, code = rootWords(err), exitFound
		default:
			return exitFound, err
		}
		if asJSON {
			if err := out.Encode(line); err != nil {
				return exitFound, err
			}
			continue
		}
		words := "queued"
		if !line.Queued {
			words = "not queued: " + line.Reason
		}
		if _, err := fmt.Fprintf(e.stdout, "%s  %s\n", u, words); err != nil {
			return exitFound, err
		}
	}
	return code, nil
}

// rootWords gives the words of the cause itself.
func rootWords(err error) string {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err.Error()
}
