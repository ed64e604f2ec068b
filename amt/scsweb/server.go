// Package scsweb is the web service of the provisioning core, for consoles: the role that the AMTSCS
// directory had. It gives clients, names, keys, profiles, queue, settings and log as JSON under
// /amtscs/v1, with tokens, roles and an audit of every change. New and Server.Serve are the entry
// points; the listener comes from outside. It configures no client itself.
package scsweb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"amtmedic/amt/provision"
	"amtmedic/amt/store"
)

// Prefix is the path that everything lies below.
const Prefix = "/amtscs/v1"

// Limits bound what strangers can take. Zero fields get their defaults.
type Limits struct {
	Open          int           // connections at once; default 512
	OpenPerSource int           // of one source address; default 64
	Header        time.Duration // until a request's header is there; default 5 s
	Body          time.Duration // until its body is there; default 30 s
	Answer        time.Duration // until an answer is taken; default 60 s
	Idle          time.Duration // between two requests; default 60 s
	Streams       int           // listeners of events at once; default 64
	Beat          time.Duration // between signs of life of a stream; default 15 s
}

func (l Limits) withDefaults() Limits {
	number := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	span := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	number(&l.Open, 512)
	number(&l.OpenPerSource, 64)
	number(&l.Streams, 64)
	span(&l.Header, 5*time.Second)
	span(&l.Body, 30*time.Second)
	span(&l.Answer, time.Minute)
	span(&l.Idle, time.Minute)
	span(&l.Beat, 15*time.Second)
	return l
}

// Options say how a server works. Store is required.
type Options struct {
	Store       *store.Store
	Certificate *tls.Certificate // https; nil is http
	ClientCAs   *x509.CertPool   // who signs certificates of consoles; nil: none is asked for
	ClientToken bool             // every connection needs such a certificate, and every request a token all the same
	Version     string           // of the program, for the OpenAPI document
	Now         func() time.Time // nil is time.Now
	Log         *slog.Logger     // nil is silence
	Wake        func()           // tells the worker that the queue has something; may be nil
	Limits      Limits
}

// Server is the web service.
type Server struct {
	st       *store.Store
	o        Options
	hub      *hub
	metrics  *metrics
	failures *failures
	health   health
	handler  http.Handler
}

// New makes a server. It starts nothing.
func New(o Options) *Server {
	o.Limits = o.Limits.withDefaults()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Wake == nil {
		o.Wake = func() {}
	}
	s := &Server{st: o.Store, o: o, hub: newHub(o.Limits.Streams), failures: newFailures()}
	s.metrics = newMetrics(o.Store)
	mux := http.NewServeMux()
	strays := s.strays(s.register(mux), mux)
	mux.Handle("/", strays)
	s.handler = s.guard(routed(mux, strays))
	return s
}

// tls gives how https is spoken. A certificate of a console that is shown has to be sound, also where
// none is needed.
func (s *Server) tls() *tls.Config {
	c := &tls.Config{Certificates: []tls.Certificate{*s.o.Certificate}, MinVersion: tls.VersionTLS12}
	if s.o.ClientCAs != nil {
		c.ClientCAs, c.ClientAuth = s.o.ClientCAs, tls.VerifyClientCertIfGiven
		if s.o.ClientToken {
			c.ClientAuth = tls.RequireAndVerifyClientCert
		}
	}
	return c
}

// Handler answers requests; Serve uses it with limits around it.
func (s *Server) Handler() http.Handler { return s.handler }

// HTTPS reports whether the service speaks https.
func (s *Server) HTTPS() bool { return s.o.Certificate != nil }

// Event takes what happened in the core: it counts it, and passes it to those who listen. It never waits.
func (s *Server) Event(e provision.Event) {
	s.metrics.event(e)
	s.hub.publish(newEvent(e))
}

// stopTime is how long answers under way may take after the context ended.
const stopTime = 5 * time.Second

// Serve answers on ln until ctx ends, and closes ln. It returns nil after an orderly stop, which takes
// at most six seconds.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	l := s.o.Limits
	var conns net.Listener = newBounded(ln, l.Open, l.OpenPerSource)
	if s.HTTPS() {
		conns = tls.NewListener(conns, s.tls())
	}
	srv := &http.Server{Handler: s.handler, ReadHeaderTimeout: l.Header, ReadTimeout: l.Body, WriteTimeout: l.Answer, IdleTimeout: l.Idle,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(quiet{s.o.Log.Handler()}, slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) }}
	var wg sync.WaitGroup
	done := make(chan struct{})
	watching, unwatch := context.WithCancel(ctx)
	wg.Go(func() { s.watch(watching) })
	wg.Go(func() {
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
		s.hub.close() // streams have no end of their own
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		if srv.Shutdown(limit) != nil {
			_ = srv.Close()
		}
	})
	err := srv.Serve(conns)
	close(done)
	unwatch()
	wg.Wait()
	if errors.Is(err, http.ErrServerClosed) || ctx.Err() != nil {
		return nil
	}
	return err
}

// quiet is a log handler for what net/http says of single connections: strangers cause it.
type quiet struct{ slog.Handler }

// Handle makes one kind of event of whatever the library says.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, slog.LevelDebug, "web service: a connection failed", r.PC)
	out.AddAttrs(slog.String("text", strings.TrimPrefix(r.Message, "http: ")))
	return q.Handler.Handle(ctx, out)
}
