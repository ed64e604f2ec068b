package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is the version of this tree; a release build may set it with -ldflags -X main.version=.
var version = "0.1.0-dev"

func runVersion(e *env, args []string) (int, error) {
	if _, err := parse(flags("version"), args); err != nil {
		return exitUsage, err
	}
	fmt.Fprintln(e.stdout, versionLine())
	return exitOK, nil
}

// versionLine names version, commit and platform in one line.
func versionLine() string {
	commit := ""
	if bi, ok := debug.ReadBuildInfo(); ok {
		for _, s := range bi.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				commit = " " + s.Value[:12]
			}
		}
	}
	return fmt.Sprintf("amtmedic %s%s %s/%s", version, commit, runtime.GOOS, runtime.GOARCH)
}
