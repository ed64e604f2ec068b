package main

import (
	"fmt"
	"strings"
)

// roff escapes what the text formatter would read as more than text.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", "\\(ga", "^", `\(ha`, "~", `\(ti`, "\"", `\(dq`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}

const manualHead = `.\" Made from the command table: go test ./cmd/amtmedic -run Doc \-update
.TH AMTMEDIC 1 "" "amtmedic" "User Commands"
.SH NAME
amtmedic \- find out why an AMT client does not provision, and repair it
.SH SYNOPSIS
.B amtmedic
.RI [ flags ]
.br
.B amtmedic
.I command
.RI [ flags ]
.RI [ operands ]
.SH DESCRIPTION
Somewhere on the road from a PC's firmware to the provisioned state one link is broken.
.B amtmedic
draws that road, finds the first broken link with evidence, and repairs what it may.
Without a command it opens the workstation on the terminal.
Flags may stand before or after operands;
.B \-
is standard input.
`

const manualTail = `.SH EXIT STATUS
The same for every command and every form of output.
.TP
.B 0
healthy, sound, or done
.TP
.B 1
a root cause was found, the inspected thing is unfit, or the work failed
.TP
.B 2
wrong usage, or input that cannot be read
.TP
.B 3
could not check everything, or undecided
.TP
.B 4
a fault inside the program
.TP
.B 130
interrupted before the work was done
.SH ENVIRONMENT
.TP
.B AMTMEDIC_HOME
folder of cases, database and configuration
.TP
.B AMTMEDIC_KEY_FILE
key file of the database
.TP
.B AMTMEDIC_KEY_PASSPHRASE
passphrase of a database that was made with one
.TP
.B AMTMEDIC_THEME
theme of the workstation, as
.B \-\-theme
.TP
.B NO_COLOR
no colours
.SH FILES
.TP
.I ~/.local/state/amtmedic
the cases, a folder each (below XDG_STATE_HOME where that is set)
.TP
.I ~/.config/amtmedic/config
settings;
.B amtmedic config
prints one with everything explained
`

// manual is the manual page, amtmedic.1.
func manual() string {
	var b strings.Builder
	b.WriteString(manualHead)
	pages := commandPages()
	b.WriteString(".SH FLAGS OF THE WORKSTATION\n")
	pages[0].manual(&b)
	b.WriteString(".SH COMMANDS\n")
	for _, p := range pages[1:] {
		if p.fs == nil {
			continue // its words follow
		}
		fmt.Fprintf(&b, ".SS %s\n%s\n", roff("amtmedic "+p.words), roff(strings.ToUpper(p.summary[:1])+p.summary[1:]+"."))
		fmt.Fprintf(&b, ".PP\n.B %s\n", roff("amtmedic "+p.usage()))
		p.manual(&b)
	}
	b.WriteString(manualTail)
	return b.String()
}

// manual writes flags and examples.
func (p *commandPage) manual(b *strings.Builder) {
	for _, o := range p.options() {
		fmt.Fprintf(b, ".TP\n.B %s", roff(o.name))
		if o.value != "" {
			fmt.Fprintf(b, " \\fI%s\\fR", roff(o.value))
		}
		fmt.Fprintf(b, "\n%s\n", roff(o.text))
	}
	if ex := examples[p.words]; len(ex) > 0 {
		b.WriteString(".PP\nExamples:\n.PP\n.nf\n")
		for _, l := range ex {
			fmt.Fprintf(b, "    %s\n", roff(l))
		}
		b.WriteString(".fi\n")
	}
}
