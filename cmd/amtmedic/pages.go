package main

import (
	"errors"
	"flag"
	"io"
	"slices"
	"strings"

	"amtmedic/diag/check"
	"amtmedic/diag/lab"
	"amtmedic/tui/theme"
)

// commandPage is what help, completion and manual page tell of one command.
type commandPage struct {
	words   string // "hello decode"; empty for amtmedic alone
	summary string
	fs      *flag.FlagSet // nil for a command that has words behind it
	sub     []string      // those words
}

// commandPages describes every command, with those behind a word after it. The flags are those that
// the commands really take: each is asked for its help.
func commandPages() []commandPage {
	out := []commandPage{{summary: "open the workstation", fs: flagsOf(runScreen)}}
	var add func(prefix string, table []command)
	add = func(prefix string, table []command) {
		for _, c := range table {
			page := commandPage{words: strings.TrimSpace(prefix + " " + c.name), summary: c.summary}
			var behind []command
			e := &env{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard, describe: func(t []command) { behind = t }}
			_, err := c.run(e, []string{"-h"})
			if behind == nil || errors.Is(err, flag.ErrHelp) {
				page.fs = helpFlags(err)
			}
			for _, s := range behind {
				page.sub = append(page.sub, s.name)
			}
			out = append(out, page)
			add(page.words, behind)
		}
	}
	add("", commands())
	return out
}

func flagsOf(run func(*env, []string) (int, error)) *flag.FlagSet {
	_, err := run(&env{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}, []string{"-h"})
	return helpFlags(err)
}

// helpFlags gives the flags of a command from its answer to -h.
func helpFlags(err error) *flag.FlagSet {
	var u usageError
	if errors.As(err, &u) && errors.Is(err, flag.ErrHelp) {
		return u.fs
	}
	return flags("")
}

// usage is the line behind "usage: amtmedic".
func (p *commandPage) usage() string {
	if p.fs == nil {
		return p.words + " " + strings.Join(p.sub, "|") + " ..."
	}
	return p.fs.Name()
}

// option is one flag.
type option struct {
	name   string // with its dashes
	value  string // what stands behind it; empty for a switch
	text   string
	values []string // what it can be, where that is known
}

// options lists the flags of a command.
func (p *commandPage) options() []option {
	var out []option
	if p.fs == nil {
		return nil
	}
	p.fs.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		o := option{name: "--" + f.Name, value: value, text: text}
		if len(f.Name) == 1 {
			o.name = "-" + f.Name
		}
		o.values = flagValues(f.Name)
		out = append(out, o)
	})
	return out
}

// flagValues are what a flag can be, where the list is short and known.
func flagValues(name string) []string {
	switch name {
	case "format":
		return formats
	case "theme":
		return theme.Words()
	case "fault":
		out := []string{lab.None, lab.NonePKI}
		for _, f := range lab.List() {
			out = append(out, f.ID)
		}
		return out
	case "only":
		var out []string
		for _, c := range check.Checks() {
			out = append(out, c.ID)
		}
		return out
	}
	return nil
}

// operands are what can stand behind a command, where that is known; nil means files.
func (p *commandPage) operands() []string {
	switch p.words {
	case "":
		var out []string
		for _, c := range commands() {
			out = append(out, c.name)
		}
		return out
	case "explain":
		ids := catalogueIDs()
		slices.Sort(ids)
		return slices.Compact(ids)
	case "completion":
		return shells
	}
	return p.sub
}

