package main

import (
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/discover"
)

// discoverRun is one run of discover: what was asked for, and what came of it.
type discoverRun struct {
	e       *env
	targets *discover.Targets
	opt     discover.Options
	json    bool
	csv     *csv.Writer
	state   *discover.State // nil without --resume
	found   map[int]*discover.Host
	reached bool
	failed  error // of writing
	noName  error // the last name without an address
	bar     *progressBar
}

func runDiscoverNet(e *env, args []string) (int, error) {
	fs := flags("discover [TARGET]... [--rate N] [--resume FILE] [--csv|--json], or: discover import FILE.csv")
	r := &discoverRun{e: e, found: map[int]*discover.Host{}}
	fs.IntVar(&r.opt.Rate, "rate", 500, "open at most `N` connections and send at most N pings a second, together")
	fs.DurationVar(&r.opt.Timeout, "timeout", 2*time.Second, "wait so `LONG` for a connection, and again for its answer")
	resume := fs.String("resume", "", "keep in `FILE` what is done; the same command goes on after an interruption")
	asCSV := fs.Bool("csv", false, "print comma-separated lines")
	fs.BoolVar(&r.json, "json", false, "print one JSON object a line")
	words, err := parse(fs, args)
	if err == nil {
		err = checkDiscover(fs, r, words, *asCSV, *resume)
	}
	if err != nil {
		return exitUsage, err
	}
	if len(words) == 0 {
		return discoverThis(e, thisHostWorld(), r.json, *asCSV)
	}
	if *resume != "" {
		if r.state, err = discover.OpenState(*resume, r.targets); err != nil {
			return exitUsage, &amt.Error{Op: "read state", Subject: plain(*resume), Err: err, Hint: "name another file, or remove this one to begin again"}
		}
		r.found, r.reached, r.opt.From = r.state.Found, r.state.Reached, r.state.Mark
	}
	if *asCSV {
		r.csv = csv.NewWriter(e.stdout)
	}
	return r.run()
}

func checkDiscover(fs *flag.FlagSet, r *discoverRun, words []string, asCSV bool, resume string) (err error) {
	switch {
	case len(words) == 0 && resume != "":
		return misuse(fs, "--resume goes with names, addresses, ranges such as 10.1.0.1-10.1.0.99, or blocks such as 10.1.0.0/24")
	case r.opt.Rate < 1 || r.opt.Rate > 1_000_000:
		return misuse(fs, "--rate is a number from 1 to 1000000")
	case r.opt.Timeout < 10*time.Millisecond || r.opt.Timeout > time.Minute:
		return misuse(fs, "--timeout is between 10ms and 1m")
	case asCSV && r.json:
		return misuse(fs, "--csv and --json exclude each other")
	}
	if r.targets, err = discover.ParseTargets(words); err != nil {
		return misuse(fs, "%s", plain(err.Error()))
	}
	return nil
}

// run asks, shows, and judges.
func (r *discoverRun) run() (int, error) {
	r.bar = newProgressBar(r.e.stderr, r.targets.Len())
	if r.csv != nil {
		r.failed = r.csv.Write(discover.CSVHeader())
		r.csv.Flush()
	}
	for _, i := range r.order() { // of the runs before
		r.show(r.found[i])
	}
	r.opt.Done = r.done
	err := discover.Run(r.e.ctx, r.targets, r.opt)
	r.bar.clear()
	if r.state != nil {
		r.failed = errors.Join(r.failed, r.state.Close())
	}
	if !r.json && r.csv == nil && len(r.found) > 0 {
		r.failed = errors.Join(r.failed, r.table())
	}
	switch {
	case r.failed != nil:
		return exitFound, &amt.Error{Op: "discover", Err: r.failed}
	case err != nil:
		if r.state == nil {
			return exitInterrupt, &amt.Error{Op: "discover", Err: errors.New("interrupted"), Hint: "with --resume FILE the same command would go on"}
		}
		return exitInterrupt, &amt.Error{Op: "discover", Err: errors.New("interrupted"), Hint: "the same command goes on where it stopped"}
	case !r.reached:
		return exitUndecided, r.silence()
	}
	fmt.Fprintf(r.e.stderr, "%s asked, %d with AMT\n", count(r.targets.Len(), "host"), len(r.found))
	return exitOK, nil
}

