package clip

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fake is a machine with some tools.
type fake struct {
	have  []string
	fails []string
	ran   []string
	got   []byte
}

func (f *fake) board(goos string, env map[string]string, out *bytes.Buffer) *Clipboard {
	return &Clipboard{Out: out, GOOS: goos, Getenv: func(k string) string { return env[k] },
		Look: func(p string) (string, error) {
			if !slices.Contains(f.have, p) {
				return "", exec.ErrNotFound
			}
			return "/bin/" + p, nil
		},
		Run: func(_ context.Context, path string, args []string, in []byte) error {
			f.ran = append(f.ran, strings.Join(append([]string{filepath.Base(path)}, args...), " "))
			if slices.Contains(f.fails, filepath.Base(path)) {
				return errors.New("no display")
			}
			f.got = in
			return nil
		}}
}

func TestWays(t *testing.T) {
	all := []string{"wl-copy", "xclip", "xsel", "pbcopy", "clip.exe"}
	for _, c := range []struct {
		name, goos  string
		env         map[string]string
		have, fails []string
		ran, way    string
	}{
		{"wayland", "linux", map[string]string{"WAYLAND_DISPLAY": "w", "DISPLAY": ":0"}, all, nil, "wl-copy", "by wl-copy"},
		{"x11", "linux", map[string]string{"DISPLAY": ":0"}, all, nil, "xclip -selection clipboard", "by xclip"},
		{"x11 with xsel only", "freebsd", map[string]string{"DISPLAY": ":0"}, []string{"xsel"}, nil, "xsel --clipboard --input", "by xsel"},
		{"first one fails", "linux", map[string]string{"DISPLAY": ":0"}, all, []string{"xclip"}, "xclip -selection clipboard, xsel --clipboard --input", "by xsel"},
		{"all fail", "linux", map[string]string{"DISPLAY": ":0"}, []string{"xclip"}, []string{"xclip"}, "xclip -selection clipboard", "through the terminal, OSC 52"},
		{"no display", "linux", nil, all, nil, "", "through the terminal, OSC 52"},
		{"display but no tool", "linux", map[string]string{"DISPLAY": ":0"}, nil, nil, "", "through the terminal, OSC 52"},
		{"tmux", "linux", map[string]string{"TMUX": "x"}, []string{"tmux"}, nil, "tmux load-buffer -w -", "by tmux"},
		{"tmux on a desk", "linux", map[string]string{"TMUX": "x", "DISPLAY": ":0"}, append([]string{"tmux"}, all...), nil, "xclip -selection clipboard", "by xclip"},
		{"tmux over ssh", "darwin", map[string]string{"TMUX": "x", "SSH_TTY": "y"}, append([]string{"tmux"}, all...), nil, "tmux load-buffer -w -", "by tmux"},
		{"tmux too old", "linux", map[string]string{"TMUX": "x"}, []string{"tmux"}, []string{"tmux"}, "tmux load-buffer -w -", "through the terminal, OSC 52"},
		{"mac", "darwin", nil, all, nil, "pbcopy", "by pbcopy"},
		{"mac over ssh", "darwin", map[string]string{"SSH_TTY": "/dev/ttys1"}, all, nil, "", "through the terminal, OSC 52"},
		{"windows", "windows", nil, all, nil, "clip.exe", "by clip.exe"},
		{"windows subsystem", "linux", map[string]string{"WSL_DISTRO_NAME": "d"}, []string{"clip.exe"}, nil, "clip.exe", "by clip.exe"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, out := &fake{have: c.have, fails: c.fails}, &bytes.Buffer{}
			way, err := f.board(c.goos, c.env, out).Copy(t.Context(), "text")
			if err != nil || way != c.way || strings.Join(f.ran, ", ") != c.ran {
				t.Errorf("%q by running %q, %v", way, f.ran, err)
			}
			if (out.Len() > 0) != strings.Contains(c.way, "OSC 52") {
				t.Errorf("to the terminal went %q", out)
			}
		})
	}
}

func TestOSC52(t *testing.T) {
	text := "rc-dns-no-record → \"ns1\"\n"
	want := "\x1b]52;c;" + base64.StdEncoding.EncodeToString([]byte(text)) + "\x07"
	for _, c := range []struct {
		name, want string
		env        map[string]string
	}{
		{"terminal", want, nil},
		{"tmux", want + "\x1bPtmux;" + strings.ReplaceAll(want, "\x1b", "\x1b\x1b") + "\x1b\\", map[string]string{"TMUX": "/tmp/x"}},
	} {
		out := &bytes.Buffer{}
		if _, err := (&fake{}).board("linux", c.env, out).Copy(t.Context(), text); err != nil || out.String() != c.want {
			t.Errorf("%s: %q, %v", c.name, out, err)
		}
	}
	out := &bytes.Buffer{}
	if _, err := (&fake{}).board("linux", map[string]string{"TERM": "linux"}, out).Copy(t.Context(), text); err == nil || out.Len() > 0 {
		t.Errorf("a console without a clipboard: %v, %q", err, out)
	}
}

func TestWide(t *testing.T) {
	f := &fake{have: []string{"clip.exe"}}
	if _, err := f.board("windows", nil, &bytes.Buffer{}).Copy(t.Context(), "ä"); err != nil || !bytes.Equal(f.got, []byte{0xff, 0xfe, 0xe4, 0}) {
		t.Errorf("% x, %v", f.got, err)
	}
}

// A real program: what it reads on its standard input is the text.
func TestRunTool(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("needs sh")
	}
	file := filepath.Join(t.TempDir(), "got")
	if err := runTool(t.Context(), sh, []string{"-c", `cat > "$0"`, file}, []byte("text")); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "text" {
		t.Errorf("%q, %v", got, err)
	}
	if runTool(t.Context(), sh, []string{"-c", "exit 1"}, nil) == nil {
		t.Error("a tool that fails is no error")
	}
}
