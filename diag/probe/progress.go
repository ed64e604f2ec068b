package probe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/device"
	"amtmedic/amt/store"
	"amtmedic/diag"
)

// ProgressState is how a provisioning stands.
type ProgressState string

// The states of a Progress.
const (
	ProgressWaiting ProgressState = "waiting" // for a hello, or for the core to take the client
	ProgressRunning ProgressState = "running"
	ProgressDone    ProgressState = "done"    // provisioned, and a log-in with the new password was seen
	ProgressDelayed ProgressState = "delayed" // a delayed entry stands with a reason
)

// Progress is how far the provisioning core has come with one client, as its tables tell.
type Progress struct {
	Core    string // which core: its database, or where it listens
	FQDN    string // empty while unknown
	Profile string
	State   ProgressState
	Steps   []ProgressStep
	Cause   string    // of the delayed entry: an id of the catalogue
	Reason  string    // of the delayed entry, in words
	Again   time.Time // when the core tries again by itself
	Since   time.Time
	Ended   time.Time // zero while it goes on
}

// Done counts the steps that are done.
func (p Progress) Done() int {
	n := 0
	for _, s := range p.Steps {
		if s.Light == diag.Good {
			n++
		}
	}
	return n
}

// ProgressStep is one line of a Progress. At is when it was seen as done.
type ProgressStep struct {
	Name, Title, Detail string
	At                  time.Time
	Light               diag.Light // Good, Busy, Unlooked or Broken
}

// Core says which tables are watched, and for which client.
type Core struct {
	Store *store.Store
	Title string // for Progress.Core
	UUID  amt.UUID
	Now   func() time.Time // the clock of the tables
	Every time.Duration    // between two looks; zero is 250 ms
}

// Watch follows the client in the tables until it is provisioned, delayed, or ctx ends, and reports
// every change. It changes nothing. The last Progress is given in any case.
func (c Core) Watch(ctx context.Context, report func(Progress)) (Progress, error) {
	if c.Every == 0 {
		c.Every = 250 * time.Millisecond
	}
	tick := time.NewTicker(c.Every)
	defer tick.Stop()
	w := &coreWatch{c: c, seen: map[string]time.Time{}, p: Progress{Core: c.Title, Since: c.Now()}}
	last := -1
	for {
		if err := w.look(ctx); err != nil {
			return w.p, err
		}
		if n := w.mark(); n != last || w.ended() {
			last = n
			report(w.p.clone())
		}
		if w.ended() {
			return w.p, nil
		}
		select {
		case <-ctx.Done():
			return w.p, ctx.Err()
		case <-tick.C:
		}
	}
}

func (p Progress) clone() Progress {
	p.Steps = slices.Clone(p.Steps)
	return p
}

// coreWatch is one watch: what the tables said, and when each step was first seen.
type coreWatch struct {
	c    Core
	p    Progress
	seen map[string]time.Time
}

func (w *coreWatch) ended() bool {
	return w.p.State == ProgressDone || w.p.State == ProgressDelayed
}

// mark changes whenever there is something new to show.
func (w *coreWatch) mark() int {
	return 100*w.p.Done() + len(w.p.Steps)*2 + map[ProgressState]int{ProgressRunning: 1}[w.p.State]
}

// look reads the rows of the client and makes the lines of them.
func (w *coreWatch) look(ctx context.Context) error {
	st := w.c.Store
	client, known, err := st.Client(ctx, w.c.UUID)
	if err != nil {
		return err
	}
	noted, err := st.Steps(ctx, w.c.UUID)
	if err != nil {
		return err
	}
	delayed, waits, err := st.Delayed(ctx, w.c.UUID)
	if err != nil {
		return err
	}
	w.p.State = ProgressWaiting
	switch {
	case known && client.State == store.Provisioned:
		w.p.State, w.p.Ended = ProgressDone, w.c.Now()
	case waits:
		w.p.State, w.p.Ended, w.p.Again = ProgressDelayed, w.c.Now(), delayed.Due
		w.p.Cause, w.p.Reason, _ = strings.Cut(delayed.Reason, ": ")
	case known && client.State == store.InProgress && len(noted) > 0:
		w.p.State = ProgressRunning
	}
	if err := w.properties(ctx, client); err != nil {
		return err
	}
	w.lines(client, known, noted)
	return nil
}

