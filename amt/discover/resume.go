package discover

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

const stateFormat = "amtmedic-discover/1"

// record is a line of the state file.
type record struct {
	Format  string   `json:"format,omitempty"`
	Targets []string `json:"targets,omitempty"`
	Mark    int      `json:"done,omitempty"` // hosts below are done
	Index   int      `json:"index,omitempty"`
	Found   *Host    `json:"found,omitempty"`
	Reached bool     `json:"reached,omitempty"`
}

// State is a state file: lines that are only added, so that a kill at any moment costs at most the
// hosts of the last second. Not for several goroutines.
type State struct {
	Mark    int           // hosts below are done
	Reached bool          // some host answered
	Found   map[int]*Host // by number of the host

	f       *os.File
	written time.Time
	told    bool // Reached stands in the file
}

// ErrOtherTargets is a state file of a run with other targets.
var ErrOtherTargets = errors.New("the file belongs to other targets")

// maxState is the largest state file that is read, in bytes.
const maxState = 256 << 20

// OpenState opens or makes the state file of a run.
func OpenState(name string, t *Targets) (*State, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	s := &State{f: f, Found: map[int]*Host{}}
	if err := s.read(t); err != nil {
		_ = f.Close()
		return nil, err
	}
	return s, nil
}

func (s *State) read(t *Targets) error {
	b, err := io.ReadAll(io.LimitReader(s.f, maxState+1))
	if err != nil {
		return err
	}
	if len(b) > maxState {
		return fmt.Errorf("larger than %d MiB", maxState>>20)
	}
	whole := bytes.LastIndexByte(b, '\n') + 1
	if whole == 0 && !bytes.HasPrefix([]byte(`{"format":"`+stateFormat), b[:min(len(b), 20)]) {
		return errors.New("it is no state file of discover")
	}
	n := 0
	for line := range bytes.Lines(b[:whole]) {
		n++
		var r record
		if err := json.Unmarshal(line, &r); err != nil || n == 1 && r.Format != stateFormat {
			return fmt.Errorf("line %d: it is no state file of discover", n)
		}
		if n == 1 && !slices.Equal(r.Targets, t.words) {
			return ErrOtherTargets
		}
		if r.Mark < 0 || r.Mark > t.Len() || r.Index < 0 || r.Index >= t.Len() {
			return fmt.Errorf("line %d: there is no such host", n)
		}
		s.Mark, s.Reached = max(s.Mark, r.Mark), s.Reached || r.Reached
		if r.Found != nil {
			s.Found[r.Index] = r.Found
		}
	}
	s.told = s.Reached
	// A line that a kill cut off goes.
	if err := s.f.Truncate(int64(whole)); err != nil {
		return err
	}
	if _, err := s.f.Seek(int64(whole), io.SeekStart); err != nil {
		return err
	}
	if n == 0 {
		return s.add(record{Format: stateFormat, Targets: t.words})
	}
	return nil
}

func (s *State) add(r record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = s.f.Write(append(b, '\n'))
	return err
}

// Add takes an event: a host that was found is written at once, how far the run is once a second.
// It reports whether the host is new.
func (s *State) Add(e Event, now time.Time) (isNew bool, err error) {
	s.Mark, s.Reached = max(s.Mark, e.Mark), s.Reached || e.Reached
	if e.Host != nil && s.Found[e.Index] == nil {
		isNew = true
		s.Found[e.Index] = e.Host
		err = s.add(record{Index: e.Index, Found: e.Host})
	}
	if err == nil && now.Sub(s.written) >= time.Second {
		s.written = now
		err = s.add(record{Mark: s.Mark, Reached: s.Reached && !s.told})
		s.told = s.Reached
	}
	return isNew, err
}

// Close writes how far the run is and closes the file.
func (s *State) Close() error {
	return errors.Join(s.add(record{Mark: s.Mark, Reached: s.Reached}), s.f.Close())
}
