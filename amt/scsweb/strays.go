package scsweb

import (
	"net/http"
	"path"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"amtmedic/amt/store"
)

// strays gives the handler of requests that no operation takes: an unknown path, or a method that its
// path does not have. They are answered in the form of all errors, and like all others after a token was
// shown: what this service has is not for strangers.
func (s *Server) strays(api huma.API, mux *http.ServeMux) http.Handler {
	op := s.operation("no-operation", "", "", store.RoleRead, "")
	auth := s.authenticate(api)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		auth(humago.NewContext(&op, r, w), func(ctx huma.Context) {
			if methods := methodsOf(mux, r); len(methods) > 0 {
				ctx.SetHeader("Allow", strings.Join(methods, ", "))
				_ = huma.WriteErr(api, ctx, http.StatusMethodNotAllowed, "this path has other methods: "+strings.Join(methods, ", "))
				return
			}
			_ = huma.WriteErr(api, ctx, http.StatusNotFound, "there is no such path; all paths stand in "+Prefix+"/openapi.json")
		})
	})
}

// methodsOf gives the methods that operations have at the path of a request.
func methodsOf(mux *http.ServeMux, r *http.Request) []string {
	if !clean(r) {
		return nil
	}
	var out []string
	for _, m := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = m
		if _, pattern := mux.Handler(other); pattern != "" && pattern != "/" {
			out = append(out, m)
		}
	}
	return out
}

// clean reports whether a path is one that an operation may have; the mux would lead others elsewhere.
func clean(r *http.Request) bool { return r.URL.Path == path.Clean(r.URL.Path) }

// routed sends what the mux would redirect to the strays.
func routed(mux, strays http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !clean(r) {
			strays.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}
