// Package fleet tells how far a fleet of clients is on the way to activation: how many are known, said
// hello, have a key, a name, a session, are provisioned, have TLS as their profile wants it; and what
// keeps the others. Compute is the entry point; WriteTable and WriteHTML print a report. It does no I/O: rows and
// the time are handed in. A report holds no secrets, and names no client.
package fleet

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// Stage ids, in the order of the way. A client is counted at the stage that it reached and at all before.
const (
	StageKnown       = "known"
	StageHello       = "hello"
	StageKey         = "key"
	StageNamed       = "named"
	StageSession     = "session"
	StageProvisioned = "provisioned"
	StageTLS         = "tls"
)

var stages = []struct{ id, text string }{
	{StageKnown, "known: in the UUID map, or said hello"},
	{StageHello, "said hello"},
	{StageKey, "key or certificate known"},
	{StageNamed, "name known"},
	{StageSession, "session opened"},
	{StageProvisioned, "provisioned"},
	{StageTLS, "TLS as its profile wants it"},
}

// Stage is a stage of the funnel.
type Stage struct {
	ID    string  `json:"id"`
	Text  string  `json:"text"`
	Count int     `json:"count"` // clients that reached it
	Share float64 `json:"share"` // of those that are known, 0 to 1
	Stay  int     `json:"stay"`  // clients that reached it and none behind it
}

// Cause is why delayed clients wait.
type Cause struct {
	ID       string    `json:"id"`    // of the catalogue; other when the reason names none
	Text     string    `json:"text"`  // its sentence
	Count    int       `json:"count"` // clients
	Oldest   time.Time `json:"oldest"`
	Median   int64     `json:"median_wait_s"`  // seconds that half of them wait
	Longest  int64     `json:"longest_wait_s"` // seconds
	Versions []Group   `json:"versions"`
	Methods  []Group   `json:"methods"`
}

// Group is a part of the fleet.
type Group struct {
	Name        string `json:"name"` // unknown when it is not known
	Count       int    `json:"count"`
	Provisioned int    `json:"provisioned"`
	Delayed     int    `json:"delayed"`
}

// Day is a day in UTC.
type Day struct {
	Day         string `json:"day"` // 2026-11-25
	FirstHellos int    `json:"first_hellos"`
	Provisioned int    `json:"provisioned"` // of those that are so now, by their last change
	Retired     int    `json:"retired"`
}

// Report is the state of a fleet.
type Report struct {
	At         time.Time `json:"at"`
	Known      int       `json:"known"` // in service
	Retired    int       `json:"retired"`
	Replaced   int       `json:"replaced"` // of the retired, those whose mainboard was replaced
	Returned   int       `json:"returned"` // retired, and said hello since
	Queued     int       `json:"queued"`
	InProgress int       `json:"in_progress"`
	Delayed    int       `json:"delayed"`
	Stages     []Stage   `json:"stages"`
	Causes     []Cause   `json:"causes"`
	Versions   []Group   `json:"versions"`
	Methods    []Group   `json:"methods"`
	Days       []Day     `json:"days"` // those with an event, oldest first

	Maintenance []Upkeep `json:"maintenance"` // kinds that anybody asked for, the harmless ones first
}

// Upkeep is how a kind of maintenance stands.
type Upkeep struct {
	Kind    string    `json:"kind"`
	Queued  int       `json:"queued"`  // or under way
	Delayed int       `json:"delayed"` // tried, and tried again; among the delayed clients too
	Done    int       `json:"done"`    // clients for which it succeeded when it was last done
	Failed  int       `json:"failed"`  // clients for which it was given up when it was last done
	Causes  []Failure `json:"causes"`  // of those that were given up
}

// Failure is why maintenance was given up.
type Failure struct {
	ID    string `json:"id"` // of the catalogue; other when the reason names none
	Count int    `json:"count"`
}

// Options change a report. The zero value is good.
type Options struct {
	Title func(id string) string // the sentence of a cause; nil is none
	Days  int                    // how many days back Days goes; 0 is 30

	Maintenance []store.MaintenanceCount
}

// Compute makes the report of all rows at a moment.
func Compute(rows iter.Seq2[store.FleetRow, error], at time.Time, o Options) (Report, error) {
	c := counting{at: at, o: o, reached: make([]int, len(stages)), waits: map[string]*wait{}, versions: groups{}, methods: groups{}, days: map[string]*Day{}}
	if c.o.Days == 0 {
		c.o.Days = 30
	}
	for r, err := range rows {
		if err != nil {
			return Report{}, err
		}
		c.add(r)
	}
	return c.report(), nil
}

// counting is a report under way.
type counting struct {
	at       time.Time
	o        Options
	sum      Report
	reached  []int // clients by the last stage that they reached
	waits    map[string]*wait
	versions groups
	methods  groups
	days     map[string]*Day
}

type wait struct {
	since    []time.Time
	versions groups
	methods  groups
}

type groups map[string]*Group

func (g groups) add(name string, r store.FleetRow) {
	if name == "" {
		name = "unknown"
	}
	name = strings.Map(func(c rune) rune { // it came from a client
		if unicode.IsPrint(c) {
			return c
		}
		return '?'
	}, name)
	if g[name] == nil {
		g[name] = &Group{Name: name}
	}
	g[name].Count++
	if r.Done {
		g[name].Provisioned++
	}
	if r.State == store.StateDelayed {
		g[name].Delayed++
	}
}

