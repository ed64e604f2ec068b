package journal

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
)

// Dir gives the folder of all cases: AMTMEDIC_HOME, else the system's place for the state of
// programs. The folder need not exist.
func Dir() (string, error) { return dirFor(runtime.GOOS, os.Getenv, os.UserHomeDir) }

// dirFor is Dir for an operating system and an environment.
func dirFor(goos string, getenv func(string) string, home func() (string, error)) (string, error) {
	if d := getenv("AMTMEDIC_HOME"); d != "" {
		return filepath.Abs(d)
	}
	state := getenv("XDG_STATE_HOME")
	if goos == "windows" {
		state = getenv("LOCALAPPDATA")
	}
	if filepath.IsAbs(state) { // the XDG rules want a relative path to be ignored
		return filepath.Join(state, "amtmedic"), nil
	}
	h, err := home()
	if err != nil || h == "" {
		return "", errors.New("no home directory is known: set AMTMEDIC_HOME to a folder for the cases")
	}
	switch goos {
	case "windows":
		return filepath.Join(h, "AppData", "Local", "amtmedic"), nil
	case "darwin":
		return filepath.Join(h, "Library", "Application Support", "amtmedic"), nil
	}
	return filepath.Join(h, ".local", "state", "amtmedic"), nil
}