// examples are shown behind the flags of a command.
var examples = map[string][]string{
	"":                    {"amtmedic", "amtmedic --server scs01 --capture client.pcapng --read-only", "amtmedic --plain"},
	"diagnose":            {"amtmedic diagnose facts.jsonl", "amtmedic diagnose --server scs01 --suffix corp.example --answer client.prov_state=in", "amtmedic diagnose facts.jsonl --format junit > report.xml", "amtmedic diagnose --only 'chk-dns-*' --server scs01", "amtmedic diagnose facts.jsonl --accept rc-https-on-no-tls='agreed until spring'"},
	"lab":                 {"amtmedic lab --fault rc-dns-split-horizon", "amtmedic lab --list", "amtmedic lab --headless --repair --fault rc-pid-unknown --seed 7 --json"},
	"capture scan":        {"amtmedic capture scan client.pcapng server.pcap.gz", "amtmedic capture scan days-0*.pcapng", "tcpdump -w - port 9971 | amtmedic capture scan --json -"},
	"capture live":        {"amtmedic capture live -i eth0", "amtmedic capture live -i eth0 -w hellos.pcapng --for 2h --json", "amtmedic capture live -w days.pcapng --ring 500MB"},
	"capture dissector":   {"amtmedic capture dissector --out amthello.lua"},
	"hello decode":        {"amtmedic hello decode hello.bin", "amtmedic hello decode --hex --json - < pasted.txt"},
	"hello send":          {"amtmedic hello send --to scs01 --uuid 4c4c4544-0058-3910-8059-b7c04f4b5a31 --pid 0000-037M"},
	"keys generate":       {"amtmedic keys generate --count 20 --out keys.csv"},
	"keys check":          {"amtmedic keys check 0000-037M", "amtmedic keys check - < keys.txt"},
	"keys import":         {"amtmedic keys import keys.csv"},
	"keys otp":            {"amtmedic keys otp otp.csv", "amtmedic keys otp - < otp.csv"},
	"keys export":         {"amtmedic keys export --out keys.csv --reveal"},
	"cert check":          {"amtmedic cert check provisioning.pfx --password-file pass.txt --suffix corp.example --amt-version 9.0"},
	"cert create-lab":     {"amtmedic cert create-lab --out lab --suffix corp.example"},
	"setupbin show":       {"amtmedic setupbin show setup.bin"},
	"setupbin write":      {"amtmedic setupbin write --version 2.1 --keys keys.csv --out setup.bin"},
	"usbkey inspect":      {"amtmedic usbkey inspect key.img", "amtmedic usbkey inspect /dev/sdb --amt-version 3.2"},
	"usbkey prepare":      {"amtmedic usbkey prepare key.img --file setup.bin --yes"},
	"usbkey repair":       {"amtmedic usbkey repair key.img --yes"},
	"profiles list":       {"amtmedic profiles list"},
	"profiles show":       {"amtmedic profiles show default"},
	"profiles check":      {"amtmedic profiles check office.yaml", "amtmedic profiles check office.yaml --amt-version 3.2"},
	"profiles import":     {"amtmedic profiles import office.yaml", "amtmedic profiles import office.yaml --default office"},
	"profiles export":     {"amtmedic profiles export > profiles.yaml", "amtmedic profiles export office --reveal --out office.yaml"},
	"profiles remove":     {"amtmedic profiles remove office"},
	"profiles secrets":    {"amtmedic profiles secrets 4c4c4544-0058-3910-8059-b7c04f4b5a31 --reveal"},
	"ca show":             {"amtmedic ca show"},
	"ca export":           {"amtmedic ca export --out root.pem", "amtmedic ca export --manager manager.pem --out root.pem"},
	"ca csr":              {"amtmedic ca csr --organization Corp --out request.pem"},
	"ca import":           {"amtmedic ca import signed-with-chain.pem"},
	"ca list":             {"amtmedic ca list", "amtmedic ca list --within 30"},
	"ca revoke":           {"amtmedic ca revoke 4c4c4544-0058-3910-8059-b7c04f4b5a31", "amtmedic ca revoke 0b6c6f5a1d7e4c2f9a3b8d1e5f70c412 --reason key-compromise"},
	"ca crl":              {"amtmedic ca crl --out amt.crl --der"},
	"clients":             {"amtmedic clients", "amtmedic clients --db /var/lib/amtmedic/core.db --json"},
	"maintain":            {"amtmedic maintain clock --all", "amtmedic maintain unprovision 4c4c4544-0058-3910-8059-b7c04f4b5a31", "amtmedic maintain --list"},
	"mei status":          {"amtmedic mei status", "amtmedic mei status --json"},
	"mei hashes":          {"amtmedic mei hashes --json"},
	"mei events":          {"amtmedic mei events"},
	"mei enable":          {"amtmedic mei enable"},
	"mei restart-hello":   {"amtmedic mei restart-hello", "amtmedic mei restart-hello --yes --json"},
	"mei otp":             {"amtmedic mei otp otp.txt", "amtmedic mei otp - < otp.txt"},
	"mei suffix":          {"amtmedic mei suffix corp.example"},
	"mei stop":            {"amtmedic mei stop"},
	"mei unprovision":     {"amtmedic mei unprovision"},
	"fleet report":        {"amtmedic fleet report", "amtmedic fleet report --html activation.html --days 90"},
	"fleet replace":       {"amtmedic fleet replace 4c4c4544-0058-3910-8059-b7c04f4b5a31 4c4c4544-0059-3910-8059-b7c04f4b5a32 --why 'ticket 4711'"},
	"fleet retire":        {"amtmedic fleet retire 4c4c4544-0058-3910-8059-b7c04f4b5a31 --unprovision"},
	"fleet reuse":         {"amtmedic fleet reuse 4c4c4544-0058-3910-8059-b7c04f4b5a31 lab1.corp.example --profile office"},
	"fleet history":       {"amtmedic fleet history 4c4c4544-0058-3910-8059-b7c04f4b5a31"},
	"fleet export":        {"amtmedic fleet export > clients.csv", "amtmedic fleet export clients.json"},
	"fleet import":        {"amtmedic fleet import clients.csv --preview", "amtmedic fleet import clients.csv --yes"},
	"fleet sync":          {"amtmedic fleet sync console.db --table computers --preview", "amtmedic fleet sync postgres://console@db/inventory --table public.computers --push"},
	"local status":        {"amtmedic local status", "amtmedic local status --via tunnel --pin 742c3192e607e424eb4549542be1bbc53e6174e2742c3192e607e424eb454954 --json"},
	"local log":           {"amtmedic local log --password-file pass.txt"},
	"local hashes":        {"amtmedic local hashes --json"},
	"local set":           {"amtmedic local set --name pc17.corp.example --clock", "amtmedic local set --sol off --ider off --yes"},
	"agent restart-hello": {"amtmedic agent restart-hello --quiet", "amtmedic agent restart-hello --dry-run --json"},
	"discover":            {"amtmedic discover", "amtmedic discover 10.1.0.0/24", "amtmedic discover pc17.corp.example 10.1.4.1-10.1.7.254 --rate 200 --resume found.state", "amtmedic discover 10.1.0.0/16 --csv > amt.csv"},
	"discover import":     {"amtmedic discover import names.csv"},
	"serve":               {"amtmedic serve", "amtmedic serve --listen :9971 --db /var/lib/amtmedic/core.db", "amtmedic serve --config /etc/amtmedic/serve.conf"},
	"db check":            {"amtmedic db check", "amtmedic db check --db /var/lib/amtmedic/core.db --json"},
	"db rotate-key":       {"amtmedic db rotate-key", "amtmedic db rotate-key --to passphrase", "amtmedic db rotate-key --new-key-file /etc/amtmedic/core.key"},
	"db rotate-data-key":  {"amtmedic db rotate-data-key --db postgres://core@db/intelamt --key-file core.key"},
	"db export":           {"amtmedic db export monday.age", "amtmedic db export monday.age --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudpsd5lqxn8mef"},
	"db import":           {"amtmedic db import monday.age --preview --db new.db", "amtmedic db import monday.age --identity key.txt --db postgres://core@db/intelamt --key-file core.key"},
	"service install":     {"amtmedic service install -- --config /etc/amtmedic/serve.conf"},
	"service print":       {"amtmedic service print -- --listen :9971 > amtmedic.service"},
	"service servers":     {"amtmedic service servers --db postgres://core@db/intelamt"},
	"service status":      {"amtmedic service status"},
	"service uninstall":   {"amtmedic service uninstall"},
	"web audit list":      {"amtmedic web audit list --limit 20"},
	"web audit trim":      {"amtmedic web audit trim --days 365"},
	"web token create":    {"amtmedic web token create console-1 --role operate --db /var/lib/amtmedic/core.db", "amtmedic web token create console-2 --certificate console-2.pem"},
	"web token list":      {"amtmedic web token list"},
	"web token revoke":    {"amtmedic web token revoke console-1"},
	"web openapi":         {"amtmedic web openapi > amtscs.json"},
	"sim":                 {"amtmedic sim --state post --keep", "amtmedic sim --to 127.0.0.1:9971 --count 20 --fast --inventory lab", "amtmedic sim --method pki --trust root.pem --suffix corp.example --to 127.0.0.1:9971 --fast"},
	"bundle create":       {"amtmedic bundle create case.zip"},
	"bundle show":         {"amtmedic bundle show case.zip"},
	"bundle verify":       {"amtmedic bundle verify case.zip"},
	"bundle open":         {"amtmedic bundle open case.zip"},
	"bundle diff":         {"amtmedic bundle diff monday.zip tuesday.zip"},
	"explain":             {"amtmedic explain rc-dns-split-horizon", "amtmedic explain sym-usb-ignored"},
	"config":              {"amtmedic config > \"$(amtmedic config --path)\""},
	"completion":          {"source <(amtmedic completion bash)", "amtmedic completion fish > ~/.config/fish/completions/amtmedic.fish"},
	"version":             {"amtmedic version"},
}

// examplesOf gives the examples for a usage line, by the longest words that begin it.
func examplesOf(usage string) []string {
	best, found := "", examples[""]
	for words, list := range examples {
		if len(words) > len(best) && (usage == words || strings.HasPrefix(usage, words+" ")) {
			best, found = words, list
		}
	}
	if best == "" && usage != "" && !strings.HasPrefix(usage, "[") {
		return nil
	}
	return found
}
