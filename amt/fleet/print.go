package fleet

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteTable prints a report for a terminal. plain makes text that came from outside harmless.
func WriteTable(w io.Writer, r Report, plain func(string) string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "STAGE\tCLIENTS\tSHARE\tSTAY HERE")
	for _, s := range r.Stages {
		fmt.Fprintf(t, "%s\t%d\t%s\t%d\n", s.Text, s.Count, Percent(s.Share), s.Stay)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nqueued %d, in progress %d, delayed %d, retired %d (replaced %d)\n", r.Queued, r.InProgress, r.Delayed, r.Retired, r.Replaced)
	if r.Returned > 0 {
		fmt.Fprintf(w, "retired clients that said hello since: %d\n", r.Returned)
	}
	if len(r.Causes) > 0 {
		fmt.Fprintln(t, "\nDELAYED BY\tCLIENTS\tHALF WAIT\tLONGEST\tVERSIONS\tMETHODS")
		for _, c := range r.Causes {
			fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\n", plain(c.ID), c.Count, Age(c.Median), Age(c.Longest), plain(Names(c.Versions)), plain(Names(c.Methods)))
		}
	}
	if len(r.Maintenance) > 0 {
		fmt.Fprintln(t, "\nMAINTENANCE\tQUEUED\tDELAYED\tDONE\tGIVEN UP\tBECAUSE OF")
		for _, m := range r.Maintenance {
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%s\n", plain(m.Kind), m.Queued, m.Delayed, m.Done, m.Failed, plain(Failures(m.Causes)))
		}
	}
	groups := func(title string, list []Group) {
		if len(list) > 0 {
			fmt.Fprintf(t, "\n%s\tCLIENTS\tPROVISIONED\tDELAYED\n", title)
		}
		for _, g := range list {
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\n", plain(g.Name), g.Count, g.Provisioned, g.Delayed)
		}
	}
	groups("VERSION", r.Versions)
	groups("METHOD", r.Methods)
	if len(r.Days) > 0 {
		fmt.Fprintln(t, "\nDAY\tFIRST HELLOS\tPROVISIONED\tRETIRED")
	}
	for _, d := range r.Days {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\n", d.Day, d.FirstHellos, d.Provisioned, d.Retired)
	}
	return t.Flush()
}

// Percent writes a share, rounded down so that only all is 100 %.
func Percent(share float64) string { return fmt.Sprintf("%d %%", int(share*100+1e-9)) }

// Age writes seconds as a person would say it.
func Age(s int64) string {
	switch d := time.Duration(s) * time.Second; {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d d", int(d.Hours())/24)
	case d >= time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	case d >= time.Minute:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d s", s)
}

// Names lists groups as 3.2.1 (4), unknown (2).
func Names(list []Group) string {
	var out []string
	for _, g := range list {
		out = append(out, fmt.Sprintf("%s (%d)", g.Name, g.Count))
	}
	return strings.Join(out, ", ")
}

// Failures lists causes as rc-host-unreachable (4), other (2).
func Failures(list []Failure) string {
	var out []string
	for _, f := range list {
		out = append(out, fmt.Sprintf("%s (%d)", f.ID, f.Count))
	}
	return strings.Join(out, ", ")
}

//go:embed report.html
var page string

// WriteHTML writes a report as one page that needs nothing else: no script, no other file.
func WriteHTML(w io.Writer, r Report) error {
	t, err := template.New("report").Funcs(template.FuncMap{"percent": Percent, "age": Age, "names": Names, "failures": Failures,
		"wide": func(share float64) string { return fmt.Sprintf("%.1f", share*100) }}).Parse(page)
	if err != nil {
		return fmt.Errorf("read the page of the report: %w", err)
	}
	return t.Execute(w, r)
}
