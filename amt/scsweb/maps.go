package scsweb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// mapRow is a row of csti_uuid_maps.
type mapRow struct {
	UUID    string    `json:"uuid"`
	FQDN    string    `json:"fqdn"`
	Profile string    `json:"profile" doc:"empty: the default profile"`
	Source  string    `json:"source"`
	Updated time.Time `json:"updated"`
}

func newMapRow(m store.MapRow) mapRow {
	return mapRow{m.UUID.String(), m.FQDN, m.Profile, m.Source, m.Updated}
}

// nameOf is what the audit says of a row.
func nameOf(m store.MapRow, ok bool) string {
	switch {
	case !ok:
		return ""
	case m.Profile == "":
		return m.FQDN
	}
	return m.FQDN + ", profile " + m.Profile
}

// imported is what an import did.
type imported struct {
	Imported  int           `json:"imported"`
	Conflicts int           `json:"conflicts"`
	Promoted  int           `json:"promoted" doc:"delayed clients that waited for one of the rows"`
	Taken     []amt.Problem `json:"taken" doc:"the conflicts, in words"`
	Problems  []amt.Problem `json:"problems" doc:"lines that were left out"`
}

// fileBody is a file in a request.
type fileBody struct{ RawBody []byte }

const maxImport = 8 << 20

func (s *Server) registerMaps(api huma.API) {
	huma.Register(api, s.operation("list-uuid-maps", http.MethodGet, "/uuid-maps", store.RoleRead, "names of clients, by UUID", 422),
		func(ctx context.Context, in *struct{ Page }) (*bodyOf[listOf[mapRow]], error) {
			rows, next, err := s.st.ListMap(ctx, in.options())
			return answerList(s, rows, next, err, newMapRow)
		})
	huma.Register(api, s.operation("put-uuid-map", http.MethodPut, "/uuid-maps/{uuid}", store.RoleOperate, "gives a client its name and profile", 409, 422), s.putMap)
	huma.Register(api, s.operation("delete-uuid-map", http.MethodDelete, "/uuid-maps/{uuid}", store.RoleOperate, "removes the name of a client", 404, 422), s.deleteMap)
	huma.Register(api, raw(s.operation("import-uuid-maps", http.MethodPost, "/uuid-maps/import", store.RoleOperate, "imports a UUID map", 413, 422), maxImport,
		"CSV with the header "+store.MapHeader+", or JSON: objects with uuid, fqdn, profile, in an array or one a line", "text/csv", "application/json", "application/x-ndjson"), s.importMaps)
}

func (s *Server) putMap(ctx context.Context, in *struct {
	UUIDPath
	Body struct {
		FQDN    string `json:"fqdn" minLength:"1" maxLength:"254"`
		Profile string `json:"profile,omitempty" maxLength:"64" doc:"empty: the default profile"`
	}
}) (*bodyOf[mapRow], error) {
	row, err := store.NewMapRow(in.UUID, in.Body.FQDN, in.Body.Profile, "web")
	if err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	old, had, err := s.st.MapRow(ctx, row.UUID)
	if err != nil {
		return nil, s.fault("read UUID map", err)
	}
	var sum store.MapImport
	err = s.change(ctx, store.Audit{Action: "put-uuid-map", Object: row.UUID.String(), Was: nameOf(old, had), Becomes: nameOf(row, true)}, func(ctx context.Context) (err error) {
		if sum, err = s.st.ImportMap(ctx, []store.MapRow{row}); err == nil && len(sum.Conflicts) > 0 {
			err = huma.Error409Conflict(sum.Conflicts[0].Text)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	s.o.Wake()
	row, _, err = s.st.MapRow(ctx, row.UUID)
	if err != nil {
		return nil, s.fault("read UUID map", err)
	}
	return &bodyOf[mapRow]{newMapRow(row)}, nil
}

func (s *Server) deleteMap(ctx context.Context, in *UUIDPath) (*struct{}, error) {
	u, err := in.parse()
	if err != nil {
		return nil, err
	}
	old, had, err := s.st.MapRow(ctx, u)
	if err != nil {
		return nil, s.fault("read UUID map", err)
	} else if !had {
		return nil, notFound("row of this UUID")
	}
	return nil, s.change(ctx, store.Audit{Action: "delete-uuid-map", Object: u.String(), Was: nameOf(old, true)},
		func(ctx context.Context) error { return s.st.RemoveMapRow(ctx, u) })
}

func (s *Server) importMaps(ctx context.Context, in *fileBody) (*bodyOf[imported], error) {
	rows, problems, err := readMapFile(in.RawBody)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	var sum store.MapImport
	err = s.change(ctx, store.Audit{Action: "import-uuid-maps", Object: fmt.Sprintf("%d rows", len(rows))}, func(ctx context.Context) (err error) {
		sum, err = s.st.ImportMap(ctx, rows)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.o.Wake()
	out := imported{sum.Imported, len(sum.Conflicts), sum.Promoted, []amt.Problem{}, problems}
	for _, c := range sum.Conflicts {
		out.Taken = append(out.Taken, amt.In(c.Row.UUID.String(), "not-imported", "%s", c.Text))
	}
	return &bodyOf[imported]{out}, nil
}

// readMapFile reads a UUID map from CSV or JSON, told apart by the first character.
func readMapFile(b []byte) ([]store.MapRow, []amt.Problem, error) {
	b = bytes.TrimSpace(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")))
	if len(b) == 0 || b[0] != '[' && b[0] != '{' {
		rows, problems, err := store.ReadMap(b)
		if err != nil {
			err = errors.New("no UUID map: the first line is " + store.MapHeader + ", or the file is JSON")
		}
		return rows, problems, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if b[0] == '[' {
		_, _ = dec.Token()
	}
	var rows []store.MapRow
	problems, seen := []amt.Problem{}, map[amt.UUID]int{}
	for n := 1; dec.More(); n++ {
		var r struct{ UUID, FQDN, Profile string }
		err := dec.Decode(&r)
		var kind *json.UnmarshalTypeError
		if err != nil && !errors.As(err, &kind) {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = errors.New("it is cut off")
			}
			return nil, nil, fmt.Errorf("object %d: no JSON: %w", n, err)
		}
		row := store.MapRow{}
		if err == nil {
			row, err = store.NewMapRow(r.UUID, r.FQDN, r.Profile, "web")
		}
		if first, twice := seen[row.UUID]; err == nil && twice {
			err = fmt.Errorf("UUID %s stands in object %d already", row.UUID, first)
		}
		if err != nil {
			problems = append(problems, amt.In(fmt.Sprintf("object %d", n), "line", "%v", err))
			continue
		}
		seen[row.UUID] = n
		rows = append(rows, row)
	}
	return rows, problems, nil
}
