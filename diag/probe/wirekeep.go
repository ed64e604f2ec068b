package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"amtmedic/capture"
	"amtmedic/diag"
)

// errRead ends the second reading of a file that has grown since.
var errRead = errors.New("what was read before is read again")

// mostKept bounds the events that comment the packets of a file that is kept.
const mostKept = 20000

// holding is a report whose facts wait until it is known where their packets are kept.
type holding struct {
	Report
	facts []diag.Fact
}

// Fact holds a fact back.
func (h *holding) Fact(f diag.Fact) { h.facts = append(h.facts, f) }

// release gives the facts, with the place of their packets in the case before that in the file.
func (h *holding) release(place func(name string) string) {
	for _, f := range h.facts {
		var kept diag.Evidence
		for _, e := range f.Evidence {
			if p := place(e); p != "" {
				kept = append(kept, p)
			}
		}
		f.Evidence = append(kept, f.Evidence...)
		h.Report.Fact(f)
	}
	h.facts = nil
}

// keepFile puts what a file holds of the client into the case: a file on an engineer's disk is not with
// the case when it goes to the next team. It reads the file a second time, no further than packet last,
// and gives where a packet is kept; the function is never nil.
func (w *Wire) keepFile(ctx context.Context, g *gatherer, last int) func(evidence string) string {
	nowhere := func(string) string { return "" }
	src, err := capture.OpenFile(w.Name, nil)
	if err != nil {
		g.r.Saw(fmt.Sprintf("the packets are not kept: %v", err))
		return nowhere
	}
	defer func() { _ = src.Close() }()
	k := &keeping{w: w, g: g, last: last, match: capture.NewMatcher(w.Ports...), place: map[string]string{}}
	err = src.Run(ctx, k.packet)
	if err != nil && !errors.Is(err, errRead) {
		g.r.Saw(fmt.Sprintf("the packets are not all kept: %v", err))
	}
	for _, rec := range k.recs {
		if err := rec.rec.Close(capture.Stats{}); err != nil {
			g.r.Saw(fmt.Sprintf("the packets are not all kept: %v", err))
		}
	}
	return func(evidence string) string { return k.place[evidence] }
}

// keeping is the second reading.
type keeping struct {
	w     *Wire
	g     *gatherer
	last  int
	match *capture.Matcher
	recs  []kept
	place map[string]string // evidence in the file: evidence in the case
	full  bool
}

// kept is a recording in the case, of packets of one link type.
type kept struct {
	link capture.LinkType
	rec  *capture.Recorder
	ref  string
}

// packet keeps a packet of the client, with what was seen in it.
func (k *keeping) packet(p *capture.Packet) error {
	if p.Number > k.last || k.full {
		return errRead
	}
	seen := k.g.mine[p.Number]
	if len(seen) == 0 && !k.ours(p) {
		return nil
	}
	i := slices.IndexFunc(k.recs, func(r kept) bool { return r.link == p.Link })
	if i < 0 {
		file, ref, err := k.w.Record()
		if err != nil {
			return err
		}
		rec, err := capture.RecordTo(file, capture.RecordOptions{Ports: k.w.Ports, Note: "of " + k.w.Name},
			capture.RecordedInterface{Name: k.w.Name, Link: p.Link, Filter: "packets of the client"})
		if err != nil {
			return err
		}
		i, k.recs = len(k.recs), append(k.recs, kept{p.Link, rec, ref})
	}
	r := &k.recs[i]
	if r.rec.Size() > mostRecorded {
		k.full = true
		k.g.r.Saw(fmt.Sprintf("more than %d MiB are of the client: the rest is not kept in the case", mostRecorded>>20))
		return errRead
	}
	one := *p
	one.Iface = 0
	if err := r.rec.Take(&one, seen); err != nil {
		return err
	}
	if len(seen) > 0 {
		k.place[fmt.Sprintf("%s#%d", k.w.Name, p.Number)] = fmt.Sprintf("%s#%d", r.ref, r.rec.Packets())
	}
	return nil
}

// ours says whether a packet is one of the client and can matter.
func (k *keeping) ours(p *capture.Packet) bool {
	src, dst := p.Addrs()
	return (slices.Contains(k.g.clients, src) || slices.Contains(k.g.clients, dst)) && k.match.Match(p.Link, p.Data)
}
