// Package clip puts text on a clipboard: with the system's own tool where there is one and the person
// sits at this machine, else through the terminal (OSC 52), which also works over SSH and through tmux.
package clip

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/charmbracelet/x/ansi"
)

// wait is how long a tool may take.
const wait = 2 * time.Second

// Clipboard finds a way to the clipboard. Its fields are what it touches of the machine; New fills
// them.
type Clipboard struct {
	Out    io.Writer // the terminal
	Getenv func(string) string
	GOOS   string
	Look   func(program string) (path string, err error)
	Run    func(ctx context.Context, path string, args []string, in []byte) error
}

// New makes the clipboard of this machine.
func New(out io.Writer, getenv func(string) string) *Clipboard {
	return &Clipboard{Out: out, Getenv: getenv, GOOS: runtime.GOOS, Look: exec.LookPath, Run: runTool}
}

// runTool runs a tool without any output: some stay in the background, and would hold a pipe open.
func runTool(ctx context.Context, path string, args []string, in []byte) error {
	c := exec.CommandContext(ctx, path, args...)
	c.Stdin = strings.NewReader(string(in))
	c.WaitDelay = wait
	return c.Run()
}

// tool is a program that takes the clipboard from its standard input.
type tool struct {
	name string
	args []string
}

// tools lists what may be there, the surest first.
func (c *Clipboard) tools() (out []tool) {
	if c.Getenv("TMUX") != "" { // by default tmux passes on its own OSC 52, not that of a program in it
		defer func() { out = append(out, tool{"tmux", []string{"load-buffer", "-w", "-"}}) }()
	}
	remote := c.Getenv("SSH_CONNECTION") != "" || c.Getenv("SSH_TTY") != ""
	switch {
	case remote && c.GOOS != "linux":
		return nil // its clipboard is not on the person's desk
	case c.GOOS == "darwin":
		return []tool{{name: "pbcopy"}}
	case c.GOOS == "windows":
		return []tool{{name: "clip.exe"}}
	}
	if c.Getenv("WAYLAND_DISPLAY") != "" {
		out = append(out, tool{name: "wl-copy"})
	}
	if c.Getenv("DISPLAY") != "" {
		out = append(out, tool{"xclip", []string{"-selection", "clipboard"}}, tool{"xsel", []string{"--clipboard", "--input"}})
	}
	if c.Getenv("WSL_DISTRO_NAME") != "" {
		out = append(out, tool{name: "clip.exe"})
	}
	return out
}

var errNone = errors.New("no clipboard tool is here, and this terminal has no clipboard of its own")

// Copy puts s on the clipboard and says by which way. A tool that fails is passed over. A terminal
// does not say whether it took the text.
func (c *Clipboard) Copy(ctx context.Context, s string) (way string, err error) {
	for _, t := range c.tools() {
		path, err := c.Look(t.name)
		if err != nil {
			continue
		}
		in := []byte(s)
		if t.name == "clip.exe" {
			in = wide(s)
		}
		run, cancel := context.WithTimeout(ctx, wait)
		err = c.Run(run, path, t.args, in)
		cancel()
		if err == nil {
			return "by " + t.name, nil
		}
	}
	if term := c.Getenv("TERM"); term == "linux" || term == "dumb" {
		return "", errNone
	}
	seq := ansi.SetSystemClipboard(s)
	if c.Getenv("TMUX") != "" {
		seq += ansi.TmuxPassthrough(seq)
	}
	_, err = io.WriteString(c.Out, seq)
	return "through the terminal, OSC 52", err
}

// wide is UTF-16 with a byte order mark: clip.exe takes other bytes for the console's code page.
func wide(s string) []byte {
	var out []byte
	for _, u := range append([]uint16{0xfeff}, utf16.Encode([]rune(s))...) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}
