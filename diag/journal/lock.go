package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"
	"time"
)

// errLocked says that another process holds the lock.
var errLocked = errors.New("locked")

// lock is a file that one process holds. The system gives it free when the process dies, however
// it dies; the text in it is for people only.
type lock struct{ f *os.File }

// takeLock takes the lock and writes who holds it, or says who does.
func takeLock(path, owner string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockNow(f); err != nil {
		if errors.Is(err, errLocked) {
			b, _ := io.ReadAll(io.LimitReader(f, 500))
			err = fmt.Errorf("another process writes to it: %s", holder(string(b)))
		}
		return nil, errors.Join(err, f.Close())
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(owner+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &lock{f}, nil
}

func holder(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, line)
	if line == "" {
		return "it did not give its name"
	}
	return line
}

// ownerLine names this process, unless it has another name.
func ownerLine(name string, at time.Time) string {
	if name == "" {
		who := "somebody"
		if u, err := user.Current(); err == nil {
			who = u.Username
		}
		host, _ := os.Hostname()
		name = fmt.Sprintf("%s on %s, process %d", who, host, os.Getpid())
	}
	return fmt.Sprintf("%s, since %s", name, at.UTC().Format(time.RFC3339))
}

// release empties the file and gives the lock free. The file stays: removing it would let two
// processes hold two files of one name.
func (l *lock) release() error { return errors.Join(l.f.Truncate(0), l.f.Close()) }
