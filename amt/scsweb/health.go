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
}

// healthEvery is how often the database is looked at, healthTime how long a look may take.
const (
	healthEvery = time.Second
	healthTime  = 2 * time.Second
)

// healthBody is the answer of health.
type healthBody struct {
	Status   string        `json:"status" enum:"ok,degraded"`
	Problems []amt.Problem `json:"problems"`
}

func (s *Server) registerHealth(api huma.API) {
	huma.Register(api, s.operation("health", http.MethodGet, "/health", anybody, "whether the server works: 200 or 503"),
		func(ctx context.Context, _ *struct{}) (*struct {
			Status int
			Body   healthBody
		}, error) {
			out := &struct {
				Status int
				Body   healthBody
			}{http.StatusOK, healthBody{"ok", s.look(ctx)}}
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
func (s *Server) look(ctx context.Context) []amt.Problem {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	if now := s.o.Now(); now.Sub(s.health.at) >= healthEvery || now.Before(s.health.at) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTime)
		defer cancel()
		s.health.problems, s.health.at = s.problems(ctx), now
	}
	return s.health.problems
}

func (s *Server) problems(ctx context.Context) []amt.Problem {
	out := []amt.Problem{}
	config, err := s.st.Config(ctx)
	switch {
	case errors.Is(err, store.ErrNoConfig):
		return append(out, amt.In("", "rc-config-missing", "the configuration row is missing"))
	case err != nil:
		return append(out, amt.In("", "rc-sql-unreachable", "the database does not answer or refuses"))
	}
	if code, words := contradiction(config["tls_mode"], s.HTTPS()); code != "" {
		out = append(out, amt.In("", code, "%s", words))
	}
	return out
}
