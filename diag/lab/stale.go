package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// folderPrefix begins the names of the folders in which worlds keep their databases; the process
// that made one follows.
const folderPrefix = "amtmedic-practice-"

// staleAfter is how old a folder must be that no living process owns: one may look dead from here
// that lives in another container.
const staleAfter = 24 * time.Hour

// makeFolder makes the folder of a world, and takes away those of worlds whose program was killed.
func makeFolder(temp string) (string, error) {
	if temp == "" {
		temp = os.TempDir()
	}
	sweep(temp, time.Now())
	return os.MkdirTemp(temp, fmt.Sprintf("%s%d-", folderPrefix, os.Getpid()))
}

// sweep removes what was left behind. What cannot be removed stays: it is only in the way.
func sweep(temp string, now time.Time) {
	dirs, _ := filepath.Glob(filepath.Join(temp, folderPrefix+"*"))
	for _, d := range dirs {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(d), folderPrefix), "-")
		pid, err := strconv.Atoi(owner)
		info, serr := os.Lstat(d)
		if errors.Join(err, serr) == nil && info.IsDir() && now.Sub(info.ModTime()) > staleAfter && !alive(pid) {
			_ = os.RemoveAll(d)
		}
	}
}
