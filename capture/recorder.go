package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"amtmedic/amt"
)

// When what was recorded is handed to the writer below.
const (
	flushEvery = time.Second          // bounds what a sudden end can lose
	flushHello = 2 * time.Millisecond // packets of hellos do not wait, but a flood of them is not written one by one
	flushBytes = 256 << 10            // bounds what waits in memory
	lookEvery  = 32                   // packets after which the clock is looked at: more often costs time in a flood
	lookFrom   = 4 << 10              // bytes that wait from which on that is so
	retryAfter = 10 * time.Second     // after which a disk that was full is tried again
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
	KeepOn bool              // when writing fails, what is recorded goes on; a file is tried again every 10 s
	Note   string            // stands in the header of the file; may be empty
	Warn   func(text string) // told, once each, about the limit and about a fault of writing and its end; may be nil
}

// Sink keeps packets: a Recorder or a Ring.
type Sink interface {
	// Take keeps one packet with what was seen in it. A heartbeat moves time on; what it has seen is
	// about packets that were taken before.
	Take(p *Packet, seen []Event) error
	// AddInterface describes one more interface, whose number is the next one.
	AddInterface(d RecordedInterface) error
	// Interfaces tells how many are described.
	Interfaces() int
	// Flush hands on what waits.
	Flush() error
	// Close notes what the source counted, and ends the recording.
	Close(s Stats) error
}

// Recorder writes packets as pcapng. What it wrote stays readable when the process dies: at most
// the last second is lost, and records are handed on whole. It is not safe for concurrent use.
type Recorder struct {
	out     io.Writer
	file    io.Closer // what CreateRecorder opened
	pending []byte    // whole blocks until they are handed on
	ifaces  []RecordedInterface
	came    []uint64 // packets of each interface, written or not
	opt     RecordOptions
	hellos  *Matcher

	flushed  time.Time
	waiting  bool
	unlooked int    // packets since the clock was looked at
	size     int64  // bytes handed to out or waiting
	written  int64  // bytes that out took
	safe     int    // interfaces described in them
	left     uint64 // packets that were not written because of the limit
	lost     uint64 // packets that were not written because of a fault
	packets  int
	fault    error // why nothing is written at the moment
	retry    time.Time
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
		hint := "name a file in a folder that you may write to"
		if errors.Is(err, fs.ErrExist) {
			hint = "a recording is never written over: name a new file, or move that one away"
		}
		return nil, &amt.Error{Op: "record packets", Err: err, Hint: hint}
	}
	r, err := RecordTo(f, opt, ifaces...)
	if err != nil { // nothing is in it yet
		if cause := errors.Unwrap(err); cause != nil {
			err = cause // it says what was tried itself
		}
		return nil, &amt.Error{Op: "record packets", Err: errors.Join(err, os.Remove(name)), Hint: "name a file where there is room"}
	}
	return r, nil
}

