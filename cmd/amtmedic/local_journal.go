package main

import (
	"fmt"
	"time"
)

// localAction is a line of local.log: what local set is about to do, and what came of it.
type localAction struct {
	Time    time.Time `json:"time"`
	Stage   string    `json:"stage"` // intent, done, failed
	Setting string    `json:"setting"`
	Old     string    `json:"old"`
	New     string    `json:"new"`
	Error   string    `json:"error"`
}

// localJournal writes the actions into local.log in the folder of the cases. Without a place for it the
// work goes on, and that is said.
type localJournal struct {
	log *agentLog
	now func() time.Time
}

func openLocalJournal(e *env) *localJournal {
	log, err := openAgentLog("", "local.log")
	if err != nil {
		fmt.Fprintf(e.stderr, "amtmedic: warning: no record of the changes is kept: %s\n", plain(err.Error()))
	}
	return &localJournal{log, time.Now}
}

// add writes one line.
func (j *localJournal) add(stage string, c localChange, err error) error {
	if j.log == nil {
		return nil
	}
	a := localAction{Time: j.now().UTC(), Stage: stage, Setting: c.Setting, Old: c.Old, New: c.New}
	if err != nil {
		a.Error = err.Error()
	}
	return j.log.add(a)
}
