package wire

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"

	"amtmedic/amt"
	"amtmedic/capture"
	"amtmedic/diag"
)

// Which says which packets are meant.
type Which struct {
	Side   diag.Vantage // empty: of both sides
	Client netip.Addr   // packets in which its address stands; the zero value: all
}

// lookBytes is how far into a packet an address is looked for: past the headers and the answer of a
// name server, the lease of a DHCP server and what an ICMP error quotes.
const lookBytes = 600

// Save writes the packets that the taps hold now into a new pcapng file that only its owner may read,
// and tells how many. A file that is there already is never written over. Without a packet, or after
// an error, no file is left. Packets of two captures stand one behind the other, each with its
// interface.
func (l *Log) Save(ctx context.Context, path string, w Which) (int, error) {
	l.mu.Lock()
	taps := slices.Clone(l.taps)
	l.mu.Unlock()
	s := &saver{path: path, iface: map[described]int{}}
	if w.Client.IsValid() {
		s.addr = w.Client.Unmap().AsSlice()
	}
	var err error
	for _, t := range taps {
		if err == nil && (w.Side == "" || t.Side == w.Side) {
			err = s.take(ctx, t)
		}
	}
	if s.rec == nil {
		if err == nil {
			err = &amt.Error{Op: "save packets", Err: errors.New("there is no packet of that client"), Hint: "choose a line of another client, or another vantage"}
		}
		return 0, err
	}
	err = errors.Join(err, s.rec.Close(capture.Stats{Received: uint64(s.n)}))
	if err != nil {
		return 0, errors.Join(err, os.Remove(path))
	}
	return s.n, nil
}

// described names an interface of the file that is written.
type described struct {
	tap  int
	link capture.LinkType
}

// saver writes packets. The file is made with the first of them.
type saver struct {
	path  string
	addr  []byte
	rec   *capture.Recorder
	iface map[described]int
	n     int
}

// take writes what fits of a tap.
func (s *saver) take(ctx context.Context, t *tap) error {
	src, err := t.Open(false)
	if err != nil {
		return err
	}
	defer shut(src)
	return src.Run(ctx, func(p *capture.Packet) error {
		if p.Number == 0 && p.Data == nil || !bytes.Contains(p.Data[:min(len(p.Data), lookBytes)], s.addr) {
			return nil
		}
		i, err := s.number(t, p.Link)
		if err != nil {
			return err
		}
		q := *p
		q.Iface = i
		s.n++
		return s.rec.Packet(&q)
	})
}

// number gives the number of an interface, and describes one that is new.
func (s *saver) number(t *tap, link capture.LinkType) (int, error) {
	k := described{t.n, link}
	if i, ok := s.iface[k]; ok {
		return i, nil
	}
	d := capture.RecordedInterface{Name: string(t.Side) + ": " + t.Name, Link: link}
	var err error
	if s.rec == nil {
		s.rec, err = capture.CreateRecorder(s.path, capture.RecordOptions{}, d)
	} else {
		err = s.rec.AddInterface(d)
	}
	if err != nil {
		return 0, err
	}
	s.iface[k] = len(s.iface)
	return s.iface[k], nil
}
