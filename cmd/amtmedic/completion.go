package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// shells are those for which completion can be printed.
var shells = []string{"bash", "zsh", "fish", "powershell"}

func runCompletion(e *env, args []string) (int, error) {
	fs := flags("completion " + strings.Join(shells, "|"))
	ops, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(ops) != 1 || !slices.Contains(shells, ops[0]) {
		return exitUsage, misuse(fs, "name one shell: %s", strings.Join(shells, ", "))
	}
	print := map[string]func(io.Writer, []commandPage) error{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion, "powershell": powershellCompletion}[ops[0]]
	if err := print(e.stdout, commandPages()); err != nil {
		return exitFault, err
	}
	return exitOK, nil
}

// words lists what can follow a command: its operands and its flags.
func (p *commandPage) completions() []string {
	out := slices.Clone(p.operands())
	for _, o := range p.options() {
		out = append(out, o.name)
	}
	return append(out, "--help")
}

// valueFlags gives the flags with a known list of values, of all commands, and those that take
// anything: behind the latter stand files.
func valueFlags(pages []commandPage) (known map[string][]string, other []string) {
	known = map[string][]string{}
	for _, p := range pages {
		for _, o := range p.options() {
			switch {
			case o.values != nil:
				known[o.name] = o.values
			case o.value != "" && !slices.Contains(other, o.name):
				other = append(other, o.name)
			}
		}
	}
	slices.Sort(other)
	return known, other
}