// silence is the error of a run in which nothing came back.
func (r *discoverRun) silence() error {
	err := errors.New("no host could be reached")
	if r.noName != nil {
		err = fmt.Errorf("no host could be reached: %s", plain(r.noName.Error()))
	}
	return &amt.Error{Op: "discover", Err: err, Hint: "is there a route, and does a firewall between let TCP 16992, 16993 and UDP 623 through?"}
}

// done takes the end of asking one host.
func (r *discoverRun) done(ev discover.Event) {
	r.reached = r.reached || ev.Reached
	if ev.Err != nil {
		r.noName = ev.Err
		r.bar.clear()
		fmt.Fprintf(r.e.stderr, "amtmedic: warning: %s\n", plain(ev.Err.Error()))
	}
	isNew := ev.Host != nil
	if r.state != nil {
		var err error
		isNew, err = r.state.Add(ev, time.Now())
		r.failed = errors.Join(r.failed, err)
	}
	if isNew {
		r.found[ev.Index] = ev.Host
		r.show(ev.Host)
	}
	r.bar.draw(ev.Mark, len(r.found), time.Now())
}

// order gives the numbers of the hosts that were found, in the order in which they were asked for.
func (r *discoverRun) order() []int {
	var all []int
	for i := range r.found {
		all = append(all, i)
	}
	slices.Sort(all)
	return all
}

// show prints a host at once, as a JSON or CSV line.
func (r *discoverRun) show(h *discover.Host) {
	if r.failed != nil || !r.json && r.csv == nil {
		return
	}
	r.bar.clear()
	if r.json {
		r.failed = writeJSON(r.e.stdout, h)
		return
	}
	fields := h.CSVRow()
	for i := range fields {
		fields[i] = plain(fields[i])
	}
	r.failed = r.csv.Write(fields)
	r.csv.Flush()
	r.failed = errors.Join(r.failed, r.csv.Error())
}

func (r *discoverRun) table() error {
	w := tabwriter.NewWriter(r.e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "HOST\tAMT\tSTATE\tADDRESS\tPORTS\tTLS")
	for _, i := range r.order() {
		h := r.found[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", plain(h.Host), orDash(h.AMTVersion), h.State, h.Address, orDash(h.PortWords()), orDash(h.TLS))
	}
	return w.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// progressBar is a line on standard error that is drawn over itself, on a terminal only.
type progressBar struct {
	w     io.Writer // nil when there is no terminal
	total int
	last  time.Time
	width int // of what stands there
}

func newProgressBar(stderr io.Writer, total int) *progressBar {
	b := &progressBar{total: total}
	if f, ok := stderr.(*os.File); ok && isTerminal(f) {
		b.w = f
	}
	return b
}

// draw shows how many hosts are done, at most twice a second.
func (b *progressBar) draw(done, found int, now time.Time) {
	if b.w == nil || now.Sub(b.last) < 500*time.Millisecond {
		return
	}
	b.last = now
	const cells = 30
	full := done * cells / max(b.total, 1)
	line := fmt.Sprintf("[%s%s] %d of %d, %d with AMT", strings.Repeat("#", full), strings.Repeat(".", cells-full), done, b.total, found)
	fmt.Fprintf(b.w, "\r%-*s", b.width, line)
	b.width = len(line)
}

// clear takes the line away, so that another one can be written.
func (b *progressBar) clear() {
	if b.w != nil && b.width > 0 {
		fmt.Fprintf(b.w, "\r%*s\r", b.width, "")
		b.width = 0
	}
}
