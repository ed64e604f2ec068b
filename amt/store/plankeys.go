package store

import (
	"context"
	"fmt"

	"amtmedic/amt"
)

// KeyPlan is what an import of pairs does to the map.
type KeyPlan struct {
	New       int // pairs that the map lacks
	Same      int // pairs that stand in it as they are
	Changes   []PairChange
	Conflicts []KeyConflict // they are left out
}

// PairChange is a row of the map that an import replaces.
type PairChange struct {
	ID  int64   // of the row
	PID amt.PID // of the new pair
	Old amt.PID // of the pair that gives way; PID itself when the row only gets other secrets
	PPS bool    // the PPS is another one
}

// Code names the change: pid-changes, pps-changes or row-changes.
func (c PairChange) Code() string {
	switch {
	case c.Old != c.PID:
		return "pid-changes"
	case c.PPS:
		return "pps-changes"
	}
	return "row-changes"
}

// String says it to a person, without a secret.
func (c PairChange) String() string {
	switch c.Code() {
	case "pid-changes":
		return fmt.Sprintf("PID %s gives way to %s", c.Old.Dashed(), c.PID.Dashed())
	case "pps-changes":
		return fmt.Sprintf("PID %s gets another PPS", c.PID.Dashed())
	}
	return fmt.Sprintf("PID %s keeps its PPS; passwords or the used mark change", c.PID.Dashed())
}

// String says it to a person.
func (c KeyConflict) String() string {
	return fmt.Sprintf("PID %s stands in the map under id %d", c.PID.Dashed(), c.Taken)
}

// PlanKeys says what ImportKeys would do with pairs, and changes nothing. A nil Store is an empty map.
func PlanKeys(ctx context.Context, s *Store, pairs []Pair) (KeyPlan, error) {
	byPID, byID, last := map[amt.PID]Pair{}, map[int64]amt.PID{}, int64(0)
	if s != nil {
		for p, err := range s.Keys(ctx) {
			if err != nil {
				return KeyPlan{}, &amt.Error{Op: "read keys", Subject: s.Path(), Err: err}
			}
			byPID[p.PID], byID[p.ID], last = p, p.PID, max(last, p.ID)
		}
	}
	var plan KeyPlan
	for _, p := range pairs {
		old, known := byPID[p.PID]
		switch {
		case known && p.ID != 0 && p.ID != old.ID:
			plan.Conflicts = append(plan.Conflicts, KeyConflict{p.ID, p.PID, old.ID})
			continue
		case known:
			p = onTopOf(old, p)
			if p.Used == old.Used && p.UUID == old.UUID && p.PPS.Equal(old.PPS) && p.CurrentPassword.Equal(old.CurrentPassword) && p.AdminPassword.Equal(old.AdminPassword) {
				plan.Same++
				continue
			}
			plan.Changes = append(plan.Changes, PairChange{ID: old.ID, PID: p.PID, Old: p.PID, PPS: !p.PPS.Equal(old.PPS)})
		case byID[p.ID] != "":
			plan.Changes = append(plan.Changes, PairChange{ID: p.ID, PID: p.PID, Old: byID[p.ID]})
			delete(byPID, byID[p.ID])
		default:
			plan.New++
			if p.ID == 0 {
				p.ID = last + 1
			}
		}
		byPID[p.PID], byID[p.ID], last = p, p.PID, max(last, p.ID)
	}
	return plan, nil
}

// onTopOf is the row that an import of a pair leaves where its PID stands: what the pair does not say stays.
func onTopOf(old, p Pair) Pair {
	p.ID, p.Used = old.ID, p.Used || old.Used
	if p.CurrentPassword.IsZero() {
		p.CurrentPassword = old.CurrentPassword
	}
	if p.AdminPassword.IsZero() {
		p.AdminPassword = old.AdminPassword
	}
	if p.UUID.IsZero() {
		p.UUID = old.UUID
	}
	return p
}
