package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// lifeLine is the JSON form of a change in the life of a client.
type lifeLine struct {
	UUID         amt.UUID `json:"uuid"`
	Event        string   `json:"event"` // replaced, retired, reused
	FQDN         string   `json:"fqdn"`
	Profile      string   `json:"profile"`
	ReplacedBy   string   `json:"replaced_by"`  // empty unless it was replaced
	Certificates int      `json:"certificates"` // that were revoked
	Unprovision  bool     `json:"unprovision"`  // it is queued to be unprovisioned
	Promoted     bool     `json:"promoted"`     // it waited for the name and went to the queue
}

// lifeFlags are those of every command that changes the life of a client.
type lifeFlags struct {
	fs     *flag.FlagSet
	db     dbFlags
	why    *string
	yes    *bool
	asJSON *bool
}

func addLife(fs *flag.FlagSet) lifeFlags {
	return lifeFlags{fs, addDB(fs),
		fs.String("why", "", "`text` for history and log, such as the number of a ticket"),
		fs.Bool("yes", false, "agree to the preview without being asked"),
		fs.Bool("json", false, "print one JSON object")}
}

// uuids reads operands.
func (l lifeFlags) uuids(words []string) ([]amt.UUID, error) {
	var out []amt.UUID
	for _, w := range words {
		u, err := amt.ParseUUID(w)
		if err != nil {
			return nil, misuse(l.fs, "%q is no UUID", plain(w))
		}
		out = append(out, u)
	}
	return out, nil
}

// preview prints its lines.
func preview(e *env, lines ...string) {
	for _, l := range lines {
		fmt.Fprintf(e.stderr, "  %s\n", plain(l))
	}
}

func (l lifeFlags) done(e *env, line lifeLine) (int, error) {
	if *l.asJSON {
		return exitOK, writeJSON(e.stdout, line)
	}
	text := fmt.Sprintf("%s %s: %s", line.UUID, dash(line.FQDN), line.Event)
	if line.ReplacedBy != "" {
		text += " by " + line.ReplacedBy
	}
	if line.Certificates > 0 {
		text += fmt.Sprintf("; revoked %s: \"amtmedic ca crl\" writes the new list", count(line.Certificates, "certificate"))
	}
	if line.Promoted {
		text += "; it waited for the name and went to the queue"
	}
	if line.Unprovision {
		text += "; it is queued to be unprovisioned"
	}
	_, err := fmt.Fprintln(e.stdout, text)
	return exitOK, err
}

// certificateLine says what becomes of certificates.
func certificateLine(l store.Life) string {
	if l.Certificates == 0 {
		return "certificates: none counts"
	}
	return fmt.Sprintf("certificates: %d revoked", l.Certificates)
}

func runFleetReplace(e *env, args []string) (int, error) {
	l := addLife(flags("fleet replace OLD-UUID NEW-UUID [--why TEXT] [--yes] [--db FILE|URL] [--json]"))
	words, err := parse(l.fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) != 2 {
		return exitUsage, misuse(l.fs, "fleet replace takes the UUID of the old mainboard and that of the new one")
	}
	uuids, err := l.uuids(words)
	if err != nil {
		return exitUsage, err
	}
	st, err := l.db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	old, err := st.Life(e.ctx, uuids[0])
	if err != nil {
		return exitFound, err
	}
	next, err := st.Life(e.ctx, uuids[1])
	if err == nil {
		err = store.CanReplace(old, next)
	}
	if err != nil {
		return exitFound, lifeError("replace", uuids[0], err)
	}
	lines := []string{fmt.Sprintf("name %s and profile %s go to %s", old.FQDN, profileWord(old.Profile), next.UUID), fmt.Sprintf("%s is retired; its row, password and history stay", old.UUID), certificateLine(old)}
	switch {
	case !next.Hello:
		lines = append(lines, "the new mainboard never said hello to this server: it is set up when it does")
	case next.Provisioned:
		lines = append(lines, "the new mainboard is provisioned already: its next setup gives it this name")
	case next.Entry == "delayed":
		lines = append(lines, "the new mainboard waits; if it is for a name, it goes to the queue")
	}
	fmt.Fprintln(e.stderr, "The mainboard was replaced:")
	preview(e, lines...)
	if err := agreeLocal(e, *l.yes); err != nil {
		return exitFound, err
	}
	promoted, err := st.Replace(e.ctx, old.UUID, next.UUID, *l.why)
	if err != nil {
		return exitFound, lifeError("replace", old.UUID, err)
	}
	return l.done(e, lifeLine{UUID: old.UUID, Event: store.EventReplaced, FQDN: old.FQDN, Profile: old.Profile, ReplacedBy: next.UUID.String(), Certificates: old.Certificates, Promoted: promoted})
}

func profileWord(p string) string {
	if p == "" {
		return "(the default one)"
	}
	return p
}

// lifeError adds the next step.
func lifeError(op string, u amt.UUID, err error) error {
	hint := ""
	switch {
	case errors.Is(err, store.ErrSame):
		hint = "correct the UUID in the map instead: amtmedic explain rc-uuid-byte-order"
	case errors.Is(err, store.ErrBusy):
		hint = "wait until the session is over"
	case errors.Is(err, store.ErrRetired):
		hint = "\"amtmedic fleet history UUID\" tells since when; \"amtmedic fleet reuse UUID FQDN\" puts it into service again"
	case errors.Is(err, store.ErrNameless), errors.Is(err, store.ErrNamed), errors.Is(err, store.ErrNameTaken):
		hint = "\"amtmedic fleet export\" lists names and UUIDs; \"amtmedic discover import\" assigns names"
	}
	var known *amt.Error
	if errors.As(err, &known) {
		err = known.Err
	}
	return &amt.Error{Op: op, Subject: u.String(), Err: err, Hint: hint}
}

