package scsweb

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"amtmedic/amt/profile"
	"amtmedic/amt/store"
)

// profileRow is a profile in a list.
type profileRow struct {
	Name    string `json:"name"`
	Default bool   `json:"default"`
	TLS     bool   `json:"tls"`
	Mapped  int    `json:"mapped" doc:"rows of the UUID map that name it"`
	Clients int    `json:"clients" doc:"provisioned clients that it was applied to"`
	Problem string `json:"problem" doc:"why it cannot be used; empty when it can"`
}

// ProfilePath is the name in a path.
type ProfilePath struct {
	Name string `path:"name" maxLength:"64"`
}

// maxProfile bounds the file of a profile.
const maxProfile = profile.MaxFile + 1

func (s *Server) registerProfiles(api huma.API) {
	huma.Register(api, s.operation("list-profiles", http.MethodGet, "/profiles", store.RoleRead, "profiles by name"), s.listProfiles)
	huma.Register(api, s.operation("get-profile", http.MethodGet, "/profiles/{name}", store.RoleRead, "one profile without its secrets", 404), s.getProfile)
	huma.Register(api, raw(s.operation("put-profile", http.MethodPut, "/profiles/{name}", store.RoleAdmin, "adds or replaces a profile; secrets that are left out stay", 409, 413, 422), maxProfile,
		"the form of get-profile, as JSON or YAML; its name is that of the path", "application/json", "application/yaml"), s.putProfile)
	huma.Register(api, s.operation("delete-profile", http.MethodDelete, "/profiles/{name}", store.RoleAdmin, "removes a profile that nothing uses", 404, 409), s.deleteProfile)
}

func (s *Server) listProfiles(ctx context.Context, _ *struct{}) (*bodyOf[listOf[profileRow]], error) {
	rows, err := s.st.ListProfiles(ctx)
	return answerList(s, rows, "", err, func(r store.ProfileRow) profileRow {
		out := profileRow{Name: r.Name, Default: r.Default, Mapped: r.Mapped, Clients: r.Clients}
		p, err := profile.ReadJSON(r.Name, r.Body)
		if err != nil {
			out.Problem = err.Error()
		}
		out.TLS = p.TLS.On()
		return out
	})
}

// view gives a profile for an answer or the audit: without secrets.
func (s *Server) view(ctx context.Context, name string) (json.RawMessage, bool, error) {
	body, ok, err := s.st.ProfileBody(ctx, name)
	if err != nil || !ok {
		return nil, false, err
	}
	p, err := profile.ReadJSON(name, body)
	if err != nil {
		return json.RawMessage(`null`), true, nil
	}
	b, err := json.Marshal(p.View(false))
	return b, true, err
}

func (s *Server) getProfile(ctx context.Context, in *ProfilePath) (*bodyOf[json.RawMessage], error) {
	b, ok, err := s.view(ctx, in.Name)
	if err != nil {
		return nil, s.fault("read profile", err)
	} else if !ok {
		return nil, notFound("profile of this name")
	}
	return &bodyOf[json.RawMessage]{b}, nil
}

func (s *Server) putProfile(ctx context.Context, in *struct {
	ProfilePath
	RawBody []byte
}) (*bodyOf[json.RawMessage], error) {
	p, err := s.readProfile(ctx, in.Name, in.RawBody)
	if err != nil {
		return nil, err
	}
	body, err := p.JSON()
	if err != nil {
		return nil, s.fault("write profile", err)
	}
	was, _, err := s.view(ctx, in.Name)
	if err != nil {
		return nil, s.fault("read profile", err)
	}
	becomes, err := json.Marshal(p.View(false))
	if err != nil {
		return nil, s.fault("write profile", err)
	}
	err = s.change(ctx, store.Audit{Action: "put-profile", Object: in.Name, Was: string(was), Becomes: string(becomes)}, func(ctx context.Context) error {
		if err := s.keepsScheme(ctx, p, false); err != nil {
			return err
		}
		_, err := s.st.PutProfiles(ctx, []store.ProfileRow{{Name: in.Name, Body: body}}, "")
		return err
	})
	if err != nil {
		return nil, err
	}
	s.o.Wake()
	return s.getProfile(ctx, &in.ProfilePath)
}

// readProfile reads and judges the profile of a request.
func (s *Server) readProfile(ctx context.Context, name string, b []byte) (profile.Profile, error) {
	docs, err := profile.ReadYAML(b)
	if err != nil || len(docs) != 1 {
		return profile.Profile{}, huma.Error422UnprocessableEntity("the body is not one profile as JSON or YAML")
	}
	if docs[0].Profile.Name != name {
		return profile.Profile{}, huma.Error422UnprocessableEntity("the profile's name is not that of the path")
	}
	var old *profile.Profile
	text, ok, err := s.st.OpenProfile(ctx, name)
	if err != nil {
		return profile.Profile{}, s.fault("read profile", err)
	}
	if p, err := profile.ReadJSON(name, text); ok && err == nil {
		old = &p
	}
	var all []error
	for _, p := range docs[0].Judge(old) {
		all = append(all, &huma.ErrorDetail{Message: p.Text, Location: p.Where})
	}
	if len(all) > 0 {
		return profile.Profile{}, huma.Error422UnprocessableEntity("the profile is not sound", all...)
	}
	return docs[0].Profile, nil
}

// keepsScheme refuses what would set tls_mode against the scheme that this service runs with.
func (s *Server) keepsScheme(ctx context.Context, p profile.Profile, becomesDefault bool) error {
	config, err := s.st.Config(ctx)
	if err != nil && !errors.Is(err, store.ErrNoConfig) {
		return err
	}
	if !becomesDefault && config["default_profile"] != p.Name {
		return nil
	}
	mode := "off"
	if p.TLS.On() {
		mode = "on"
	}
	if code, words := contradiction(mode, s.HTTPS()); code != "" {
		return huma.Error409Conflict(code + ": " + words + ": change it with \"amtmedic profiles import\" and start the server anew with the other scheme")
	}
	return nil
}

func (s *Server) deleteProfile(ctx context.Context, in *ProfilePath) (*struct{}, error) {
	was, ok, err := s.view(ctx, in.Name)
	if err != nil {
		return nil, s.fault("read profile", err)
	} else if !ok {
		return nil, notFound("profile of this name")
	}
	return nil, s.change(ctx, store.Audit{Action: "delete-profile", Object: in.Name, Was: string(was)}, func(ctx context.Context) error {
		_, err := s.st.RemoveProfile(ctx, in.Name)
		return err
	})
}
