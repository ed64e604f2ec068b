package main

import (
	"fmt"
	"io"
	"strings"

	"amtmedic/diag"
)

// mark escapes what Markdown, or HTML in it, would read as more than text.
var mark = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;", "&", "&amp;",
	"|", `\|`, "#", `\#`, "!", `\!`, "~", `\~`)

// printMarkdown writes a report to paste into a ticket.
func (o *reportFlags) printMarkdown(w io.Writer, r *judged) error {
	var b strings.Builder
	o.section(&b, "Case "+plain(r.before.Case), &r.before, r.facts, r.accepted)
	if r.after != nil {
		b.WriteString("\n## Repairs\n\n")
		for _, l := range r.repairs {
			fmt.Fprintf(&b, "- %s\n", mark.Replace(plain(l)))
		}
		if len(r.repairs) == 0 {
			b.WriteString("Nothing had to be repaired.\n")
		}
		b.WriteString("\n")
		o.section(&b, "After the repair", r.after, r.later, r.accepted)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (o *reportFlags) section(b *strings.Builder, title string, j *diag.Judgement, facts []diag.Fact, accepted []acceptedCause) {
	fmt.Fprintf(b, "# %s: %s\n\n", mark.Replace(title), closingLine(j))
	if j.Sentence != "" {
		fmt.Fprintf(b, "%s.\n\n", mark.Replace(strings.TrimSuffix(j.Sentence, ".")))
	}
	if j.UUID != "" {
		fmt.Fprintf(b, "Client `%s`\n\n", j.UUID)
	}
	for _, a := range accepted {
		fmt.Fprintf(b, "- accepted: `%s`, %s\n", a.ID, mark.Replace(plain(a.Reason)))
	}
	bullets := func(word string, ids []string) {
		for _, id := range ids {
			fmt.Fprintf(b, "- %s: %s (`%s`)\n", word, mark.Replace(titleOf(id)), id)
		}
	}
	bullets("because of it", j.Consequences)
	bullets("further", j.Further)
	if len(j.DecidedBy) > 0 {
		b.WriteString("\n## What decided\n\n")
	}
	for _, k := range j.DecidedBy {
		fmt.Fprintf(b, "- %s\n", mark.Replace(strings.TrimSpace(evidenceLine(k, append(facts, j.Derived...)))))
	}
	if len(j.Remedies) > 0 {
		b.WriteString("\n## What to do\n\n")
	}
	for i, rm := range j.Remedies {
		how := rm.Kind
		if rm.Destructive {
			how += ", destructive"
		}
		fmt.Fprintf(b, "%d. %s (%s, `%s`)\n", i+1, mark.Replace(plain(rm.Text)), how, rm.ID)
	}
	if j.Next != nil {
		fmt.Fprintf(b, "\nNext: %s (`%s`)\n", mark.Replace(j.Next.Text), j.Next.ID)
	}
	b.WriteString("\n## Checks\n\n| check | state | question |\n|---|---|---|\n")
	good := 0
	for _, l := range checkLines(j, accepted, o.want) {
		if l.State == stateWords[diag.Good] && len(o.only) == 0 {
			good++
			continue
		}
		state := l.State
		if l.Why != "" {
			state += ": " + l.Why
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", l.ID, mark.Replace(plain(state)), mark.Replace(l.Title))
	}
	if good > 0 {
		fmt.Fprintf(b, "\n%d checks are in order.\n", good)
	}
}
