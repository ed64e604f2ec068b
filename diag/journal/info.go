package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// Format names the form of a case folder.
const Format = "amtmedic-case/1"

// Info is what case.json says of a case.
type Info struct {
	Format   string    `json:"format"`
	ID       string    `json:"id"`             // the folder's name
	Name     string    `json:"name,omitempty"` // what people call the PC; may be empty
	Created  time.Time `json:"created"`
	Tool     string    `json:"tool,omitempty"`     // version line of the program that made it
	Practice *Practice `json:"practice,omitempty"` // nil unless the case is a lab run
}

// Practice says what world a lab run was made in.
type Practice struct {
	Seed   int64    `json:"seed"`
	Faults []string `json:"faults"`
}

// Label is the name of the case for a screen: what people call it, else its id.
func (i Info) Label() string {
	if i.Name != "" {
		return i.Name
	}
	return i.ID
}

const (
	infoFile    = "case.json"
	factsFile   = "facts.jsonl"
	actionsFile = "actions.jsonl"
	logFile     = "collect.log"
	lockFile    = "lock"
	wireDir     = "wire"
)

// maxInfo bounds case.json, which has a few hundred bytes.
const maxInfo = 1 << 20

var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// ValidID reports whether a text can be the id of a case: a plain name of at most 64 letters,
// digits, dashes and underscores, so that it never leads out of the folder of the cases.
func ValidID(id string) bool { return idForm.MatchString(id) }

func readInfo(dir, id string) (Info, error) {
	var i Info
	f, err := os.Open(filepath.Join(dir, id, infoFile))
	if err != nil {
		return i, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxInfo))
	if err != nil {
		return i, err
	}
	if err := json.Unmarshal(b, &i); err != nil {
		return i, fmt.Errorf("%s is not readable: %w", infoFile, err)
	}
	switch {
	case i.Format != Format:
		return i, fmt.Errorf("%s names the form %q, this program reads %s", infoFile, i.Format, Format)
	case i.ID != id:
		return i, fmt.Errorf("%s is about case %q, not about the folder it lies in", infoFile, i.ID)
	case i.Created.IsZero():
		return i, errors.New(infoFile + " does not say when the case was made")
	}
	i.Created = i.Created.UTC()
	return i, nil
}

// writeInfo writes case.json into a folder that nobody else sees yet.
func writeInfo(folder string, i Info) error {
	b, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(folder, infoFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}
