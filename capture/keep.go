package capture

import (
	"context"
	"errors"
	"io"
)

// ScanInto is Scan with a recording: every packet of src goes to sink, with what was seen in it as
// its comment, before those events are given to emit. It closes sink at the end.
func ScanInto(ctx context.Context, src Source, sink Sink, opt Options, emit func(Event)) error {
	var seen []Event
	s := NewScanner(opt, func(e Event) { seen = append(seen, e) })
	keep := func(p *Packet) error {
		if err := announce(src, sink, p); err != nil {
			return err
		}
		err := sink.Take(p, seen)
		for _, e := range seen {
			emit(e)
		}
		seen = seen[:0]
		return err
	}
	err := src.Run(ctx, func(p *Packet) error {
		s.Packet(p)
		err := keep(p)
		opt.paused(p)
		return err
	})
	s.End()
	err = errors.Join(err, keep(&Packet{}), sink.Close(src.Stats()))
	s.fillStats(opt, src)
	return err
}

// announce describes interfaces that the source found meanwhile, before their first packet.
func announce(src Source, sink Sink, p *Packet) error {
	if p.Iface < sink.Interfaces() {
		return nil
	}
	many, ok := src.(interface{ Interfaces() []RecordedInterface })
	if !ok {
		return nil
	}
	list := many.Interfaces()
	for n := sink.Interfaces(); n < len(list); n++ {
		if err := sink.AddInterface(list[n]); err != nil {
			return err
		}
	}
	return nil
}

// recorded is a source whose packets are also written.
type recorded struct {
	Source
	sink Sink
}

// Record gives a source that writes every packet of src before it hands it on, and closes sink at
// the end.
func Record(src Source, sink Sink) Source { return &recorded{src, sink} }

// Run runs the source below; an error of writing ends it unless the recorder keeps on.
func (r *recorded) Run(ctx context.Context, fn func(*Packet) error) error {
	err := r.Source.Run(ctx, func(p *Packet) error {
		if err := announce(r.Source, r.sink, p); err != nil {
			return err
		}
		if err := r.sink.Take(p, nil); err != nil {
			return err
		}
		return fn(p)
	})
	return errors.Join(err, r.sink.Close(r.Stats()))
}

// Close closes the source below where it can be closed.
func (r *recorded) Close() error {
	if c, ok := r.Source.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
