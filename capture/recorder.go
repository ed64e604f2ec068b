package capture

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"amtmedic/amt"
)

// When what was recorded is handed to the writer below.
const (
	flushEvery = time.Second          // bounds what a sudden end can lose
	flushHello = 2 * time.Millisecond // packets of hellos do not wait, but a flood of them is not written one by one
	flushBytes = 256 << 10            // bounds what waits in memory
)

// RecordedInterface describes an interface of a recording.
type RecordedInterface struct {
	Name   string
	Link   LinkType
	Filter string // what was captured, in words
}

// RecordOptions bound a recording. The zero value is one without bounds.
type RecordOptions struct {
	Limit  int64             // bytes of the file after which only packets of hello connections are written; 0 is no limit
	Ports  []uint16          // TCP ports that hellos go to; amt.HelloPort when empty
	KeepOn bool              // when writing fails the recording ends, but what is recorded goes on
	Warn   func(text string) // told, once each, about the limit and about a recording that ended; may be nil
}

// Recorder writes packets as pcapng. What it wrote stays readable when the process dies: at most
// the last second is lost, and records are handed on whole. It is not safe for concurrent use.
type Recorder struct {
	out     io.Writer
	file    io.Closer // what CreateRecorder opened
	w       *pcapgo.NgWriter
	pending pending
	ifaces  int
	opt     RecordOptions
	hellos  *Matcher

	flushed time.Time
	waiting bool
	size    int64  // bytes handed to out or waiting
	left    uint64 // packets that were not written because of the limit
	failed  bool
}

// pending holds whole records until they are handed on.
type pending struct{ b []byte }

func (p *pending) Write(b []byte) (int, error) {
	p.b = append(p.b, b...)
	return len(b), nil
}

// NewRecorder begins a pcapng section on w. The numbers of the interfaces are their places in the
// list, which must not be empty.
func NewRecorder(w io.Writer, ifaces ...RecordedInterface) (*Recorder, error) {
	return newRecorder(w, RecordOptions{}, ifaces)
}

// CreateRecorder begins a recording in a new file that only its owner may read. A file that is there
// already is never written over; the error is then an amt.Error around fs.ErrExist. Close closes it.
func CreateRecorder(name string, opt RecordOptions, ifaces ...RecordedInterface) (*Recorder, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, &amt.Error{Op: "record packets", Err: err, Hint: "name a new file in a folder that you may write to"}
	}
	return RecordTo(f, opt, ifaces...)
}

// RecordTo is CreateRecorder into a file that is open already; Close closes it.
func RecordTo(f io.WriteCloser, opt RecordOptions, ifaces ...RecordedInterface) (*Recorder, error) {
	r, err := newRecorder(f, opt, ifaces)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	r.file = f
	return r, nil
}

func newRecorder(w io.Writer, opt RecordOptions, ifaces []RecordedInterface) (*Recorder, error) {
	if len(ifaces) == 0 {
		return nil, errors.New("record packets: no interface is described")
	}
	if len(opt.Ports) == 0 {
		opt.Ports = []uint16{amt.HelloPort}
	}
	if opt.Warn == nil {
		opt.Warn = func(string) {}
	}
	r := &Recorder{out: w, ifaces: len(ifaces), opt: opt, hellos: tcpOnly(opt.Ports)}
	for i, d := range ifaces {
		if d.Link > 255 {
			return nil, fmt.Errorf("record packets: link type %d cannot be written", d.Link)
		}
		in := pcapgo.NgInterface{Name: d.Name, Filter: d.Filter, OS: runtime.GOOS, LinkType: layers.LinkType(d.Link),
			SnapLength: maxPacket, TimestampResolution: 9}
		var err error
		if i == 0 {
			r.w, err = pcapgo.NewNgWriterInterface(&r.pending, in, pcapgo.NgWriterOptions{
				SectionInfo: pcapgo.NgSectionInfo{Hardware: runtime.GOARCH, OS: runtime.GOOS, Application: "amtmedic"}})
		} else {
			_, err = r.w.AddInterface(in)
		}
		if err != nil {
			return nil, fmt.Errorf("record packets: %w", err)
		}
	}
	if err := r.w.Flush(); err != nil {
		return nil, fmt.Errorf("record packets: %w", err)
	}
	r.size = int64(len(r.pending.b))
	return r, r.Flush()
}

