package provision

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Bounds of a properties script.
const (
	scriptTime   = 30 * time.Second
	scriptOutput = 64 << 10 // bytes that are kept of each of its two outputs; more ends it
	scriptWait   = 2 * time.Second
	// scriptUnknown is the exit code by which a script says that it does not know the client.
	scriptUnknown = 3
)

// FromScript gives what an executable answers. It is called with four arguments: UUID, address of the
// hello, method (psk or pki), PID (empty for pki); the same stands as a JSON object with the fields
// uuid, address, method, pid on its standard input. It answers a JSON object with fqdn and, if it
// likes, profile and ou, and exits 0; it exits 3 when it does not know the client. Everything else is
// "Properties Script Failed", with what it printed. limit bounds its time; zero is 30 s.
func FromScript(path string, limit time.Duration) PropertySource {
	if limit == 0 {
		limit = scriptTime
	}
	return scriptSource{path, limit}
}

type scriptSource struct {
	path  string
	limit time.Duration
}

func (scriptSource) Name() string { return "the properties script" }

func (s scriptSource) Properties(ctx context.Context, a Asked) (Properties, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	input, err := json.Marshal(map[string]string{"uuid": a.UUID.String(), "address": a.Address.String(), "method": string(a.Method), "pid": string(a.PID)})
	if err != nil {
		return Properties{}, false, err
	}
	cmd := scriptCommand(ctx, s.path, a.UUID.String(), a.Address.String(), string(a.Method), string(a.PID))
	out, talk := &bounded{stop: cancel}, &bounded{stop: cancel}
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = bytes.NewReader(input), out, talk, scriptWait
	ownGroup(cmd)
	err = cmd.Run()
	if err != nil {
		endGroup(cmd) // what it started and left behind
	}
	var exit *exec.ExitError
	switch {
	case out.over || talk.over:
		return Properties{}, false, s.failed(talk, fmt.Errorf("it printed more than %d bytes", scriptOutput))
	case ctx.Err() != nil:
		return Properties{}, false, s.failed(talk, fmt.Errorf("it did not end within %v", s.limit))
	case errors.As(err, &exit) && exit.ExitCode() == scriptUnknown:
		return Properties{}, false, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, exec.ErrNotFound):
		return Properties{}, false, &Refusal{Cause: "rc-script-missing", Words: "the properties script cannot be started",
			Log: "Properties Script Failed: " + err.Error(), Err: err}
	case err != nil:
		return Properties{}, false, s.failed(talk, err)
	}
	var p Properties
	if err := json.Unmarshal(out.buf.Bytes(), &p); err != nil {
		return Properties{}, false, s.failed(talk, fmt.Errorf("its answer is no JSON object with fqdn, profile, ou: %w", err))
	}
	return p, true, nil
}

// failed keeps what the script printed: that is where its reason stands.
func (s scriptSource) failed(talk *bounded, err error) *Refusal {
	said := strings.TrimSpace(strings.ToValidUTF8(talk.buf.String(), "?"))
	if len(said) > 1000 {
		said = said[:1000] + " ..."
	}
	log := fmt.Sprintf("Properties Script Failed: %s: %v", s.path, err)
	if said != "" {
		log += "; it printed: " + said
	}
	return &Refusal{Cause: "rc-script-error", Words: "the properties script failed", Log: log, Err: err}
}

// scriptCommand prepares the call; a PowerShell script needs its interpreter, since Windows does not
// start one.
func scriptCommand(ctx context.Context, path string, args ...string) *exec.Cmd {
	if strings.EqualFold(filepath.Ext(path), ".ps1") {
		path, args = "powershell", append([]string{"-NoProfile", "-NonInteractive", "-File", path}, args...)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), secretSetting)
	return cmd
}

// secretSetting finds the settings of this program that open something. A script has no use for them,
// and one that prints its environment would bring them into the log.
func secretSetting(setting string) bool {
	name, _, _ := strings.Cut(strings.ToUpper(setting), "=")
	return strings.HasPrefix(name, "AMTMEDIC_") && (strings.HasSuffix(name, "_PASSWORD") || strings.HasSuffix(name, "_PASSPHRASE"))
}

// CheckScript says why a properties script could not be started, before anybody needs it.
func CheckScript(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a folder", path)
	}
	_, err = exec.LookPath(path)
	if err != nil && strings.EqualFold(filepath.Ext(path), ".ps1") {
		_, err = exec.LookPath("powershell")
	}
	return err
}

// bounded keeps the beginning of what is written to it, and calls stop when it is too much.
type bounded struct {
	buf  bytes.Buffer
	over bool
	stop func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if room := scriptOutput - b.buf.Len(); len(p) > room {
		b.buf.Write(p[:room])
		b.over = true
		b.stop()
		return 0, errors.New("too much output")
	}
	return b.buf.Write(p)
}
