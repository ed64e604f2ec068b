package setupbin

import (
	"fmt"

	"amtmedic/amt"
	"amtmedic/amt/keys"
)

// check judges the PID or PPS v of record i by its characters and check characters. The place is
// that of the variable in the file.
func (v Variable) check(i int, r Record, f *File) []amt.Problem {
	at := f.Offset(i) + recordHeader
	for _, x := range r.Variables {
		if x.Key() == v.Key() {
			break
		}
		n := len(x.Value.Reveal())
		at += entryHeader + n + padding(n)
	}
	var ps []amt.Problem
	if d, _ := define(v.Module, v.ID); d.kind == pid {
		ps = keys.CheckPID(bare(v.Value))
	} else {
		ps = keys.CheckPPS(amt.NewSecret(bare(v.Value)))
	}
	if s := bare(v.Value); len(ps) == 0 && s != keys.Bare(s) {
		ps = []amt.Problem{{Code: keys.NoteLowerCase, Text: "letters are stored in lower case; firmware is only known to take upper case"}}
	}
	for k := range ps {
		ps[k].Text = fmt.Sprintf("record %d: %s", i+1, ps[k].Text)
		ps[k].Offset, ps[k].Where = &at, ""
	}
	return ps
}
