package capture

import "time"

// sieve lets a format go over packets that a scan would refuse anyway, before anything is made of
// them: nine hundred and ninety of a thousand in an everyday file. It counts what was left out.
type sieve struct {
	match   *Matcher                               // nil: every packet is given
	idle    func(link LinkType, frame []byte) bool // says of a frame that it tells nothing now; may be nil
	until   time.Time                              // of the last packet that was left out
	packets uint64
	cut     uint64 // of these, packets of which only a part was captured
}

// takes reports whether packets of a link type may be left out. Those of a type that is not known
// are given, so that someone can be told.
func (s *sieve) takes(link LinkType) bool { return s.match != nil && link.Known() }

// settled reports that a frame tells nothing at the moment.
func (s *sieve) settled(link LinkType, frame []byte) bool {
	return s.idle != nil && s.idle(link, frame)
}

// left counts what was left out.
func (s *sieve) left(t leftOut) {
	s.packets += uint64(t.packets)
	s.cut += uint64(t.cut)
}

// leftOut counts packets in the loop that runs for each of them.
type leftOut struct{ packets, cut int }

// packet counts one with n captured bytes of orig.
func (t *leftOut) packet(n, orig int) {
	t.packets++
	if n < orig {
		t.cut++
	}
}

// leaveOut makes Run go over what the matcher refuses, where that shows in nothing but the time it
// takes. A file that is followed gives every packet: the time of the last one is that of its heartbeats.
// idle may be nil.
func (f *File) leaveOut(m *Matcher, idle func(LinkType, []byte) bool) {
	if f.follow == nil {
		f.sieve.match, f.sieve.idle = m, idle
	}
}