func runFleetRetire(e *env, args []string) (int, error) {
	l := addLife(flags("fleet retire UUID [--unprovision] [--why TEXT] [--yes] [--db FILE|URL] [--json]"))
	undo := l.fs.Bool("unprovision", false, "have the running server unprovision it, in full")
	words, err := parse(l.fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) != 1 {
		return exitUsage, misuse(l.fs, "fleet retire takes the UUID of one client")
	}
	uuids, err := l.uuids(words)
	if err != nil {
		return exitUsage, err
	}
	st, err := l.db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	was, err := st.Life(e.ctx, uuids[0])
	if err == nil {
		err = store.CanRetire(was)
	}
	if err != nil {
		return exitFound, lifeError("retire", uuids[0], err)
	}
	unprovision := *undo && was.Provisioned
	lines := []string{"its row, password and history stay; its name is free", certificateLine(was)}
	switch {
	case unprovision:
		lines = append(lines, "the running server unprovisions it: undo only by a new setup")
	case was.Provisioned:
		lines = append(lines, "its firmware stays provisioned: --unprovision has that undone, as long as it can be reached")
	}
	fmt.Fprintf(e.stderr, "%s %s goes out of service:\n", was.UUID, dash(was.FQDN))
	preview(e, lines...)
	if err := agreeLocal(e, *l.yes); err != nil {
		return exitFound, err
	}
	if err := st.Retire(e.ctx, was.UUID, unprovision, *l.why); err != nil {
		return exitFound, lifeError("retire", was.UUID, err)
	}
	return l.done(e, lifeLine{UUID: was.UUID, Event: store.EventRetired, FQDN: was.FQDN, Profile: was.Profile, Certificates: was.Certificates, Unprovision: unprovision})
}

func runFleetReuse(e *env, args []string) (int, error) {
	l := addLife(flags("fleet reuse UUID FQDN [--profile NAME] [--why TEXT] [--yes] [--db FILE|URL] [--json]"))
	profile := l.fs.String("profile", "", "`NAME` of its profile (default: the default one)")
	words, err := parse(l.fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) != 2 {
		return exitUsage, misuse(l.fs, "fleet reuse takes the UUID of a client and its new name")
	}
	row, err := store.NewMapRow(words[0], words[1], *profile, "reuse")
	if err != nil {
		return exitUsage, misuse(l.fs, "%v", err)
	}
	st, err := l.db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	was, err := st.Life(e.ctx, row.UUID)
	if err != nil {
		return exitFound, err
	}
	if names, err := st.Profiles(e.ctx); err != nil {
		return exitFound, err
	} else if *profile != "" && !slices.Contains(names, *profile) {
		return exitFound, &amt.Error{Op: "reuse", Subject: row.UUID.String(), Err: fmt.Errorf("there is no profile %q", plain(*profile)), Hint: "\"amtmedic profiles list\" names them"}
	}
	lines := []string{"name: " + row.FQDN + ", profile " + profileWord(row.Profile), certificateLine(was), "its next hello has it set up under this name"}
	if was.Provisioned {
		lines = append(lines, "its firmware is provisioned as "+dash(was.FQDN)+": \"amtmedic maintain unprovision UUID\" makes it say hello again")
	}
	fmt.Fprintf(e.stderr, "%s %s gets a new life:\n", row.UUID, dash(was.FQDN))
	preview(e, lines...)
	if err := agreeLocal(e, *l.yes); err != nil {
		return exitFound, err
	}
	promoted, err := st.Reuse(e.ctx, row.UUID, row.FQDN, row.Profile, *l.why)
	if err != nil {
		return exitFound, lifeError("reuse", row.UUID, err)
	}
	return l.done(e, lifeLine{UUID: row.UUID, Event: store.EventReused, FQDN: row.FQDN, Profile: row.Profile, Certificates: was.Certificates, Promoted: promoted})
}

// historyLine is the JSON form of an event, one a line.
type historyLine struct {
	At     time.Time `json:"at"`
	Event  string    `json:"event"`
	FQDN   string    `json:"fqdn"`
	Detail string    `json:"detail"`
}

func runFleetHistory(e *env, args []string) (int, error) {
	fs := flags("fleet history UUID [--db FILE|URL] [--json]")
	db := addDB(fs)
	asJSON := fs.Bool("json", false, "print one JSON object for each event")
	words, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(words) != 1 {
		return exitUsage, misuse(fs, "fleet history takes the UUID of one client")
	}
	u, err := amt.ParseUUID(words[0])
	if err != nil {
		return exitUsage, misuse(fs, "%q is no UUID", plain(words[0]))
	}
	st, err := db.open(e)
	if err != nil {
		return exitFound, err
	}
	defer func() { _ = st.Close() }()
	rows, err := st.History(e.ctx, u)
	if err == nil && len(rows) == 0 {
		err = errors.New("nothing is known of it")
	}
	if err != nil {
		return exitFound, &amt.Error{Op: "read history", Subject: u.String(), Err: err}
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	if !*asJSON {
		fmt.Fprintln(w, "AT\tEVENT\tFQDN\tDETAIL")
	}
	for _, h := range rows {
		if *asJSON {
			if err := writeJSON(e.stdout, historyLine(h)); err != nil {
				return exitFound, err
			}
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", h.At.Format(time.RFC3339), plain(h.Event), dash(plain(h.FQDN)), dash(plain(h.Detail)))
	}
	return exitOK, w.Flush()
}