// Packet writes one packet. Those of hello connections reach the writer below at once, others within
// a second of packets or heartbeats.
func (r *Recorder) Packet(p *Packet) error {
	if p.Number == 0 && p.Data == nil {
		if r.waiting {
			return r.Flush()
		}
		return nil
	}
	pinned := r.hellos.helloPacket(p.Link, p.Data)
	size := int64(32 + (len(p.Data)+3)&^3)
	if !pinned && r.opt.Limit > 0 && r.size+size > r.opt.Limit {
		return r.leaveOut(p.Time)
	}
	if r.failed {
		return nil
	}
	ci := gopacket.CaptureInfo{Timestamp: p.Time, CaptureLength: len(p.Data), Length: max(p.OrigLen, len(p.Data)),
		InterfaceIndex: min(max(p.Iface, 0), r.ifaces-1)}
	if err := r.w.WritePacket(ci, p.Data); err != nil {
		return fmt.Errorf("record packets: %w", err)
	}
	r.size += size
	r.waiting = true
	wait := time.Since(r.flushed)
	if wait >= flushEvery || (pinned && wait >= flushHello) || len(r.pending.b) >= flushBytes {
		return r.Flush()
	}
	return nil
}

// leaveOut counts a packet that is not written; of the first one the file and the caller are told.
func (r *Recorder) leaveOut(at time.Time) error {
	r.left++
	if r.left > 1 {
		return nil
	}
	text := fmt.Sprintf("the recording reached %d bytes: from here on only packets of hellos are in it", r.opt.Limit)
	r.opt.Warn(text)
	if err := r.w.Flush(); err != nil {
		return fmt.Errorf("record packets: %w", err)
	}
	b := comment(at, text)
	r.size += int64(len(b))
	r.pending.b = append(r.pending.b, b...)
	return r.Flush()
}

// comment is an interface statistics block of interface 0 that holds nothing but a remark. The
// writer of gopacket has no comments there.
func comment(at time.Time, text string) []byte {
	ns := uint64(at.UnixNano())
	if at.IsZero() {
		ns = 0
	}
	o := binary.LittleEndian
	b := o.AppendUint32(o.AppendUint32(nil, blockStatistics), 0)
	b = o.AppendUint32(o.AppendUint32(o.AppendUint32(b, 0), uint32(ns>>32)), uint32(ns))
	b = append(o.AppendUint16(o.AppendUint16(b, 1), uint16(len(text))), text...)
	b = append(b, make([]byte, -len(text)&3+4)...) // padding, end of options
	n := uint32(len(b) + 4)
	o.PutUint32(b[4:], n)
	return o.AppendUint32(b, n)
}

// Left tells how many packets were not written because of the limit.
func (r *Recorder) Left() uint64 { return r.left }

// Flush hands everything to the writer below.
func (r *Recorder) Flush() error {
	r.flushed, r.waiting = time.Now(), false
	err := r.w.Flush()
	if err == nil && len(r.pending.b) > 0 && !r.failed {
		_, err = r.out.Write(r.pending.b)
	}
	r.pending.b = r.pending.b[:0]
	switch {
	case err == nil:
		return nil
	case r.opt.KeepOn:
		r.failed = true // a record may be cut: nothing can stand behind it
		r.opt.Warn(fmt.Sprintf("the recording ends here: %v", err))
		return nil
	}
	return fmt.Errorf("record packets: %w", err)
}

// Close notes how many packets came and were lost on interface 0, flushes, and closes a file that
// CreateRecorder opened. A writer that was given stays open.
func (r *Recorder) Close(s Stats) error {
	err := r.w.WriteInterfaceStats(0, pcapgo.NgInterfaceStatistics{LastUpdate: time.Now(),
		PacketsReceived: s.Received, PacketsDropped: s.Dropped})
	err = errors.Join(err, r.Flush())
	if r.file != nil {
		err = errors.Join(err, r.file.Close())
		r.file = nil
	}
	return err
}

// recorded is a source whose packets are also written.
type recorded struct {
	Source
	rec *Recorder
}

// Record gives a source that writes every packet of src before it hands it on, and closes rec at the
// end.
func Record(src Source, rec *Recorder) Source { return &recorded{src, rec} }

// Run runs the source below; an error of writing ends it unless the recorder keeps on.
func (r *recorded) Run(ctx context.Context, fn func(*Packet) error) error {
	err := r.Source.Run(ctx, func(p *Packet) error {
		if err := r.rec.Packet(p); err != nil {
			return err
		}
		return fn(p)
	})
	return errors.Join(err, r.rec.Close(r.Stats()))
}

// Close closes the source below where it can be closed.
func (r *recorded) Close() error {
	if c, ok := r.Source.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
