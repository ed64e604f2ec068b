package scsweb

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"amtmedic/amt/profile"
	"amtmedic/amt/store"
)

// setting is a row of csti_configuration in a request or answer.
type setting struct {
	Value string `json:"value" maxLength:"1024"`
}

func (s *Server) registerSettings(api huma.API) {
	huma.Register(api, s.operation("get-configuration", http.MethodGet, "/configuration", store.RoleRead, "settings by name"),
		func(ctx context.Context, _ *struct{}) (*bodyOf[map[string]string], error) {
			config, err := s.config(ctx)
			if err != nil {
				return nil, s.fault("read configuration", err)
			}
			return &bodyOf[map[string]string]{config}, nil
		})
	huma.Register(api, s.operation("put-configuration", http.MethodPut, "/configuration/{name}", store.RoleAdmin, "changes a setting", 404, 409, 422), s.putSetting)
}

// config gives the settings. A row with a name like a secret's may be anybody's: its value is hidden.
func (s *Server) config(ctx context.Context) (map[string]string, error) {
	config, err := s.st.Config(ctx)
	if err != nil && !errors.Is(err, store.ErrNoConfig) {
		return nil, err
	}
	for name := range config {
		for _, word := range []string{"password", "secret", "token", "pps", "private"} {
			if strings.Contains(strings.ToLower(name), word) {
				config[name] = "[secret]"
			}
		}
	}
	return config, nil
}

func (s *Server) putSetting(ctx context.Context, in *struct {
	Name string `path:"name" maxLength:"64"`
	Body setting
}) (*bodyOf[setting], error) {
	config, err := s.config(ctx)
	if err != nil {
		return nil, s.fault("read configuration", err)
	}
	was, known := config[in.Name]
	if !known || was == "[secret]" {
		return nil, notFound("setting of this name")
	}
	about, _ := store.FindSetting(in.Name)
	if err := about.Check(in.Body.Value); err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	err = s.change(ctx, store.Audit{Action: "put-configuration", Object: in.Name, Was: was, Becomes: in.Body.Value}, func(ctx context.Context) error {
		switch in.Name {
		case "default_profile":
			return s.setDefault(ctx, in.Body.Value)
		case "tls_mode":
			return s.setTLSMode(was, in.Body.Value)
		}
		return s.st.SetConfig(ctx, in.Name, in.Body.Value)
	})
	if err != nil {
		return nil, err
	}
	return &bodyOf[setting]{in.Body}, nil
}

// setDefault makes a profile the default one; tls_mode follows it, so it has to fit the scheme.
func (s *Server) setDefault(ctx context.Context, name string) error {
	body, ok, err := s.st.ProfileBody(ctx, name)
	if err != nil {
		return err
	} else if !ok {
		return huma.Error409Conflict("there is no profile of this name")
	}
	p, err := profile.ReadJSON(name, body)
	if err != nil {
		return huma.Error409Conflict("the profile is not sound: " + err.Error())
	}
	if err := s.keepsScheme(ctx, p, true); err != nil {
		return err
	}
	_, err = s.st.PutProfiles(ctx, nil, name)
	return err
}

// setTLSMode never changes it: tls_mode follows the default profile, and the scheme has to follow tls_mode.
func (s *Server) setTLSMode(was, value string) error {
	if was == value {
		return nil
	}
	if code, words := contradiction(value, s.HTTPS()); code != "" {
		return huma.Error409Conflict(code + ": " + words)
	}
	return huma.Error409Conflict("tls_mode follows the default profile: change that")
}
