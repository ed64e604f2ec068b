package store

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"amtmedic/amt"
)

// A copy of a database is JSON, an object a line: a head, a line for each row, and an end that counts
// them. Inside a row a number, a text and null stand for themselves, {"secret": TEXT} is what a sealed
// cell holds, and {"base64": TEXT} is any other bytes. Nothing of the form depends on SQLite or PostgreSQL.
const (
	portableFormat = 1
	portableName   = "amtmedic database"
)

// portableTable is a table that is copied.
type portableTable struct {
	name  string
	key   []string          // rows with the same are the same thing, in every database
	id    string            // a number that this database gives; empty: none
	free  bool              // the number means nothing outside of its row, and the database gives it
	refs  map[string]string // columns that hold the number of a row of another table
	off   []string          // columns that hold only while a server runs: they are copied as null
	apart string            // a table that must not have the same UUID
}

// portableTables are in an order in which no row comes before one that it points to. Not among them:
// secret_keys, since a copy has its own seal; servers, which holds who runs now; and the table of goose.
var portableTables = []portableTable{
	{name: "csti_configuration", key: []string{"name"}},
	{name: "csti_profiles", key: []string{"name"}, id: "id"},
	{name: "csti_authorities", key: []string{"kind", "created_us"}, id: "id"},
	{name: "csti_amts", key: []string{"uuid"}, refs: map[string]string{"profile_id": "csti_profiles"}},
	{name: "csti_pid_map", key: []string{"pid"}, id: "id"},
	{name: "csti_uuid_maps", key: []string{"uuid"}, refs: map[string]string{"profile_id": "csti_profiles"}},
	{name: "csti_certificates", key: []string{"serial"}, refs: map[string]string{"authority_id": "csti_authorities"}},
	{name: "csti_client_secrets", key: []string{"uuid", "name"}},
	{name: "csto_queue_entries", key: []string{"uuid"}, off: []string{"claimed_by", "lease_us"}, apart: "csto_delayed_entries"},
	{name: "csto_delayed_entries", key: []string{"uuid"}, apart: "csto_queue_entries"},
	{name: "csto_steps", key: []string{"uuid", "step"}},
	{name: "csto_maintenance", key: []string{"uuid", "kind"}},
	{name: "csti_history", key: []string{"uuid", "at_us", "event", "fqdn", "detail"}, id: "id", free: true},
	{name: "csti_audit", key: []string{"at_us", "who", "address", "action", "object"}, id: "id", free: true},
	{name: "csti_log", key: []string{"uuid", "at_us", "code", "severity", "detail"}, id: "id", free: true},
	{name: "web_tokens", key: []string{"name"}, id: "id", free: true},
}

func portableNames() (out []string) {
	for _, t := range portableTables {
		out = append(out, t.name)
	}
	return out
}

// portableHead is the first line.
type portableHead struct {
	Copy   string `json:"copy"`   // portableName
	Format int    `json:"format"` // portableFormat
	Schema int64  `json:"schema"` // of the database that was copied
	From   string `json:"from"`   // sqlite or postgres
	Made   string `json:"made"`   // RFC 3339
}

// portableLine is every other line.
type portableLine struct {
	Table string         `json:"table,omitempty"`
	Row   map[string]any `json:"row,omitempty"`
	End   map[string]int `json:"end,omitempty"` // the last line: rows of each table
}

// portableValue is the form of a column's value in a copy. sealed tells that bytes are a cell.
func portableValue(v any, sealed bool, open func([]byte) (amt.Secret, error)) (any, error) {
	switch v := v.(type) {
	case nil, int64:
		return v, nil
	case int32:
		return int64(v), nil
	case int16:
		return int64(v), nil
	case string:
		return strings.ToValidUTF8(v, string(utf8.RuneError)), nil
	case []byte:
		if !sealed {
			return map[string]any{"base64": base64.StdEncoding.EncodeToString(v)}, nil
		}
		secret, err := open(v)
		return map[string]any{"secret": secret.Reveal()}, err
	}
	return nil, fmt.Errorf("a value of the form %T has no place in a copy", v)
}

// columnValue is the value of a column as a copy has it: int64, string, []byte, amt.Secret or nil.
func columnValue(v any) (any, error) {
	switch v := v.(type) {
	case nil, string:
		return v, nil
	case json.Number:
		return v.Int64()
	case map[string]any:
		if text, ok := v["secret"].(string); ok && len(v) == 1 {
			return amt.NewSecret(text), nil
		}
		if text, ok := v["base64"].(string); ok && len(v) == 1 {
			return base64.StdEncoding.DecodeString(text)
		}
	}
	return nil, errors.New("a value is of no known form")
}

// readLine reads a line of a copy. Its error never quotes the line: secrets stand in it.
func readLine(line []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	if dec.Decode(into) != nil || dec.More() {
		return errors.New("it is no JSON object of a copy")
	}
	return nil
}
