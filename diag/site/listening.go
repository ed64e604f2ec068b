package site

import (
	"slices"

	"amtmedic/capture"
)

// Captures are the capture files that were named.
func (w *World) Captures() []Capture { return slices.Clone(w.o.Captures) }

// listenOn opens the live capture of a probe, and remembers it for who counts its packets.
func (w *World) listenOn(name string, ports []uint16) func(warn func(string)) (capture.Source, error) {
	return func(warn func(string)) (capture.Source, error) {
		l, err := capture.OpenLive(name, capture.LiveOptions{Ports: ports, Warn: warn})
		if err != nil {
			return nil, err
		}
		w.mu.Lock()
		w.listening = l
		w.mu.Unlock()
		return l, nil
	}
}

// Listening gives the counts of the live capture that runs or ran last; false before the first.
func (w *World) Listening() (capture.Stats, bool) {
	w.mu.Lock()
	l := w.listening
	w.mu.Unlock()
	if l == nil {
		return capture.Stats{}, false
	}
	return l.Stats(), true
}
