package store

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"amtmedic/amt"
)

// MapHeader is the first line of a UUID map as a file; the third column may be missing.
const MapHeader = "uuid,fqdn,profile"

// ReadMap reads a UUID map from CSV. The error is a file without its header; lines with a problem are
// left out and named.
func ReadMap(raw []byte) (rows []MapRow, problems []amt.Problem, err error) {
	cr := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))))
	cr.FieldsPerRecord, cr.TrimLeadingSpace = -1, true
	head, err := cr.Read()
	if err != nil || len(head) < 2 || !strings.EqualFold(strings.TrimSpace(head[0]), "uuid") || !strings.EqualFold(strings.TrimSpace(head[1]), "fqdn") {
		return nil, nil, errors.New("it is no UUID map")
	}
	problems = []amt.Problem{}
	seen := map[amt.UUID]int{}
	for {
		fields, err := cr.Read()
		if errors.Is(err, io.EOF) {
			return rows, problems, nil
		}
		var syntax *csv.ParseError
		if errors.As(err, &syntax) {
			problems = append(problems, amt.In(fmt.Sprintf("line %d", syntax.StartLine), "line", "%v", syntax.Err))
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		n, _ := cr.FieldPos(0)
		row, err := mapFields(fields)
		if first, twice := seen[row.UUID]; err == nil && twice {
			err = fmt.Errorf("UUID %s stands in line %d already", row.UUID, first)
		}
		if err != nil {
			problems = append(problems, amt.In(fmt.Sprintf("line %d", n), "line", "%v", err))
			continue
		}
		seen[row.UUID] = n
		rows = append(rows, row)
	}
}

func mapFields(fields []string) (MapRow, error) {
	if len(fields) < 2 {
		return MapRow{}, errors.New("UUID and FQDN were expected")
	}
	profile := ""
	if len(fields) > 2 {
		profile = fields[2]
	}
	return NewMapRow(fields[0], fields[1], profile, "import")
}

// NewMapRow makes a row of what a person wrote. The profile may be empty.
func NewMapRow(uuid, fqdn, profile, source string) (MapRow, error) {
	row := MapRow{Source: source, Profile: strings.TrimSpace(profile)}
	var err error
	if row.UUID, err = amt.ParseUUID(strings.Trim(strings.TrimSpace(uuid), "{}")); err != nil {
		return row, err
	}
	row.FQDN = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(fqdn), "."))
	return row, HostName(row.FQDN)
}

// HostName says why s cannot be the name of a computer (RFC 1123; the underscore is seen in the field).
func HostName(s string) error {
	if s == "" || len(s) > 253 {
		return fmt.Errorf("an FQDN has 1 to 253 characters, this one has %d", len(s))
	}
	for label := range strings.SplitSeq(s, ".") {
		bad := strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != ""
		if bad || label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("%q is not the name of a computer", s)
		}
	}
	return nil
}
