package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// flushEvery bounds what a sudden end can lose.
const flushEvery = time.Second

// RecordedInterface describes an interface of a recording.
type RecordedInterface struct {
	Name   string
	Link   LinkType
	Filter string // what was captured, in words
}

// Recorder writes packets as pcapng. What it wrote stays readable when the process dies: at most
// the last second and a cut record are lost. It is not safe for concurrent use.
type Recorder struct {
	w       *pcapgo.NgWriter
	ifaces  int
	flushed time.Time
	waiting bool
	count   uint64
}

// NewRecorder begins a pcapng section on w. The numbers of the interfaces are their places in the
// list, which must not be empty.
func NewRecorder(w io.Writer, ifaces ...RecordedInterface) (*Recorder, error) {
	if len(ifaces) == 0 {
		return nil, errors.New("record packets: no interface is described")
	}
	r := &Recorder{ifaces: len(ifaces)}
	for i, d := range ifaces {
		if d.Link > 255 {
			return nil, fmt.Errorf("record packets: link type %d cannot be written", d.Link)
		}
		in := pcapgo.NgInterface{Name: d.Name, Filter: d.Filter, OS: runtime.GOOS, LinkType: layers.LinkType(d.Link),
			SnapLength: maxPacket, TimestampResolution: 9}
		var err error
		if i == 0 {
			r.w, err = pcapgo.NewNgWriterInterface(w, in, pcapgo.NgWriterOptions{
				SectionInfo: pcapgo.NgSectionInfo{Hardware: runtime.GOARCH, OS: runtime.GOOS, Application: "amtmedic"}})
		} else {
			_, err = r.w.AddInterface(in)
		}
		if err != nil {
			return nil, fmt.Errorf("record packets: %w", err)
		}
	}
	return r, r.Flush()
}

// Packet writes one packet. A heartbeat writes what waits for longer than a second.
func (r *Recorder) Packet(p *Packet) error {
	if p.Number != 0 || p.Data != nil {
		ci := gopacket.CaptureInfo{Timestamp: p.Time, CaptureLength: len(p.Data), Length: max(p.OrigLen, len(p.Data)),
			InterfaceIndex: min(max(p.Iface, 0), r.ifaces-1)}
		if err := r.w.WritePacket(ci, p.Data); err != nil {
			return fmt.Errorf("record packets: %w", err)
		}
		r.count++
		r.waiting = true
	}
	if r.waiting && time.Since(r.flushed) >= flushEvery {
		return r.Flush()
	}
	return nil
}

// Flush hands everything to the writer below.
func (r *Recorder) Flush() error {
	r.flushed, r.waiting = time.Now(), false
	if err := r.w.Flush(); err != nil {
		return fmt.Errorf("record packets: %w", err)
	}
	return nil
}

// Close notes how many packets came and were lost on interface 0, and flushes. The writer below
// stays open.
func (r *Recorder) Close(s Stats) error {
	err := r.w.WriteInterfaceStats(0, pcapgo.NgInterfaceStatistics{LastUpdate: time.Now(),
		PacketsReceived: s.Received, PacketsDropped: s.Dropped})
	return errors.Join(err, r.Flush())
}

// recorded is a source whose packets are also written.
type recorded struct {
	Source
	rec *Recorder
}

// Record gives a source that writes every packet of src before it hands it on.
func Record(src Source, rec *Recorder) Source { return &recorded{src, rec} }

// Run runs the source below; an error of writing ends it.
func (r *recorded) Run(ctx context.Context, fn func(*Packet) error) error {
	err := r.Source.Run(ctx, func(p *Packet) error {
		if err := r.rec.Packet(p); err != nil {
			return err
		}
		return fn(p)
	})
	return errors.Join(err, r.rec.Close(r.Stats()))
}
