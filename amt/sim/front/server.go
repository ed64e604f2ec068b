package front

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"amtmedic/amt"
)

// The ports of firmware.
const (
	PortPlain = 16992 // HTTP
	PortTLS   = 16993 // HTTP over TLS
	PortPing  = 623   // presence ping, UDP
)

// Options of a Server. The zero value is usable.
type Options struct {
	// Shared makes all clients use one listener a port on every IPv4 address of this machine; the
	// client is the one whose address was called. Else each client has listeners at its address.
	Shared bool
	// AnyPort lets the system choose the ports instead of the real ones.
	AnyPort bool
	// NoPing leaves UDP 623 alone.
	NoPing bool

	HandshakeTime time.Duration // bounds a TLS handshake; zero is 15 s
	IdleTime      time.Duration // how long a session may stand between requests; zero is 20 s
	MaxSessions   int           // of one client at a time; zero is 16, more connections are reset
	MaxAll        int           // the same for all clients together; zero is 4096

	Now func() time.Time // nil is time.Now
	// Saw is told what happens, from many goroutines; nil is nobody.
	Saw func(Event)
	// Fault is asked at each step of a connection; nil is no fault.
	Fault func(Step) Fault
}

// Event is something at the ports of a client.
type Event struct {
	Kind   EventKind
	Client netip.Addr
	From   netip.AddrPort
	Setup  bool  // of a session: a pair or a provisioning certificate opened it
	Err    error // why it was refused
}

// EventKind says what an Event is about.
type EventKind string

// The kinds of events. A session counts from the end of its handshake.
const (
	SessionOpen    EventKind = "session-open"
	SessionClosed  EventKind = "session-closed"
	SessionRefused EventKind = "session-refused" // Err
	LogInRefused   EventKind = "log-in-refused"  // Err
)

// Server holds the ports of clients. Run serves them.
type Server struct {
	opt  Options
	seal []byte
	keys keyring
	http *http.Server
	door chan net.Conn   // secured connections on their way to the HTTP server
	life context.Context // ends with Run; connections hang on it, which outlive no call
	end  context.CancelFunc
	wg   sync.WaitGroup
	open atomic.Int32 // connections

	mu      sync.Mutex
	closed  bool
	clients map[netip.Addr]*Client
	shared  []io.Closer
	pingErr error
}

// New makes a server without clients.
func New(o Options) (*Server, error) {
	o.HandshakeTime = cmp.Or(o.HandshakeTime, 15*time.Second)
	o.IdleTime = cmp.Or(o.IdleTime, 20*time.Second)
	o.MaxSessions, o.MaxAll = cmp.Or(o.MaxSessions, 16), cmp.Or(o.MaxAll, 4096)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Saw == nil {
		o.Saw = func(Event) {}
	}
	if o.Fault == nil {
		o.Fault = func(Step) Fault { return None }
	}
	s := &Server{opt: o, seal: make([]byte, 32), door: make(chan net.Conn), clients: map[netip.Addr]*Client{}}
	s.life, s.end = context.WithCancel(context.Background())
	if _, err := rand.Read(s.seal); err != nil {
		return nil, fmt.Errorf("random secret of nonces: %w", err)
	}
	s.http = &http.Server{
		Handler: http.HandlerFunc(s.serveHTTP), ErrorLog: log.New(io.Discard, "", 0), DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout: 15 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: o.IdleTime, MaxHeaderBytes: 16 << 10,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, sessionKey{}, c) },
		ConnState:   afterAnswer,
	}
	return s, nil
}

// Client is one client's ports.
type Client struct {
	s       *Server
	host    Host
	addr    netip.Addr
	uuid    amt.UUID
	version amt.Version
	login   login

	syncMu sync.Mutex // one Sync at a time
	mu     sync.Mutex
	plain  net.Listener // nil while closed, and for shared listeners
	tls    net.Listener
	ping   net.PacketConn
	gone   bool
	open   int // connections, those whose handshake runs included
	live   map[*session]struct{}
	own    *certificate
}

// Add puts a client at an address and opens what its state asks for.
func (s *Server) Add(addr netip.Addr, uuid amt.UUID, version amt.Version, h Host) (*Client, error) {
	c := &Client{s: s, host: h, addr: addr, uuid: uuid, version: version, login: login{uuid: uuid, seal: s.seal}}
	s.mu.Lock()
	_, taken := s.clients[addr]
	if !taken && !s.closed {
		s.clients[addr] = c
	}
	closed := s.closed
	s.mu.Unlock()
	switch {
	case taken:
		return nil, fmt.Errorf("two clients at %s", addr)
	case closed:
		return nil, net.ErrClosed
	}
	if err := c.Sync(); err != nil {
		return nil, err
	}
	return c, nil
}

// PingError tells why UDP 623 could not be opened for some client; nil when it could.
func (s *Server) PingError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pingErr
}

// Sessions counts the open sessions of all clients.
func (s *Server) Sessions() int {
	n := 0
	for _, c := range s.all() {
		n += c.Sessions()
	}
	return n
}

func (s *Server) all() []*Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Client, 0, len(s.clients))
	for _, c := range s.clients {
		out = append(out, c)
	}
	return out
}

// client finds who lives at an address; nil for nobody.
func (s *Server) client(addr netip.Addr) *Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients[addr.Unmap()]
}

// Run answers until ctx ends, then closes every port and session. It runs once.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.close)
	defer stop()
	err := s.http.Serve((*door)(s))
	s.close()
	s.wg.Wait()
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (s *Server) close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	s.end()
	shared := s.shared
	s.mu.Unlock()
	for _, c := range shared {
		_ = c.Close()
	}
	for _, c := range s.all() {
		c.shut()
	}
	_ = s.http.Close()
}

// start runs fn in a goroutine that Run waits for.
func (s *Server) start(fn func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		fn()
	}()
	return true
}

// door is the listener that the HTTP server accepts from.
type door Server

// Accept gives the next connection whose handshake is done.
func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.door:
		return c, nil
	case <-d.life.Done():
		return nil, net.ErrClosed
	}
}

// Close does nothing: the end of Run closes the door.
func (d *door) Close() error { return nil }

// Addr has no meaning here.
func (d *door) Addr() net.Addr { return &net.TCPAddr{} }
