package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

func TestReadConfig(t *testing.T) {
	c, err := readConfig(strings.NewReader("\ufeff# mine\r\n\ntheme = dark, contrast\n ascii=true\nmouse = false\nkey.drain = D ctrl+d\nkey.tick = alt+space\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := config{switches: map[string]bool{"ascii": true, "mouse": false}, theme: "dark, contrast",
		keys: map[string][]string{"drain": {"D", "ctrl+d"}, "tick": {"alt+ "}}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("read %+v, want %+v", c, want)
	}
}

func TestReadConfigRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no value", "\nascii\n", "line 2: "},
		{"no such setting", "colour = red", `line 1: there is no setting "colour"`},
		{"no such theme", "theme = pink", "line 1: \"pink\" is no theme"},
		{"neither true nor false", "# a\nmouse = often", "line 2: mouse is true or false"},
		{"twice", "mouse=true\nmouse=true", "line 2: mouse is set in line 1"},
		{"no such action", "key.fly = f", `line 1: there is no action "fly"`},
		{"no key", "key.drain =", "line 1: drain needs"},
		{"misspelt key", "key.drain = crtl+d", `line 1: there is no key "crtl+d"`},
		{"key of another action", "theme = dark\nkey.drain = l", "line 2: l is a key of log already"},
		{"escape bytes", "key.drain = \x1b[2J", `line 1: there is no key "\x1b[2J"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := readConfig(strings.NewReader(c.text)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("error %v, want %s...", err, c.want)
			}
		})
	}
}

// Two actions may swap their keys.
func TestReadConfigSwap(t *testing.T) {
	if _, err := readConfig(strings.NewReader("key.drain = l\nkey.log = d")); err != nil {
		t.Error(err)
	}
}

func FuzzReadConfig(f *testing.F) {
	f.Add("theme = dark\nkey.quit = Q\n# x\n")
	f.Add(configTemplate())
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := readConfig(strings.NewReader(s)); err != nil && strings.ContainsRune(err.Error(), '\x1b') {
			t.Errorf("escape byte in %q", err)
		}
	})
}

// The template read back sets nothing; with its lines brought to life it sets what holds anyway.
func TestConfigTemplate(t *testing.T) {
	text := configTemplate()
	c, err := readConfig(strings.NewReader(text))
	if err != nil || len(c.switches)+len(c.keys) > 0 {
		t.Errorf("the template sets %+v, %v", c, err)
	}
	alive := regexp.MustCompile(`(?m)^# ([a-z.-]+ = )`).ReplaceAllString(text, "$1")
	c, err = readConfig(strings.NewReader(alive))
	if err != nil {
		t.Fatal(err)
	}
	if c.theme == "" || len(c.switches) != len(configSwitches) || len(c.keys) < 20 {
		t.Errorf("the living template sets %+v", c)
	}
}

func TestConfigPath(t *testing.T) {
	home, other := t.TempDir(), t.TempDir()
	env := map[string]string{"AMTMEDIC_HOME": home, "XDG_CONFIG_HOME": other}
	get := func(k string) string { return env[k] }
	if p, err := configPath(get); err != nil || p != filepath.Join(home, "config") {
		t.Error(p, err)
	}
	delete(env, "AMTMEDIC_HOME")
	if p, err := configPath(get); err != nil || p != filepath.Join(other, "amtmedic", "config") {
		t.Error(p, err)
	}
}

// A broken file is named with its line before anything is drawn, and the exit is 2.
func TestBrokenConfigStopsTheScreen(t *testing.T) {
	for _, args := range [][]string{nil, {"lab"}, {"--plain"}, {"lab", "--plain"}} {
		e, _, stderr := testEnv(t)
		path := filepath.Join(os.Getenv("AMTMEDIC_HOME"), "config")
		if err := os.WriteFile(path, []byte("theme = dark\nmouse = perhaps\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if code := run(e, args); code != exitUsage || !strings.Contains(stderr.String(), path+": line 2: ") {
			t.Errorf("%v: exit %d, %s", args, code, stderr.String())
		}
	}
	e, _, stderr := testEnv(t)
	if code := run(e, []string{"--theme", "pink"}); code != exitUsage || !strings.Contains(stderr.String(), "pink") {
		t.Errorf("--theme pink: exit %d, %s", code, stderr.String())
	}
}

func TestFlagsWinOverConfig(t *testing.T) {
	c := config{switches: map[string]bool{"ascii": true, "mouse": true}, theme: "light"}
	fs := flags("test")
	look := addScreenFlags(fs)
	if _, err := parse(fs, []string{"--mouse=false", "--theme", "dark"}); err != nil {
		t.Fatal(err)
	}
	if err := c.apply(fs); err != nil {
		t.Fatal(err)
	}
	if !*look.ascii || *look.mouse || *look.theme != "dark" {
		t.Errorf("ascii %v, mouse %v, theme %s", *look.ascii, *look.mouse, *look.theme)
	}
}
