package main

import (
	"bufio"
	"io"
	"sync"
	"time"
)

// soonAfter is how long what was written may wait in a soonWriter.
const soonAfter = 20 * time.Millisecond

// soonWriter gathers small writes and hands them on soon, also when nothing more comes: the reader
// of a pipe sees each event while the next one is waited for. It may be used by several goroutines.
type soonWriter struct {
	mu    sync.Mutex
	w     *bufio.Writer
	timer *time.Timer
	armed bool
	err   error // of a write that the timer did
}

func newSoonWriter(w io.Writer) *soonWriter {
	return &soonWriter{w: bufio.NewWriterSize(w, 64<<10)}
}

// Write takes b. An error may be that of an earlier write.
func (s *soonWriter) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.w.Write(b)
	if !s.armed && s.w.Buffered() > 0 {
		s.armed = true
		if s.timer == nil {
			s.timer = time.AfterFunc(soonAfter, s.due)
		} else {
			s.timer.Reset(soonAfter)
		}
	}
	return n, err
}

func (s *soonWriter) due() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = false
	if err := s.w.Flush(); err != nil && s.err == nil {
		s.err = err
	}
}

// Flush hands on what waits.
func (s *soonWriter) Flush() error {
	s.due()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
