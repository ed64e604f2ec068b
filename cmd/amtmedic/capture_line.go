package main

import (
	"io"
	"strconv"
	"time"

	"amtmedic/capture"
)

// eventWriter prints events, as JSON or as a line for people.
func eventWriter(w io.Writer, asJSON, withFile bool) func(capture.Event) error {
	if asJSON {
		return func(v capture.Event) error { return writeJSON(w, v) }
	}
	var line []byte // kept from event to event: a flood has thousands a second
	return func(v capture.Event) error {
		line = append(appendEvent(line[:0], v, withFile), '\n')
		_, err := w.Write(line)
		return err
	}
}

// appendEvent adds an event in words, without a byte that a terminal would act on.
func appendEvent(b []byte, v capture.Event, withFile bool) []byte {
	if v.Time.IsZero() {
		b = append(b, "no time                    "...)
	} else {
		b = appendMicros(b, v.Time)
	}
	b = append(b, ' ')
	from := len(b)
	b = append(b, v.Kind...)
	for len(b) < from+14 {
		b = append(b, ' ')
	}
	b = append(b, ' ')
	b, _ = v.Src.AppendText(b)
	b = append(b, " > "...)
	b, _ = v.Dst.AppendText(b)
	if w := v.Words(); w != "" {
		b = append(append(b, "  "...), plain(w)...)
	}
	for i, tag := range v.VLAN {
		if i == 0 {
			b = append(b, "  vlan ["...)
		} else {
			b = append(b, ' ')
		}
		b = strconv.AppendUint(b, uint64(tag), 10)
	}
	if len(v.VLAN) > 0 {
		b = append(b, ']')
	}
	b = append(b, "  ("...)
	if withFile {
		b = append(append(b, plain(v.File)...), ' ')
	}
	b = append(b, "packet "...)
	return append(strconv.AppendInt(b, int64(v.Packet), 10), ')')
}

// appendMicros adds a time in UTC with microseconds.
func appendMicros(b []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
}
