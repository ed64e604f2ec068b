package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// lines is a file of JSON lines that grows. What append returned for without error is durable.
type lines struct {
	mu   sync.Mutex
	f    *os.File
	size int64 // bytes of whole lines
	dead error // set when the file's end is no longer known
}

// openLines opens the file for appending. A last line that a dying process left incomplete is
// moved to a file of its own; cut names that file, or is empty.
func openLines(path string) (l *lines, cut string, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, "", err
	}
	tail, start, err := lastLine(f)
	if err == nil && len(tail) > 0 {
		cut, err = settle(f, path, tail, start)
	}
	if err != nil {
		return nil, "", errors.Join(err, f.Close())
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, "", errors.Join(err, f.Close())
	}
	return &lines{f: f, size: size}, cut, nil
}

// settle ends a file whose last line has no end: a whole object gets its newline, the rest is kept
// aside under a name that it gives back.
func settle(f *os.File, path string, tail []byte, start int64) (string, error) {
	if wholeObject(tail) {
		if _, err := f.WriteAt([]byte("\n"), start+int64(len(tail))); err != nil {
			return "", err
		}
		return "", f.Sync()
	}
	aside, err := keepAside(path, tail)
	if err != nil {
		return "", fmt.Errorf("keep the cut last line: %w", err)
	}
	if err := f.Truncate(start); err != nil {
		return "", err
	}
	return aside, f.Sync()
}

// wholeObject reports whether a line without its newline lost nothing else.
func wholeObject(line []byte) bool {
	t := bytes.TrimSpace(line)
	return len(t) > 1 && t[0] == '{' && json.Valid(t)
}

// lastLine gives what stands behind the last newline, and where it begins.
func lastLine(f *os.File) (tail []byte, start int64, err error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, 0, err
	}
	const step = 64 << 10
	for start = end; start > 0; {
		n := min(step, start)
		part := make([]byte, n)
		if _, err := f.ReadAt(part, start-n); err != nil {
			return nil, 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return append(part[i+1:], tail...), start - n + int64(i) + 1, nil
		}
		tail, start = append(part, tail...), start-n
	}
	return tail, 0, nil
}

// keepAside writes the bytes to the first free name path.cut-N.
func keepAside(path string, b []byte) (string, error) {
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s.cut-%d", path, n)
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, os.ErrExist) && n < 1000 {
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = f.Write(b)
		return name, errors.Join(err, f.Sync(), f.Close())
	}
}

// append writes whole lines in one piece and waits until they are durable. After an error the file
// ends as before.
func (l *lines) append(b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead != nil {
		return l.dead
	}
	_, err := l.f.WriteAt(b, l.size)
	if err == nil {
		err = l.f.Sync()
	}
	if err == nil {
		l.size += int64(len(b))
		return nil
	}
	if e := l.f.Truncate(l.size); e != nil {
		l.dead = fmt.Errorf("an earlier write broke off: %w", err)
	}
	return err
}

func (l *lines) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead == nil {
		l.dead = os.ErrClosed
	}
	return l.f.Close()
}

// encode makes one line of a value, without the escapes that only HTML needs.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}
