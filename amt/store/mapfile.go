package store

import (
	"errors"
	"fmt"
	"strings"

	"amtmedic/amt"
)

// MapHeader is the first line of a UUID map as a file; the third column may be missing.
const MapHeader = "uuid,fqdn,profile"

// ReadMap reads a UUID map from CSV. The error is a file without its header; lines with a problem are
// left out and named.
func ReadMap(raw []byte) (rows []MapRow, problems []amt.Problem, err error) {
	rows, problems, ok, err := csvByUUID(raw, true, func(head []string) bool {
		return len(head) >= 2 && named(head, "uuid", "fqdn")
	}, func(fields []string) (MapRow, amt.UUID, error) {
		row, err := mapFields(fields)
		return row, row.UUID, err
	})
	if !ok {
		return nil, nil, errors.New("it is no UUID map")
	}
	return rows, problems, err
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
