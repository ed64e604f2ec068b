package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"amtmedic/amt"
)

// Opening opens a copy: with identities (lines AGE-SECRET-KEY-1...), or with the passphrase.
type Opening struct {
	Identities amt.Secret
	Passphrase amt.Secret
}

func (o Opening) identities() ([]age.Identity, error) {
	var out []age.Identity
	if !o.Passphrase.IsZero() {
		id, err := age.NewScryptIdentity(o.Passphrase.Reveal())
		if err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	if !o.Identities.IsZero() {
		ids, err := age.ParseIdentities(strings.NewReader(o.Identities.Reveal()))
		if err != nil {
			return nil, errors.New("the identities cannot be read: lines that begin with AGE-SECRET-KEY-1 were expected") // age's words may quote them
		}
		out = append(out, ids...)
	}
	if len(out) == 0 {
		return nil, errors.New("it needs an identity or the passphrase")
	}
	return out, nil
}

// CopyError is why a copy cannot be read.
type CopyError struct {
	Offset int64  // how much of the file was read, in bytes
	Line   int    // of the text inside it, from 1; 0: it was not come to
	Code   string // sealed: it cannot be opened so; truncated; damaged; newer; no-copy
	Err    error
}

// Error names the place in the file, and in the text inside it where that was come to.
func (e *CopyError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("line %d of the copy, byte %d of the file: %v", e.Line, e.Offset, e.Err)
	}
	return fmt.Sprintf("byte %d of the file: %v", e.Offset, e.Err)
}

// Unwrap gives the cause.
func (e *CopyError) Unwrap() error { return e.Err }

// Problem is the error as an entry of a list.
func (e *CopyError) Problem() amt.Problem { return amt.At(int(e.Offset), e.Code, "%v", e.Err) }

// counting counts what was read of a file, and remembers its end.
type counting struct {
	r   io.Reader
	n   int64
	end bool
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.end = c.end || err == io.EOF
	return n, err
}

var errNoAge = errors.New("it is no file of age")

// longestLine bounds a line of a copy: a profile or a log row, by far.
const longestLine = 16 << 20

// readCopy opens a copy and gives its lines. It is whole and unchanged when this returns without error:
// what came before an error must not be used.
func readCopy(ctx context.Context, r io.Reader, o Opening, head func(portableHead) error, row func(table string, row map[string]any) error) error {
	c := &copyReader{file: &counting{r: r}}
	if err := c.open(o); err != nil {
		return err
	}
	var h portableHead
	if err := c.next(&h); err != nil {
		return err
	}
	if h.Copy != portableName {
		return c.failed("no-copy", errors.New("it holds something else than the copy of a database"))
	}
	if h.Format != portableFormat {
		return c.failed("newer", fmt.Errorf("it is of format %d, this program knows %d", h.Format, portableFormat))
	}
	if err := head(h); err != nil {
		return c.failed("newer", err)
	}
	counts := map[string]int{}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		var l portableLine
		if err := c.next(&l); err != nil {
			return err
		}
		if l.End != nil {
			return c.ended(l.End, counts)
		}
		if l.Table == "" || l.Row == nil {
			return c.failed("damaged", errors.New("it is no row of a table"))
		}
		counts[l.Table]++
		if err := row(l.Table, l.Row); err != nil {
			return err // of a line a little before this one
		}
	}
}

// CheckCopyHead looks at the beginning of a file before anybody is asked for what opens it. The error, a
// CopyError, says that it is no file of age; one that is cut off there passes, and is told when it is opened.
func CheckCopyHead(r io.Reader) error {
	start, err := bufio.NewReader(r).Peek(len(armor.Header))
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for _, mark := range []string{"age-encryption.org/", armor.Header} {
		n := min(len(mark), len(start))
		if mark[:n] == string(start[:n]) {
			return nil
		}
	}
	return &CopyError{Code: "no-copy", Err: errNoAge}
}

type copyReader struct {
	file  *counting
	plain *bufio.Reader
	line  int
}

func (c *copyReader) failed(code string, err error) error {
	return &CopyError{Offset: c.file.n, Line: c.line, Code: code, Err: err}
}

// open finds the seal, armoured or not, and opens it.
func (c *copyReader) open(o Opening) error {
	ids, err := o.identities()
	if err != nil {
		return c.failed("sealed", err)
	}
	b := bufio.NewReader(c.file)
	var in io.Reader = b
	if start, _ := b.Peek(len(armor.Header)); string(start) == armor.Header {
		in = armor.NewReader(b)
	}
	plain, err := age.Decrypt(in, ids...)
	var none *age.NoIdentityMatchError
	switch {
	case err == nil:
		c.plain = bufio.NewReaderSize(plain, 1<<16)
		return nil
	case errors.As(err, &none):
		return &CopyError{Code: "sealed", Err: errors.New("it is sealed for others: the passphrase or the identity does not open it")}
	case errors.Is(err, io.ErrUnexpectedEOF) || c.file.end && c.file.n < 1<<12:
		return c.failed("truncated", errors.New("the file is cut off in its head, or it is no file of age"))
	}
	return c.failed("no-copy", errNoAge)
}

// next reads a line.
func (c *copyReader) next(into any) error {
	var line []byte
	c.line++
	for {
		part, err := c.plain.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			if err := readLine(line, into); err != nil {
				return c.failed("damaged", err)
			}
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			if len(line) > longestLine {
				return c.failed("damaged", errors.New("it has no end"))
			}
		case errors.Is(err, io.EOF):
			return c.failed("truncated", errors.New("the copy ends without its last line"))
		default:
			return c.cut(err)
		}
	}
}

// cut tells a file that was cut off from one that was changed. Every 64 KiB of it are sealed apart, so that
// the fault lies less than that before the offset.
func (c *copyReader) cut(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return c.failed("truncated", errors.New("the file is cut off here"))
	case c.atEnd():
		return c.failed("truncated", errors.New("the file is cut off here, or its last part was changed"))
	}
	return c.failed("damaged", errors.New("it was changed, at most 64 KiB before here"))
}

// atEnd reports whether the file has nothing more.
func (c *copyReader) atEnd() bool {
	if !c.file.end {
		n, _ := c.file.r.Read(make([]byte, 1))
		c.file.end = n == 0
	}
	return c.file.end
}

// ended compares the counts of the last line with what was read, and makes sure that nothing follows.
func (c *copyReader) ended(want, got map[string]int) error {
	for t, n := range want {
		if got[t] != n {
			return c.failed("damaged", fmt.Errorf("it has %d rows of %s, and should have %d", got[t], t, n))
		}
	}
	switch _, err := c.plain.ReadByte(); {
	case err == nil:
		return c.failed("damaged", errors.New("something follows its last line"))
	case !errors.Is(err, io.EOF):
		return c.cut(err)
	}
	return nil
}
