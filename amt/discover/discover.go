// Package discover finds AMT on the network without credentials: by the header Server on TCP 16992
// and 16993, and by the RMCP presence ping on UDP 623. It asks nothing else and logs in nowhere.
package discover

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// The ports that are asked.
const (
	PortPlain = 16992
	PortTLS   = 16993
	PortPing  = 623
)

// The states of a client. Unknown: nothing that answered tells.
const (
	Pre     = "pre"
	In      = "in"
	Post    = "post"
	Unknown = "unknown"
)

// Host is a host with AMT. The fields are those of docs/json.md.
type Host struct {
	Host       string `json:"host"`        // as it was asked for: name or address
	AMTVersion string `json:"amt_version"` // of the header, else of the pong; empty when neither tells
	State      string `json:"state"`
	Address    string `json:"address"`
	Ports      []int  `json:"ports"` // of 16992 and 16993 those that are open
	Ping       bool   `json:"ping"`
	Server     string `json:"server"`
	TLS        string `json:"tls"` // version on 16993: 1.0 to 1.3; empty without a session
}

// Options of a run.
type Options struct {
	Rate    int           // connections and pings a second, from 1
	Timeout time.Duration // for each connection, again for its answer, and for the pong
	Lookup  func(ctx context.Context, name string) ([]netip.Addr, error)
	Ports   Ports       // that are asked; zero ones are those of firmware
	From    int         // number of the first host to ask
	Done    func(Event) // called by one goroutine at a time, after each host
}

// Ports are the ports of a run: other ones than those of firmware are for tests.
type Ports struct{ Plain, TLS, Ping int }

// Event is the end of asking one host.
type Event struct {
	Index   int
	Mark    int // all hosts below are done
	Host    *Host
	Reached bool  // something came back from the host
	Err     error // the name has no address
}

type scan struct {
	opt  Options
	pace *pace
	mu   sync.Mutex
	mark int
	done map[int]bool // at or above mark
}

// maxAtOnce bounds the hosts that are asked at the same time: each takes three descriptors.
const maxAtOnce = 300

// Run asks every host once. It ends with the context's error when that ends first; hosts that were
// being asked then are not done.
func Run(ctx context.Context, t *Targets, opt Options) error {
	if opt.Lookup == nil {
		opt.Lookup = func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		}
	}
	opt.Ports = Ports{cmp.Or(opt.Ports.Plain, PortPlain), cmp.Or(opt.Ports.TLS, PortTLS), cmp.Or(opt.Ports.Ping, PortPing)}
	s := &scan{opt: opt, pace: newPace(opt.Rate), mark: opt.From, done: map[int]bool{}}
	numbers := make(chan int)
	var wg sync.WaitGroup
	for range min(maxAtOnce, max(1, t.Len()-opt.From)) {
		wg.Go(func() {
			for i := range numbers {
				s.one(ctx, t, i)
			}
		})
	}
	for i := opt.From; i < t.Len() && ctx.Err() == nil; i++ {
		select {
		case numbers <- i:
		case <-ctx.Done():
		}
	}
	close(numbers)
	wg.Wait()
	return ctx.Err()
}

func (s *scan) one(ctx context.Context, t *Targets, i int) {
	name, addr, err := t.at(i)
	ev := Event{Index: i}
	switch {
	case errors.Is(err, errTwice):
	case name != "":
		addr, ev.Err = s.lookup(ctx, name)
		if ev.Err == nil {
			ev = s.host(ctx, i, name, addr)
		}
	default:
		ev = s.host(ctx, i, addr.String(), addr)
	}
	if ctx.Err() != nil && ev.Host == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[i] = true
	for s.done[s.mark] {
		delete(s.done, s.mark)
		s.mark++
	}
	ev.Mark = s.mark
	s.opt.Done(ev)
}

func (s *scan) host(ctx context.Context, i int, host string, addr netip.Addr) Event {
	ev := Event{Index: i}
	h, found, reached := s.ask(ctx, addr)
	ev.Reached = reached
	if found && ctx.Err() == nil { // half an answer is asked for again
		h.Host = host
		ev.Host = &h
	}
	return ev
}

// lookup gives the address of a name, IPv4 first.
func (s *scan) lookup(ctx context.Context, name string) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, max(5*time.Second, s.opt.Timeout))
	defer cancel()
	all, err := s.opt.Lookup(ctx, name)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range all {
		if a.Unmap().Is4() {
			return a.Unmap(), nil
		}
	}
	if len(all) == 0 {
		return netip.Addr{}, errors.New("the name has no address")
	}
	return all[0], nil
}