// RecordTo is CreateRecorder into a file that is open already; Close closes it.
func RecordTo(f io.WriteCloser, opt RecordOptions, ifaces ...RecordedInterface) (*Recorder, error) {
	r, err := newRecorder(f, opt, ifaces)
	if err != nil {
		_ = f.Close() // nothing is in it
		return nil, err
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
	r := &Recorder{out: w, opt: opt, hellos: tcpOnly(opt.Ports)}
	r.put(appendSection(nil, opt.Note))
	for _, d := range ifaces {
		if err := r.AddInterface(d); err != nil {
			return nil, err
		}
	}
	keepOn := r.opt.KeepOn
	r.opt.KeepOn = false // a recording that cannot begin is an error
	err := r.Flush()
	r.opt.KeepOn = keepOn
	return r, err
}

// AddInterface describes one more interface, whose number is the next one. It may be called between
// packets: an interface can appear while all are watched.
func (r *Recorder) AddInterface(d RecordedInterface) error {
	if d.Link > 0xFFFF {
		return fmt.Errorf("record packets: link type %d cannot be written", d.Link)
	}
	if d.Filter == "" && len(r.ifaces) > 0 { // it is captured as the others are
		d.Filter = r.ifaces[0].Filter
	}
	r.ifaces, r.came = append(r.ifaces, d), append(r.came, 0)
	if r.fault == nil { // else it is described when writing works again
		r.put(appendInterface(r.pending, d))
	}
	return nil
}

// Interfaces tells how many interfaces are described.
func (r *Recorder) Interfaces() int { return len(r.ifaces) }

// Packet writes one packet. Those of hello connections reach the writer below at once, others within
// a second of packets or heartbeats.
func (r *Recorder) Packet(p *Packet) error { return r.Take(p, nil) }

// Take writes one packet with what was seen in it as its comment. What was seen late, of packets
// before it, becomes a remark of the file.
func (r *Recorder) Take(p *Packet, seen []Event) error {
	text, late := comments(seen, p.Number)
	for _, e := range late {
		r.remark(e.Time, e.Comment()+" ("+between(e)+")")
	}
	if p.heartbeat() {
		if r.waiting || r.fault != nil {
			return r.Flush()
		}
		return nil
	}
	iface := min(max(p.Iface, 0), len(r.ifaces)-1)
	r.came[iface]++
	pinned := r.hellos.helloPacket(p.Link, p.Data)
	size := int64(32 + (len(p.Data)+3)&^3)
	if !pinned && r.opt.Limit > 0 && r.size+size > r.opt.Limit {
		return r.leaveOut(p.Time)
	}
	if r.fault != nil && time.Now().Before(r.retry) {
		r.lost++
		return nil
	}
	r.packets++
	r.put(appendPacket(r.pending, p, iface, text))
	if len(r.pending) >= flushBytes {
		return r.Flush()
	}
	soon := pinned || len(seen) > 0
	if r.unlooked++; !soon && r.unlooked < lookEvery && len(r.pending) > lookFrom {
		return nil
	}
	r.unlooked = 0
	if wait := time.Since(r.flushed); wait >= flushEvery || soon && wait >= flushHello {
		return r.Flush()
	}
	return nil
}

// put takes over what waits with something added.
func (r *Recorder) put(b []byte) {
	r.size += int64(len(b) - len(r.pending))
	r.pending, r.waiting = b, true
}

func (r *Recorder) remark(at time.Time, text string) {
	if r.fault == nil {
		r.put(appendRemark(r.pending, at, text))
	}
}

// between names the addresses of an event.
func between(e Event) string { return fmt.Sprintf("%s to %s", e.Src, e.Dst) }

// leaveOut counts a packet that is not written; of the first one the file and the caller are told.
func (r *Recorder) leaveOut(at time.Time) error {
	r.left++
	if r.left > 1 {
		return nil
	}
	text := fmt.Sprintf("the recording reached %d bytes: from here on only packets of hellos are in it", r.opt.Limit)
	r.opt.Warn(text)
	r.remark(at, text)
	return r.Flush()
}

// Left tells how many packets were not written because of the limit.
func (r *Recorder) Left() uint64 { return r.left }

// Lost tells how many packets were not written because writing did not work, as far as known.
func (r *Recorder) Lost() uint64 { return r.lost }

// Packets tells how many packets are in the recording: the number of the last one that was taken.
func (r *Recorder) Packets() int { return r.packets }

// Size tells how long the recording is, in bytes.
func (r *Recorder) Size() int64 { return r.size }

// Flush hands everything to the writer below.
func (r *Recorder) Flush() error {
	r.flushed, r.waiting = time.Now(), false
	if r.fault != nil {
		return r.again()
	}
	if len(r.pending) == 0 {
		return nil
	}
	_, err := r.out.Write(r.pending)
	if err == nil {
		r.written, r.safe = r.size, len(r.ifaces)
		r.pending = r.pending[:0]
		return nil
	}
	r.drop(err)
	if !r.opt.KeepOn {
		return fmt.Errorf("record packets: %w", err)
	}
	r.opt.Warn(fmt.Sprintf("packets cannot be written: %v; what is seen goes on", err))
	return nil
}

// drop gives up what could not be written, and takes a record that was cut out of the file.
func (r *Recorder) drop(err error) {
	r.fault, r.retry = err, time.Now().Add(retryAfter)
	if !r.opt.KeepOn {
		return
	}
	f, ok := r.out.(interface {
		io.Seeker
		Truncate(size int64) error
	})
	if !ok || f.Truncate(r.written) != nil {
		r.retry = time.Now().Add(100 * 365 * 24 * time.Hour) // behind a cut record nothing can stand
	} else if _, err := f.Seek(r.written, io.SeekStart); err != nil {
		r.retry = time.Now().Add(100 * 365 * 24 * time.Hour)
	}
	n := countPackets(r.pending)
	r.lost += uint64(n)
	r.packets -= n
	r.pending, r.size = r.pending[:0], r.written
}

// countPackets counts the packets among whole blocks.
func countPackets(b []byte) (n int) {
	for len(b) >= 12 {
		if binary.LittleEndian.Uint32(b) == blockEnhanced {
			n++
		}
		b = b[min(len(b), int(max(12, binary.LittleEndian.Uint32(b[4:])))):]
	}
	return n
}

// again tries to write after a fault, when it is time: first what nobody knows yet about interfaces,
// and what is missing.
func (r *Recorder) again() error {
	if time.Now().Before(r.retry) {
		r.pending = r.pending[:0]
		return nil
	}
	packets := slices.Clone(r.pending)
	was := r.fault
	r.pending, r.size, r.fault = r.pending[:0], r.written, nil
	for _, d := range r.ifaces[r.safe:] {
		r.put(appendInterface(r.pending, d))
	}
	text := fmt.Sprintf("%d packets are missing here: %v", r.lost, was)
	r.remark(r.flushed, text)
	r.put(append(r.pending, packets...))
	if _, err := r.out.Write(r.pending); err != nil {
		r.drop(err)
		return nil
	}
	r.written, r.safe, r.pending, r.waiting = r.size, len(r.ifaces), r.pending[:0], false
	r.opt.Warn("packets are written again; " + text)
	return nil
}

// Close notes how many packets came on each interface and were lost, flushes, and closes a file that
// CreateRecorder opened. A writer that was given stays open.
func (r *Recorder) Close(s Stats) error {
	var err error
	if r.fault == nil {
		r.put(appendCounters(r.pending, time.Now(), s, r.came))
		err = r.Flush()
	}
	if r.file != nil {
		err = errors.Join(err, r.file.Close())
		r.file = nil
	}
	return err
}