// list sorts by number, then by name.
func (g groups) list() []Group {
	out := []Group{}
	for _, x := range g {
		out = append(out, *x)
	}
	slices.SortFunc(out, func(a, b Group) int { return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Name, b.Name)) })
	return out
}

func (c *counting) add(r store.FleetRow) {
	c.day(r.FirstHello, func(d *Day) { d.FirstHellos++ })
	c.day(r.Retired, func(d *Day) { d.Retired++ })
	if !r.Retired.IsZero() {
		c.sum.Retired++
		if !r.ReplacedBy.IsZero() {
			c.sum.Replaced++
		}
		if r.LastHello.After(r.Retired) {
			c.sum.Returned++
		}
		return
	}
	c.sum.Known++
	c.reached[Reached(r)]++
	if !r.Hello {
		return
	}
	c.versions.add(r.AMTVersion, r)
	c.methods.add(string(r.Method), r)
	if r.Done {
		c.day(r.Changed, func(d *Day) { d.Provisioned++ })
	}
	switch {
	case r.State == store.InProgress:
		c.sum.InProgress++
	case r.Queued:
		c.sum.Queued++
	case r.State == store.StateDelayed:
		c.delayed(r)
	}
}

func (c *counting) delayed(r store.FleetRow) {
	c.sum.Delayed++
	id := CauseOf(r.Reason)
	w := c.waits[id]
	if w == nil {
		w = &wait{versions: groups{}, methods: groups{}}
		c.waits[id] = w
	}
	w.since = append(w.since, r.Since)
	w.versions.add(r.AMTVersion, r)
	w.methods.add(string(r.Method), r)
}

// CauseOf gives the catalogue's id at the beginning of a reason; other when there is none.
func CauseOf(reason string) string {
	id, _, _ := strings.Cut(reason, ":")
	if id = strings.TrimSpace(id); strings.HasPrefix(id, "rc-") && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" {
		return id
	}
	return "other"
}

// Reached gives the number of the last stage that a client reached, from 0. What comes late proves what
// comes before: a provisioned client had its key, though the pair may be gone by now.
func Reached(r store.FleetRow) int {
	key := r.Method == amt.PSK && r.KeyKnown || r.Method == amt.PKI && !strings.HasPrefix(r.Reason, "rc-cert-")
	switch {
	case !r.Hello:
		return 0
	case r.Done && (r.TLS == "" || r.TLS == "off" || r.Certificate):
		return 6
	case r.Done:
		return 5
	case r.Session:
		return 4
	case key && (r.FQDN != "" || r.MapFQDN != ""):
		return 3
	case key:
		return 2
	}
	return 1
}

func (c *counting) day(at time.Time, count func(*Day)) {
	if at.IsZero() || at.After(c.at) || !at.After(c.at.AddDate(0, 0, -c.o.Days)) {
		return
	}
	name := at.UTC().Format(time.DateOnly)
	if c.days[name] == nil {
		c.days[name] = &Day{Day: name}
	}
	count(c.days[name])
}

func (c *counting) report() Report {
	out := c.sum
	out.At, out.Versions, out.Methods, out.Causes, out.Days = c.at.UTC(), c.versions.list(), c.methods.list(), []Cause{}, []Day{}
	out.Maintenance = upkeep(c.o.Maintenance)
	for i, s := range stages {
		st := Stage{ID: s.id, Text: s.text, Stay: c.reached[i]}
		for _, n := range c.reached[i:] {
			st.Count += n
		}
		if out.Known > 0 {
			st.Share = float64(st.Count) / float64(out.Known)
		}
		out.Stages = append(out.Stages, st)
	}
	for id, w := range c.waits {
		slices.SortFunc(w.since, time.Time.Compare)
		k := Cause{ID: id, Count: len(w.since), Oldest: w.since[0], Longest: seconds(c.at, w.since[0]), Median: seconds(c.at, w.since[len(w.since)/2]),
			Versions: w.versions.list(), Methods: w.methods.list()}
		if c.o.Title != nil {
			k.Text = c.o.Title(id)
		}
		out.Causes = append(out.Causes, k)
	}
	slices.SortFunc(out.Causes, func(a, b Cause) int { return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.ID, b.ID)) })
	for _, d := range c.days {
		out.Days = append(out.Days, *d)
	}
	slices.SortFunc(out.Days, func(a, b Day) int { return strings.Compare(a.Day, b.Day) })
	return out
}

// upkeep sums up what the store counted.
func upkeep(counts []store.MaintenanceCount) []Upkeep {
	out := []Upkeep{}
	for _, c := range counts {
		u := Upkeep{Kind: string(c.Kind), Queued: c.Queued, Delayed: c.Delayed, Done: c.Done, Causes: []Failure{}}
		byID := map[string]int{}
		for reason, n := range c.Failed {
			byID[CauseOf(reason)] += n
			u.Failed += n
		}
		for id, n := range byID {
			u.Causes = append(u.Causes, Failure{id, n})
		}
		slices.SortFunc(u.Causes, func(a, b Failure) int { return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.ID, b.ID)) })
		out = append(out, u)
	}
	return out
}

func seconds(now, since time.Time) int64 { return max(0, int64(now.Sub(since)/time.Second)) }
