package scsweb

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// health remembers the last look at the database: anybody may ask.
type health struct {
	mu       sync.Mutex
	at       time.Time
	problems []amt.Problem
	tlsMode  string
	servers  serverCount
	told     string // the code of the problem that the log knows of
}

// healthEvery is how often the database is looked at, healthTime how long a look may take.
const (
	healthEvery = time.Second
	healthTime  = 2 * time.Second
)

// healthBody is the answer of health.
type healthBody struct {
	Status   string        `json:"status" enum:"ok,degraded"`
	HTTPS    bool          `json:"https" doc:"whether this service speaks https"`
	TLSMode  string        `json:"tls_mode" doc:"TLS of AMT management: off, server, mutual; https has to be exactly where it is not off. Empty while the database is away"`
	Servers  serverCount   `json:"servers" doc:"the servers that work on the database, this one included"`
	Problems []amt.Problem `json:"problems"`
}

// serverCount is how many servers work on a database; anybody may know it.
type serverCount struct {
	Alive  int `json:"alive" doc:"that were seen within their lease"`
	Silent int `json:"silent" doc:"that fell silent without a farewell in the last day"`
}

func (s *Server) registerHealth(api huma.API) {
	huma.Register(api, s.operation("health", http.MethodGet, "/health", anybody, "whether the server works: 200 or 503"),
		func(ctx context.Context, _ *struct{}) (*struct {
			Status int
			Body   healthBody
		}, error) {
			problems, mode := s.look(ctx)
			servers := s.counted()
			out := &struct {
				Status int
				Body   healthBody
			}{http.StatusOK, healthBody{"ok", s.HTTPS(), mode, servers, problems}}
			if len(out.Body.Problems) > 0 {
				out.Status, out.Body.Status = http.StatusServiceUnavailable, "degraded"
			}
			return out, nil
		})
	op := s.operation("metrics", http.MethodGet, "/metrics", here, "metrics for Prometheus")
	op.Responses = map[string]*huma.Response{"200": {Description: "text format of Prometheus", Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}}}}
	huma.Register(api, op, func(context.Context, *struct{}) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			r, w := humago.Unwrap(ctx)
			s.metrics.handler.ServeHTTP(w, r)
		}}, nil
	})
}

// look says what is wrong, in words that anybody may read.
func (s *Server) look(ctx context.Context) (found []amt.Problem, tlsMode string) {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	if now := s.o.Now(); now.Sub(s.health.at) >= healthEvery || now.Before(s.health.at) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTime)
		defer cancel()
		s.health.problems, s.health.tlsMode = s.problems(ctx)
		s.health.servers = s.servers(ctx)
		s.health.at = now
		s.tellHealth(s.health.problems)
	}
	return s.health.problems, s.health.tlsMode
}

// counted gives the servers that the last look saw.
func (s *Server) counted() serverCount {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	return s.health.servers
}

// servers counts the servers of the database; none while it is away.
func (s *Server) servers(ctx context.Context) (n serverCount) {
	all, err := s.st.Servers(ctx)
	if err != nil {
		return n
	}
	for _, r := range all {
		if r.Alive {
			n.Alive++
		} else {
			n.Silent++
		}
	}
	return n
}

// tellHealth writes a line when a problem begins or ends.
func (s *Server) tellHealth(found []amt.Problem) {
	code := ""
	if len(found) > 0 {
		code = found[0].Code
	}
	switch {
	case code == s.health.told:
		return
	case code == "":
		s.o.Log.Info("web service: healthy again", "code", s.health.told)
	default:
		s.o.Log.Error("web service: degraded", "code", code, "text", found[0].Text)
	}
	s.health.told = code
}

// watchEvery is how often the service looks after itself when nobody asks.
const watchEvery = 10 * time.Second

// watch looks until ctx ends, so that the log tells what health would.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		s.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Server) problems(ctx context.Context) (out []amt.Problem, tlsMode string) {
	out = []amt.Problem{}
	config, err := s.st.Config(ctx)
	switch {
	case errors.Is(err, store.ErrNoConfig):
		return append(out, amt.In("", "rc-config-missing", "the configuration row is missing")), ""
	case err != nil:
		return append(out, amt.In("", "rc-sql-unreachable", "the database does not answer or refuses")), ""
	}
	if code, words := contradiction(config["tls_mode"], s.HTTPS()); code != "" {
		out = append(out, amt.In("", code, "%s", words))
	}
	return out, config["tls_mode"]
}