func sortedKeys(m map[string][]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// twoWords lists the commands of two words as shell patterns.
func twoWords(pages []commandPage) []string {
	var out []string
	for _, p := range pages {
		if strings.Contains(p.words, " ") {
			out = append(out, `"`+p.words+`"`)
		}
	}
	return out
}

const completionHead = "# Completion for %s. Made by: amtmedic completion %s\n"

func bashCompletion(w io.Writer, pages []commandPage) error {
	var b strings.Builder
	fmt.Fprintf(&b, completionHead, "bash", "bash")
	b.WriteString("_amtmedic() {\n" +
		"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd= words= w i\n" +
		"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n\t\tw=${COMP_WORDS[i]}\n" +
		"\t\tcase $w in -*) continue ;; esac\n" +
		"\t\tif [[ -z $cmd ]]; then cmd=$w; continue; fi\n" +
		"\t\tcase \"$cmd $w\" in " + strings.Join(twoWords(pages), "|") + ") cmd=\"$cmd $w\" ;; esac\n\tdone\n")
	known, other := valueFlags(pages)
	b.WriteString("\tcase $prev in\n")
	for _, f := range sortedKeys(known) {
		fmt.Fprintf(&b, "\t%s) COMPREPLY=($(compgen -W %q -- \"$cur\")); return ;;\n", f, strings.Join(known[f], " "))
	}
	fmt.Fprintf(&b, "\t%s) COMPREPLY=(); return ;;\n\tesac\n\tcase $cmd in\n", strings.Join(other, "|"))
	for _, p := range pages {
		fmt.Fprintf(&b, "\t%q) words=%q ;;\n", p.words, strings.Join(p.completions(), " "))
	}
	b.WriteString("\tesac\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n" +
		"complete -o default -F _amtmedic amtmedic{,.exe}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// quoted puts a text into single quotes of a POSIX shell or fish, without apostrophes in it.
func quoted(s string) string {
	return "'" + strings.NewReplacer("'", "’", `\`, "/", ":", `\:`).Replace(s) + "'"
}

func zshCompletion(w io.Writer, pages []commandPage) error {
	var b strings.Builder
	b.WriteString("#compdef amtmedic\n")
	fmt.Fprintf(&b, completionHead, "zsh", "zsh")
	b.WriteString("_amtmedic() {\n\tlocal cmd= w i\n\tlocal -a list\n" +
		"\tfor ((i = 2; i < CURRENT; i++)); do\n\t\tw=${words[i]}\n" +
		"\t\tcase $w in -*) continue ;; esac\n" +
		"\t\tif [[ -z $cmd ]]; then cmd=$w; continue; fi\n" +
		"\t\tcase \"$cmd $w\" in " + strings.Join(twoWords(pages), "|") + ") cmd=\"$cmd $w\" ;; esac\n\tdone\n")
	known, other := valueFlags(pages)
	b.WriteString("\tcase ${words[CURRENT-1]} in\n")
	for _, f := range sortedKeys(known) {
		fmt.Fprintf(&b, "\t(%s) compadd -- %s; return ;;\n", f, strings.Join(known[f], " "))
	}
	fmt.Fprintf(&b, "\t(%s) _files; return ;;\n\tesac\n\tcase $cmd in\n", strings.Join(other, "|"))
	texts := map[string]string{}
	for _, p := range pages {
		texts[p.words] = p.summary
	}
	for _, p := range pages {
		var list []string
		for _, s := range p.operands() {
			if t := texts[strings.TrimSpace(p.words+" "+s)]; t != "" {
				s += ":" + t
				list = append(list, "'"+strings.ReplaceAll(s, "'", "’")+"'")
				continue
			}
			list = append(list, "'"+s+"'")
		}
		for _, o := range p.options() {
			list = append(list, quoted(o.name)[:len(o.name)+1]+":"+quoted(o.text)[1:])
		}
		fmt.Fprintf(&b, "\t(%q) list=(%s) ;;\n", p.words, strings.Join(list, " "))
	}
	b.WriteString("\tesac\n\t_describe commands list || _files\n}\ncompdef _amtmedic amtmedic\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func fishCompletion(w io.Writer, pages []commandPage) error {
	var b strings.Builder
	fmt.Fprintf(&b, completionHead, "fish", "fish")
	text := func(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'" }
	for _, p := range pages {
		when := "__fish_use_subcommand"
		if p.words != "" {
			name, sub, two := strings.Cut(p.words, " ")
			when = "__fish_seen_subcommand_from " + name
			if two {
				when += "; and __fish_seen_subcommand_from " + sub
				fmt.Fprintf(&b, "complete -c amtmedic -n '__fish_seen_subcommand_from %s; and not __fish_seen_subcommand_from %s' -f -a %s -d %s\n",
					name, sub, sub, text(p.summary))
			} else {
				fmt.Fprintf(&b, "complete -c amtmedic -n __fish_use_subcommand -f -a %s -d %s\n", name, text(p.summary))
			}
		}
		if ops := p.operands(); p.sub == nil && p.words != "" && len(ops) > 0 {
			fmt.Fprintf(&b, "complete -c amtmedic -n '%s' -f -a %s\n", when, text(strings.Join(ops, " ")))
		}
		for _, o := range p.options() {
			kind := "-l " + strings.TrimLeft(o.name, "-")
			if !strings.HasPrefix(o.name, "--") {
				kind = "-s " + o.name[1:]
			}
			switch {
			case o.values != nil:
				kind += " -x -a " + text(strings.Join(o.values, " "))
			case o.value != "":
				kind += " -r"
			}
			fmt.Fprintf(&b, "complete -c amtmedic -n '%s' %s -d %s\n", when, kind, text(o.text))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func powershellCompletion(w io.Writer, pages []commandPage) error {
	var b strings.Builder
	fmt.Fprintf(&b, completionHead, "PowerShell", "powershell")
	list := func(words []string) string {
		var q []string
		for _, s := range words {
			q = append(q, "'"+strings.ReplaceAll(s, "'", "''")+"'")
		}
		return "@(" + strings.Join(q, ", ") + ")"
	}
	b.WriteString("Register-ArgumentCompleter -Native -CommandName amtmedic, amtmedic.exe -ScriptBlock {\n" +
		"\tparam($wordToComplete, $commandAst, $cursorPosition)\n\t$commands = @{\n")
	for _, p := range pages {
		fmt.Fprintf(&b, "\t\t'%s' = %s\n", p.words, list(p.completions()))
	}
	b.WriteString("\t}\n\t$values = @{\n")
	known, _ := valueFlags(pages)
	for _, f := range sortedKeys(known) {
		fmt.Fprintf(&b, "\t\t'%s' = %s\n", f, list(known[f]))
	}
	b.WriteString("\t}\n\t$cmd = ''\n\t$prev = ''\n" +
		"\tforeach ($e in ($commandAst.CommandElements | Select-Object -Skip 1)) {\n" +
		"\t\tif ($e.Extent.EndOffset -ge $cursorPosition) { break }\n\t\t$w = $e.ToString()\n\t\t$prev = $w\n" +
		"\t\tif ($w.StartsWith('-')) { continue }\n" +
		"\t\t$longer = \"$cmd $w\".Trim()\n\t\tif ($commands.ContainsKey($longer)) { $cmd = $longer }\n\t}\n" +
		"\t$words = if ($values.ContainsKey($prev)) { $values[$prev] } else { $commands[$cmd] }\n" +
		"\t$words | Where-Object { $_ -like \"$wordToComplete*\" } | ForEach-Object {\n" +
		"\t\t[System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)\n\t}\n}\n")
	_, err := io.WriteString(w, b.String())
	return err
}
