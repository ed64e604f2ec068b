package remedy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/provision"
	"amtmedic/amt/store"
)

// Listener says where the embedded hello server listens.
type Listener struct {
	ID        string // the remedy's id
	Listen    string // HOST:PORT; empty means :9971
	Target    string // database, as --db takes it
	Options   store.Options
	Provision provision.Options
}

// HelloServer is the embedded hello server of this process. It runs from Apply until Undo or Close.
type HelloServer struct {
	Listener
	mu   sync.Mutex
	stop context.CancelFunc
	done chan error
	at   net.Addr
}

// NewHelloServer makes the server; nothing runs yet.
func NewHelloServer(l Listener) *HelloServer {
	if l.Listen == "" {
		l.Listen = fmt.Sprintf(":%d", amt.HelloPort)
	}
	return &HelloServer{Listener: l}
}

// Action gives the repair that starts it where nobody listens.
func (h *HelloServer) Action() Action {
	return Action{ID: h.ID, Plan: h.plan, Apply: h.apply, Undo: func(context.Context) error { return h.Close() }}
}

// Addr gives the address that it listens on, nil while it does not run.
func (h *HelloServer) Addr() net.Addr {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

// plan tries whether the port is free, and gives it back at once.
func (h *HelloServer) plan(ctx context.Context) (Plan, error) {
	ln, err := h.listen(ctx)
	if err != nil {
		return Plan{}, err
	}
	at := ln.Addr().String()
	if err := ln.Close(); err != nil {
		return Plan{}, err
	}
	return Plan{Title: "Start the hello server of this program", Confirm: "yes", Undo: "stops it; hellos that were received stay in the database",
		Rows: []Row{{"listens on", at}, {"keeps hellos in", h.Target}, {"adds", "rows of clients that say hello; the database and its key file when they are not there"},
			{"removes", "nothing"}, {"undo", "stops it"}, {"ends", "with this program"}, {"checked first", "nobody listens there now"}},
		ByHand: []string{"amtmedic serve --listen " + h.Listen + " --db " + h.Target, "it runs until it is stopped, without this screen"}}, nil
}

func (h *HelloServer) listen(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", h.Listen)
	if err != nil {
		return nil, &amt.Error{Op: "listen", Subject: h.Listen, Err: err, Hint: "another program has the port, or the address is not of this machine"}
	}
	return ln, nil
}

func (h *HelloServer) apply(ctx context.Context, _ map[string]string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stop != nil {
		return "", &amt.Error{Op: "start hello server", Subject: h.at.String(), Err: errors.New("it runs already")}
	}
	st, err := store.Open(ctx, h.Target, h.Options)
	if err != nil {
		return "", err
	}
	ln, err := h.listen(ctx)
	if err != nil {
		return "", errors.Join(err, st.Close())
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx)) // it outlives the request that started it
	h.stop, h.done, h.at = stop, make(chan error, 1), ln.Addr()
	go func() { h.done <- errors.Join(provision.New(st, h.Provision).Serve(run, ln), st.Close()) }()
	if err := h.answers(ctx); err != nil {
		return "", errors.Join(err, h.end())
	}
	return "hellos are received on " + h.at.String(), nil
}

// answers connects to the server once, as a client would.
func (h *HelloServer) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	to := h.at.String()
	if host, port, err := net.SplitHostPort(to); err == nil && net.ParseIP(host).IsUnspecified() {
		to = net.JoinHostPort("localhost", port)
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", to)
	if err != nil {
		return &amt.Error{Op: "connect to the hello server", Subject: to, Err: err}
	}
	return c.Close()
}

// Close stops the server and waits until what it received is kept. It is harmless when none runs.
func (h *HelloServer) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stop == nil {
		return nil
	}
	return h.end()
}

func (h *HelloServer) end() error {
	h.stop()
	err := <-h.done
	h.stop, h.done, h.at = nil, nil, nil
	return err
}