// properties reads name and profile.
func (w *coreWatch) properties(ctx context.Context, client store.Client) error {
	w.p.FQDN = client.FQDN
	if row, ok, err := w.c.Store.MapRow(ctx, w.c.UUID); err != nil {
		return err
	} else if ok && w.p.FQDN == "" {
		w.p.FQDN, w.p.Profile = row.FQDN, row.Profile
	}
	if w.p.Profile != "" {
		return nil
	}
	name, ok, err := w.c.Store.Profile(ctx, w.c.UUID)
	if ok {
		w.p.Profile = name
	}
	return err
}

// lines makes the lines in the order of the road. What comes before a step that is noted is done too.
func (w *coreWatch) lines(client store.Client, known bool, noted []string) {
	session := slices.ContainsFunc(noted, func(s string) bool { return s != device.StepSent })
	has := func(step string) bool { return slices.Contains(noted, step) }
	psk := client.Method != amt.PKI
	secure, port := "TLS-PSK session", "16993"
	if !psk {
		secure = "TLS session"
	}
	var list []ProgressStep
	done := map[string]bool{}
	add := func(wanted bool, name, title, detail string, isDone bool) {
		if wanted {
			done[name] = isDone
			list = append(list, ProgressStep{Name: name, Title: title, Detail: detail})
		}
	}
	from := ""
	if client.IP != "" {
		from = ", from " + client.IP
	}
	add(true, "hello", "hello received", strings.TrimPrefix(pidWords(client)+from, ", "), known && !client.LastHello.IsZero())
	add(psk, "pid", "PID mapped", "csti_pid_map", session)
	add(true, "properties", "name and profile", strings.Trim(w.p.FQDN+", "+w.p.Profile, ", "), session)
	add(true, "session", secure, strings.TrimPrefix(client.IP+":"+port, ":"), session)
	add(true, device.StepClock, "clock set", "", has(device.StepClock))
	add(true, device.StepNames, "host and domain", "", has(device.StepNames))
	add(has(device.StepMEBx), device.StepMEBx, "MEBx password", "stored before it was sent", true)
	add(true, device.StepAdmin, "admin password", "stored before it was sent", has(device.StepAdmin))
	add(has(device.StepTLS), device.StepTLS, "TLS of the profile", "", true)
	add(true, device.StepCommit, "commit", commitWords(has), has(device.StepCommit))
	add(true, device.StepVerify, "log in with the new password", "", has(device.StepVerify))
	add(true, "provisioned", "provisioned", "csti_amts", w.p.State == ProgressDone)
	w.light(list, done, client.LastHello)
}

// light gives every line its light and the time when it was first seen as done.
func (w *coreWatch) light(list []ProgressStep, done map[string]bool, hello time.Time) {
	open := false
	for i := range list {
		s := &list[i]
		switch {
		case done[s.Name] || w.p.State == ProgressDone:
			if _, ok := w.seen[s.Name]; !ok {
				w.seen[s.Name] = w.c.Now()
				if s.Name == "hello" {
					w.seen[s.Name] = hello
				}
			}
			s.Light, s.At = diag.Good, w.seen[s.Name]
		case open:
			s.Light = diag.Unlooked
		case w.p.State == ProgressDelayed:
			s.Light, s.At, open = diag.Broken, w.p.Ended, true
		default:
			s.Light, open = diag.Busy, true
		}
	}
	w.p.Steps = list
}

func pidWords(c store.Client) string {
	switch {
	case c.PID != "":
		return "PID " + string(c.PID)
	case c.Hellos > 0:
		return fmt.Sprintf("Remote Configuration, hello %d", c.Hellos)
	}
	return ""
}

func commitWords(has func(string) bool) string {
	if has(device.StepCommit) {
		return ""
	}
	return "the client may close the line here"
}
