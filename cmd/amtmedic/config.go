package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"amtmedic/amt"
	"amtmedic/tui/keymap"
	"amtmedic/tui/theme"
)

// config is what the configuration file says about the screen. A flag that is given says it again,
// and wins.
type config struct {
	switches map[string]bool // by the name of the flag
	theme    string
	keys     map[string][]string // by the name of the action
}

// configSwitches are the flags that the file can set, with the words of the template.
var configSwitches = []struct{ name, text string }{
	{"ascii", "draw with ASCII characters only"},
	{"mouse", "let the mouse choose and scroll"},
	{"parting", "leave the verdict's line in the terminal after quitting"},
	{"plain", "questions and answers in scrolling text instead of a screen"},
	{"privacy", "begin with names and addresses hidden"},
	{"read-only", "make repairs impossible"},
}

// maxConfig is the longest configuration file that is read, in bytes.
const maxConfig = 1 << 20

// configPath gives the configuration file: AMTMEDIC_HOME/config, else amtmedic/config in the
// system's folder for configuration (XDG_CONFIG_HOME, %AppData%, ~/Library/Application Support).
func configPath(getenv func(string) string) (string, error) {
	if d := getenv("AMTMEDIC_HOME"); d != "" {
		return filepath.Abs(filepath.Join(d, "config"))
	}
	if d := getenv("XDG_CONFIG_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "amtmedic", "config"), nil
	}
	d, err := os.UserConfigDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(d, "amtmedic", "config"), nil
}

// loadConfig reads the configuration file; without one nothing is set.
func loadConfig() (config, error) {
	path, err := configPath(os.Getenv)
	if err != nil {
		return config{}, nil // no home directory: then there is no file either
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return config{}, nil
	}
	if err != nil {
		return config{}, &amt.Error{Op: "read configuration", Err: err}
	}
	defer f.Close()
	c, err := readConfig(io.LimitReader(f, maxConfig))
	if err != nil {
		return config{}, &amt.Error{Op: "read configuration", Subject: plain(path), Err: err, Hint: "amtmedic config prints a file with every setting explained"}
	}
	return c, nil
}

// readConfig reads lines "name = value"; # begins a comment at the start of a line or after a blank.
func readConfig(r io.Reader) (config, error) {
	c := config{switches: map[string]bool{}, keys: map[string][]string{}}
	settings, err := readSettings(r)
	if err != nil {
		return c, err
	}
	lines := map[string]int{} // where a setting stands
	for _, s := range settings {
		lines[s.name] = s.line
		if err := c.set(s.name, s.value); err != nil {
			return c, fmt.Errorf("line %d: %w", s.line, err)
		}
	}
	_, err = keymap.New(c.keys)
	var clash *keymap.Clash
	if errors.As(err, &clash) {
		n := lines["key."+string(clash.Action)]
		return c, fmt.Errorf("line %d: %s is a key of %s already; give that action another key too", n, keymap.Name(clash.Key), clash.Other)
	}
	return c, err
}

// set takes one setting.
func (c *config) set(name, value string) error {
	if action, ok := strings.CutPrefix(name, "key."); ok {
		return c.setKey(action, value)
	}
	if name == "theme" {
		c.theme = value
		return theme.Check(value)
	}
	for _, s := range configSwitches {
		if s.name == name {
			on, err := strconv.ParseBool(value)
			if err != nil {
				return fmt.Errorf("%s is true or false, not %q", name, plain(value))
			}
			c.switches[name] = on
			return nil
		}
	}
	return fmt.Errorf("there is no setting %q", plain(name))
}

func (c *config) setKey(action, value string) error {
	known := slices.ContainsFunc(keymap.Rows(), func(r keymap.Row) bool { return string(r.Action) == action })
	if !known {
		return fmt.Errorf("there is no action %q", plain(action))
	}
	for _, word := range strings.Fields(value) {
		k, err := keymap.Parse(word)
		if err != nil {
			return err
		}
		c.keys[action] = append(c.keys[action], k)
	}
	if len(c.keys[action]) == 0 {
		return fmt.Errorf("%s needs at least one key", action)
	}
	return nil
}

// apply sets the flags that were not given on the command line.
func (c *config) apply(fs *flag.FlagSet) error {
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, on := range c.switches {
		if given[name] || fs.Lookup(name) == nil {
			continue
		}
		if err := fs.Lookup(name).Value.Set(strconv.FormatBool(on)); err != nil {
			return err
		}
	}
	if c.theme != "" && !given["theme"] && os.Getenv("AMTMEDIC_THEME") == "" && fs.Lookup("theme") != nil {
		return fs.Lookup("theme").Value.Set(c.theme)
	}
	return nil
}

// runConfig prints a configuration file in which everything is explained and nothing is set.
func runConfig(e *env, args []string) (int, error) {
	fs := flags("config [--path]")
	where := fs.Bool("path", false, "print the name of the file that is read, instead")
	ops, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(ops) > 0 {
		return exitUsage, misuse(fs, "config takes no operand")
	}
	path, err := configPath(os.Getenv)
	if err != nil {
		return exitUndecided, &amt.Error{Op: "find the configuration", Err: err, Hint: "set AMTMEDIC_HOME to a folder"}
	}
	if *where {
		_, err = fmt.Fprintln(e.stdout, path)
		return exitOK, err
	}
	_, err = io.WriteString(e.stdout, configTemplate())
	return exitOK, err
}

// configTemplate is a commented configuration file.
func configTemplate() string {
	var b strings.Builder
	b.WriteString("# Settings of amtmedic. amtmedic config --path names the file in which they are read.\n" +
		"# A line is name = value. A flag on the command line wins over this file.\n\n")
	fmt.Fprintf(&b, "# colours: one or several of %s (without it: what the terminal says)\n# theme = dark\n", strings.Join(theme.Words(), ", "))
	for _, s := range configSwitches {
		fmt.Fprintf(&b, "\n# %s\n# %s = false\n", s.text, s.name)
	}
	b.WriteString("\n# Keys of the workstation, by action. Several keys stand side by side. Keys are single characters and\n" +
		"# names: space, enter, esc, tab, up, down, pgup, pgdn, home, end, f1, ctrl+y, alt+x.\n\n")
	for _, r := range keymap.Rows() {
		fmt.Fprintf(&b, "# %s\n# key.%s = %s\n", r.Help, r.Action, strings.Join(keymap.Written(r.Keys), " "))
	}
	return b.String()
}
