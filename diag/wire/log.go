package wire

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"

	"amtmedic/amt"
	"amtmedic/capture"
	"amtmedic/diag"
)

// maxLines bounds the lines that are kept. When there are a fifth more, the oldest ones are let go.
const maxLines = 100_000

// Log holds the lines of one case. Its methods are safe for concurrent use.
type Log struct {
	changed chan struct{}
	wanted  chan struct{}
	once    sync.Once
	wg      sync.WaitGroup

	mu      sync.Mutex
	ctx     context.Context // of Run, once it reads
	ports   []uint16
	taps    []*tap
	open    map[key]try
	lines   []*Line // by ID, the first one has the ID base
	base    int
	touched []int // IDs in the order of their changes
	passed  int   // changes before those in touched
}

// New makes a log of what the taps show. Nothing is read before Run runs and Want was called.
func New(taps ...Tap) *Log {
	l := &Log{changed: make(chan struct{}, 1), wanted: make(chan struct{}), open: map[key]try{}}
	for _, t := range taps {
		l.Add(t)
	}
	return l
}

// Add adds a tap, also while the log is read. The function that it gives says that nothing is written
// to the tap any more: it is read to its end then.
func (l *Log) Add(t Tap) (done func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := &tap{Tap: t, n: len(l.taps)}
	l.taps = append(l.taps, x)
	l.start(x)
	return func() { x.done.Store(true) }
}

// Want says that somebody looks, and to which further TCP ports hellos may go: the reading begins.
// Only the first call counts.
func (l *Log) Want(ports ...uint16) {
	l.once.Do(func() {
		l.mu.Lock()
		l.ports = []uint16{amt.HelloPort}
		for _, p := range ports {
			if !slices.Contains(l.ports, p) {
				l.ports = append(l.ports, p)
			}
		}
		l.mu.Unlock()
		close(l.wanted)
	})
}

// Ports gives the ports besides the usual one that facts name as those of hellos.
func Ports(facts []diag.Fact) []uint16 {
	var out []uint16
	for _, f := range facts {
		if s, ok := f.Value.(string); ok && f.Key == "client.server_override" {
			if ap, err := netip.ParseAddrPort(s); err == nil && !slices.Contains(out, ap.Port()) {
				out = append(out, ap.Port())
			}
		}
	}
	return out
}

// Run reads the taps, once somebody looks, until ctx ends. It returns when nothing is open any more.
func (l *Log) Run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-l.wanted:
	}
	l.mu.Lock()
	l.ctx = ctx
	for _, t := range l.taps {
		l.start(t)
	}
	l.mu.Unlock()
	<-ctx.Done()
	l.mu.Lock()
	l.ctx = nil // no tap begins any more
	l.mu.Unlock()
	l.wg.Wait()
}

// start begins to read a tap, when the log is read. The caller holds the lock.
func (l *Log) start(t *tap) {
	if l.ctx == nil {
		return
	}
	ctx := l.ctx
	l.wg.Go(func() {
		err := l.read(ctx, t)
		if ctx.Err() != nil {
			return
		}
		l.mu.Lock()
		t.failed = err
		l.mu.Unlock()
		t.read.Store(true)
		l.signal()
	})
}

// errWhole ends the reading of a recording to which nothing is written any more.
var errWhole = errors.New("the recording was read to its end")

// read turns the packets of a tap into lines.
func (l *Log) read(ctx context.Context, t *tap) error {
	src, err := t.Open(true)
	if err != nil {
		return err
	}
	defer shut(src)
	l.mu.Lock()
	opt := capture.Options{Ports: l.ports, File: t.Name}
	l.mu.Unlock()
	s := capture.NewScanner(opt, func(e capture.Event) { l.event(t, e) })
	err = src.Run(ctx, func(p *capture.Packet) error {
		beat := p.Number == 0 && p.Data == nil
		t.see(p)
		s.Packet(p)
		if beat && t.done.Load() {
			return errWhole
		}
		return nil
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.End()
	if errors.Is(err, errWhole) {
		err = nil
	}
	return err
}

// event takes what a scanner saw.
func (l *Log) event(t *tap, e capture.Event) {
	l.mu.Lock()
	l.fold(t, e)
	l.mu.Unlock()
	l.signal()
}

func (l *Log) signal() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// Changed is signalled after lines came or changed; several changes may come as one signal.
func (l *Log) Changed() <-chan struct{} { return l.changed }

// line begins a line. The caller holds the lock, as for the functions below.
func (l *Log) line(t *tap, e capture.Event, client netip.Addr, what string) *Line {
	return &Line{ID: l.base + len(l.lines), At: e.Time, Side: t.Side, Kind: e.Kind, From: e.Src, To: e.Dst, Client: client,
		What: what, Try: -1, Retry: -1, Packet: e.Packet, Source: t.Name, event: e}
}

// put adds a line and gives its ID.
func (l *Log) put(n *Line) int {
	l.lines = append(l.lines, n)
	l.touch(n.ID)
	if len(l.lines) > maxLines+maxLines/5 {
		drop := len(l.lines) - maxLines
		l.lines = slices.Clone(l.lines[drop:])
		l.base += drop
	}
	return n.ID
}

// at gives a line that is kept, else nil.
func (l *Log) at(id int) *Line {
	if i := id - l.base; i >= 0 && i < len(l.lines) {
		return l.lines[i]
	}
	return nil
}

// replace puts a line in the place of the one with its ID.
func (l *Log) replace(n *Line) {
	if i := n.ID - l.base; i >= 0 && i < len(l.lines) {
		l.lines[i] = n
		l.touch(n.ID)
	}
}

func (l *Log) touch(id int) {
	if len(l.touched) >= 4*maxLines {
		l.passed += len(l.touched)
		l.touched = l.touched[:0]
	}
	l.touched = append(l.touched, id)
}

// Batch is what changed since an earlier one.
type Batch struct {
	Lines   []*Line  // new or changed, those that came first before the others
	Cursor  int      // for the next Since
	First   int      // lines with a smaller ID are kept no more
	Sources []Source // every tap, in the order in which they were added
}

// Since gives what changed after the batch with a cursor; 0 gives all.
func (l *Log) Since(cursor int) Batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := Batch{Cursor: l.passed + len(l.touched), First: l.base}
	for _, t := range l.taps {
		b.Sources = append(b.Sources, t.source())
	}
	if cursor < l.passed || cursor == 0 {
		b.Lines = slices.Clone(l.lines)
		return b
	}
	ids := slices.Clone(l.touched[min(len(l.touched), cursor-l.passed):])
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if n := l.at(id); n != nil {
			b.Lines = append(b.Lines, n)
		}
	}
	return b
}
