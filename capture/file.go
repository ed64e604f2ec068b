package capture

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"amtmedic/amt"
)

// ErrNotCapture is the cause when a file is neither pcap nor pcapng, compressed or not.
var ErrNotCapture = errors.New("this is no capture file")

// ErrFolder is the cause when a folder is named where a capture file belongs.
var ErrFolder = errors.New("this is a folder, not a capture file")

// File is a capture file or stream as a Source: pcap or pcapng, plain, gzip or zstd, told apart by
// content. Memory stays the same for every size of file.
type File struct {
	name   string
	r      io.Reader
	closer io.Closer
	warn   func(string)
	count  *countReader
	follow *follower // nil when the end of the file is the end
	sieve  sieve

	received, truncated atomic.Uint64
}

// OpenFile opens a capture file by name. warn is told, once each, about what was odd but did not
// stop the reading; it may be nil. Close the file after Run.
func OpenFile(name string, warn func(text string)) (*File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, openError(name, err)
	}
	if st, err := f.Stat(); err == nil && st.IsDir() {
		_ = f.Close()
		return nil, openError(name, syscall.EISDIR)
	}
	s := NewFile(f, name, warn)
	s.closer = f
	return s, nil
}

// openError says why a file cannot be read, and what can be done.
func openError(name string, err error) error {
	e := &amt.Error{Op: "open capture", Err: err, Hint: "name a pcap or pcapng file, or - for standard input"}
	switch {
	case errors.Is(err, syscall.EISDIR):
		e.Subject, e.Err = name, ErrFolder
		e.Hint = "name the capture files in it, such as " + filepath.Join(name, "*.pcapng") + "; those of one recording are read as one"
	case errors.Is(err, fs.ErrPermission):
		e.Hint = "read it as its owner or as administrator (recordings are readable by who made them only), or get a copy of your own"
	case errors.Is(err, fs.ErrNotExist):
		e.Hint = "look at the spelling and at the folder that you are in; name a pcap or pcapng file, or - for standard input"
	}
	return e
}

// NewFile reads a capture from r; name stands in messages, "-" for standard input.
func NewFile(r io.Reader, name string, warn func(text string)) *File {
	if warn == nil {
		warn = func(string) {}
	}
	return &File{name: name, r: r, warn: warn, count: &countReader{}}
}

// Close closes what OpenFile opened.
func (f *File) Close() error {
	if f.closer == nil {
		return nil
	}
	return f.closer.Close()
}

// Stats gives the counts so far; it may be called while Run runs.
func (f *File) Stats() Stats {
	return Stats{Received: f.received.Load(), Truncated: f.truncated.Load(), Bytes: uint64(f.count.n.Load())}
}

// Run reads the file to its end. A file that is cut off inside a record ends regularly with a
// warning. ErrNotCapture and FormatError come wrapped in amt.Error with the next step.
func (f *File) Run(ctx context.Context, fn func(*Packet) error) error {
	hint(f.r)
	f.count.r, f.count.ctx = f.r, ctx
	var last time.Time
	if f.follow != nil {
		f.follow.ctx = ctx
		f.follow.beat = func(waited time.Duration) error {
			if last.IsZero() {
				return nil
			}
			return fn(&Packet{Time: last.Add(waited)})
		}
	} else if !isRegular(f.r) {
		c := newCancelReader(ctx, f.r)
		defer c.stop()
		f.count.r = c
	}
	r, done, err := unpack(f.count, f.warn)
	if err != nil {
		return f.explain(ctx, err)
	}
	defer done()
	form, err := f.sniff(newBlockReader(&inflating{r, ctx})) // a small file can hold much
	if err != nil {
		return f.explain(ctx, err)
	}
	var p Packet
	var given, cut, next uint64
	count := func() { // for whoever shows progress
		f.received.Store(given + f.sieve.packets)
		f.truncated.Store(cut + f.sieve.cut)
		next = given + f.sieve.packets + 4096
	}
	defer count()
	told := map[LinkType]bool{}
	for {
		if err := form.next(&p); err != nil {
			return f.explain(ctx, err)
		}
		if given++; len(p.Data) < p.OrigLen {
			cut++
		}
		if given+f.sieve.packets >= next {
			count()
		}
		if !p.Link.Known() && !told[p.Link] && len(told) < 16 {
			told[p.Link] = true
			f.warn(fmt.Sprintf("packets of link type %d cannot be taken apart and are left out; capture on Ethernet, or with tcpdump -i any", p.Link))
		}
		last = p.Time
		if err := fn(&p); err != nil {
			return err
		}
	}
}

// sniff tells the format by its first four bytes.
func (f *File) sniff(b *blockReader) (format, error) {
	h, err := b.peek(4)
	if len(h) < 4 {
		if err == io.EOF {
			err = ErrNotCapture
		}
		return nil, err
	}
	if _, _, ok := pcapMagic(h); ok {
		return newPcap(b, f.name, &f.sieve)
	}
	if h[0] == 0x0A && h[1] == 0x0D && h[2] == 0x0D && h[3] == 0x0A {
		return newPcapng(b, f.name, &f.sieve, f.warn)
	}
	return nil, ErrNotCapture
}

// explain turns the end of reading into what a caller should see.
func (f *File) explain(ctx context.Context, err error) error {
	var cut *cutError
	var format *FormatError
	switch {
	case err == io.EOF:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case f.follow != nil && f.follow.fail != nil:
		return f.follow.fail
	case errors.As(err, &cut):
		f.warn(cut.Error() + "; everything before it was read")
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF): // compressed, and cut before anything of it could be read
		f.warn(fmt.Sprintf("the compressed file is cut at byte %d; nothing of it could be read", f.count.n.Load()))
		return nil
	case err == ErrNotCapture:
		return &amt.Error{Op: "read capture", Subject: f.name, Err: err,
			Hint: "name a file that tcpdump, Wireshark or this program wrote (pcap or pcapng, plain, gzip or zstd)"}
	case !errors.As(err, &format):
		err = &FormatError{File: f.name, Offset: f.count.n.Load(), Reason: "reading stopped", Err: err}
	}
	return &amt.Error{Op: "scan", Err: err,
		Hint: "what stands before the fault was read; copy the file again, or let editcap of Wireshark rewrite it"}
}

// unpack looks for gzip and zstd by content. done frees the decompressor; tell hears what stands behind
// the compressed data and is none.
func unpack(src io.Reader, tell func(string)) (r io.Reader, done func(), err error) {
	br := bufio.NewReaderSize(src, blockSize/4)
	h, err := br.Peek(4)
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	switch {
	case len(h) == 4 && h[0] == 0x1F && h[1] == 0x8B:
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, nil, err
		}
		z.Multistream(false)
		return &members{z: z, src: br, tell: tell}, func() { _ = z.Close() }, nil
	case len(h) == 4 && h[0] == 0x28 && h[1] == 0xB5 && h[2] == 0x2F && h[3] == 0xFD:
		z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(32<<20), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return br, func() {}, nil
}

// countReader counts bytes and honours a cancel per read.
type countReader struct {
	r   io.Reader
	ctx context.Context
	n   atomic.Int64
}

func (c *countReader) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// inflating honours a cancel per read of what was decompressed.
type inflating struct {
	r   io.Reader
	ctx context.Context
}

func (i *inflating) Read(b []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(b)
}

// isRegular reports whether reads from r come back soon by themselves.
func isRegular(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		_, seeks := r.(io.Seeker)
		return seeks
	}
	st, err := f.Stat()
	return err == nil && st.Mode().IsRegular()
}
