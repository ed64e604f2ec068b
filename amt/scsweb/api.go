package scsweb

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// OpenAPI gives the document of the interface, OpenAPI 3.1 as indented JSON.
func OpenAPI(version string) ([]byte, error) {
	s := &Server{o: Options{Version: version}}
	api := s.register(http.NewServeMux())
	return json.MarshalIndent(api.OpenAPI(), "", "  ")
}

// register adds every operation to a mux.
func (s *Server) register(mux *http.ServeMux) huma.API {
	version := s.o.Version
	if version == "" {
		version = "0"
	}
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{Title: "Provisioning core", Version: version,
				Description: "Clients, names, keys, profiles, queue, settings and log of the setup server. Secrets are written, never read."},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token":       {Type: "http", Scheme: "bearer", Description: "made by: amtmedic web token create NAME --role ROLE"},
					"certificate": {Type: "mutualTLS", Description: "where serve has --web-client-ca; admitted by: amtmedic web token create NAME --role ROLE --certificate FILE"},
				},
			},
		},
		Formats: huma.DefaultFormats, DefaultFormat: "application/json", RejectUnknownQueryParameters: true,
		Transformers: []huma.Transformer{withoutValues},
	}
	api := humago.New(mux, config)
	api.UseMiddleware(s.authenticate(api))
	s.registerClients(api)
	s.registerMaintenance(api)
	s.registerMaps(api)
	s.registerKeys(api)
	s.registerProfiles(api)
	s.registerSettings(api)
	s.registerLogs(api)
	s.registerEvents(api)
	s.registerHealth(api)
	s.registerDocument(api)
	return api
}

// withoutValues takes from an answer to a bad request what the caller sent: it may be a secret.
func withoutValues(_ huma.Context, _ string, v any) (any, error) {
	if m, ok := v.(*huma.ErrorModel); ok {
		for _, d := range m.Errors {
			if d != nil {
				d.Value = nil
			}
		}
	}
	return v, nil
}

// operation describes one operation.
func (s *Server) operation(id, method, path string, role store.Role, summary string, faults ...int) huma.Operation {
	op := huma.Operation{OperationID: id, Method: method, Path: Prefix + path, Summary: summary,
		Metadata: map[string]any{roleKey: role}, MaxBodyBytes: 64 << 10, BodyReadTimeout: s.o.Limits.Body}
	switch role {
	case anybody:
		op.Description = "No token is needed."
	case here:
		op.Description = "Needs a token with any role, unless the caller is on the same machine."
		op.Security = []map[string][]string{{"token": {}}, {"certificate": {}}, {}}
	default:
		op.Description = "Needs a token with the role " + string(role) + " or more."
		op.Security = []map[string][]string{{"token": {}}, {"certificate": {}}}
		op.Errors = []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests}
	}
	op.Errors = append(op.Errors, append(faults, http.StatusServiceUnavailable)...)
	slices.Sort(op.Errors)
	return op
}

// raw makes the operation take a file of any of these types.
func raw(op huma.Operation, limit int64, text string, types ...string) huma.Operation {
	op.MaxBodyBytes, op.SkipValidateBody = limit, true
	op.RequestBody = &huma.RequestBody{Description: text, Required: true, Content: map[string]*huma.MediaType{}}
	for _, t := range types {
		op.RequestBody.Content[t] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
	return op
}

// Page is what every listing takes.
type Page struct {
	Search string `query:"search" maxLength:"253" doc:"part of UUID, FQDN, IP or PID, in any case"`
	After  string `query:"after" maxLength:"80" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"rows of a page"`
}

func (p Page) options() store.ListOptions {
	return store.ListOptions{Search: p.Search, After: p.After, Limit: p.Limit}
}

// listOf is a page of rows.
type listOf[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next" doc:"after of the next page; empty at the end"`
}

type bodyOf[T any] struct{ Body T }

// answerList makes a page of rows of the store.
func answerList[R, T any](s *Server, rows []R, next string, err error, form func(R) T) (*bodyOf[listOf[T]], error) {
	if err != nil {
		return nil, s.fault("list", err)
	}
	out := &bodyOf[listOf[T]]{listOf[T]{Items: make([]T, len(rows)), Next: next}}
	for i, r := range rows {
		out.Body.Items[i] = form(r)
	}
	return out, nil
}

// fault turns an error of the store into an answer. Its words may name files and hosts, so they go to
// the log, and the caller learns the kind.
func (s *Server) fault(what string, err error) error {
	var known huma.StatusError
	if errors.As(err, &known) {
		return err
	}
	switch {
	case errors.Is(err, store.ErrContradiction), errors.Is(err, store.ErrInUse):
		return huma.Error409Conflict(err.Error())
	case errors.Is(err, store.ErrPlace):
		return huma.Error422UnprocessableEntity("after is not the next of a page")
	case errors.Is(err, context.Canceled):
		return huma.NewError(499, "the caller went away")
	}
	s.o.Log.Error("web service: a request failed", "operation", what, "err", err)
	switch {
	case errors.Is(err, store.ErrUnreachable), errors.Is(err, store.ErrDenied), errors.Is(err, context.DeadlineExceeded):
		return huma.Error503ServiceUnavailable("the database does not answer or refuses; the log of the server tells more")
	}
	return huma.Error500InternalServerError("this did not work; the log of the server tells more")
}

// changeTime bounds a change. It does not end with the caller's patience: the audit has to be closed.
const changeTime = 30 * time.Second

// change makes a change between the two halves of its audit row.
func (s *Server) change(ctx context.Context, a store.Audit, do func(ctx context.Context) error) error {
	who := callerOf(ctx)
	a.Who, a.Address = who.token.Name, who.address
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeTime)
	defer cancel()
	id, err := s.st.BeginAudit(ctx, a)
	if err != nil {
		return s.fault(a.Action, err)
	}
	err = do(ctx)
	result := store.AuditDone
	if err != nil {
		err = s.fault(a.Action, err)
		result = "refused: " + err.Error()
	}
	if end := s.st.EndAudit(ctx, id, result); end != nil {
		s.o.Log.Error("web service: the audit row has no end", "id", id, "result", result, "err", end)
	}
	s.o.Log.Info("web service: change", "action", a.Action, "object", a.Object, "who", a.Who, "from", a.Address, "result", result)
	return err
}

// UUIDPath is the UUID in a path.
type UUIDPath struct {
	UUID string `path:"uuid" maxLength:"38" doc:"UUID of a client, in text order" example:"4c4c4544-0058-3910-8059-b7c04f4b5a31"`
}

func (p UUIDPath) parse() (amt.UUID, error) {
	u, err := amt.ParseUUID(p.UUID)
	if err != nil {
		return u, huma.Error422UnprocessableEntity("the path has no UUID")
	}
	return u, nil
}

func notFound(what string) error { return huma.Error404NotFound("there is no " + what) }

// moment gives a time for JSON; no time is null.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func seconds(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }

// registerDocument serves the document itself.
func (s *Server) registerDocument(api huma.API) {
	huma.Register(api, s.operation("get-openapi", http.MethodGet, "/openapi.json", store.RoleRead, "this document"),
		func(context.Context, *struct{}) (*struct {
			ContentType string `header:"Content-Type"`
			Body        []byte
		}, error) {
			b, err := json.Marshal(api.OpenAPI())
			return &struct {
				ContentType string `header:"Content-Type"`
				Body        []byte
			}{"application/vnd.oai.openapi+json;version=3.1", b}, err
		})
}
