package main

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

func TestSoonWriter(t *testing.T) {
	var out syncBuffer
	w := newSoonWriter(&out)
	for _, word := range []string{"one ", "two ", "three "} {
		if _, err := io.WriteString(w, word); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(10 * time.Second); out.text() != "one two three " && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	_, _ = io.WriteString(w, "four")
	if err := w.Flush(); err != nil || out.text() != "one two three four" {
		t.Errorf("%q, %v", out.text(), err)
	}
	long := strings.Repeat("x", 200<<10)
	_, _ = io.WriteString(w, long)
	_, _ = io.WriteString(w, "end")
	if err := w.Flush(); err != nil || out.text() != "one two three four"+long+"end" {
		t.Errorf("%d bytes, %v", len(out.text()), err)
	}
}

func TestSoonWriterTellsOfAnError(t *testing.T) {
	r, p, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	p.Close()
	w := newSoonWriter(p)
	_, err = io.WriteString(w, "lost")
	for end := time.Now().Add(10 * time.Second); err == nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
		_, err = io.WriteString(w, "lost too")
	}
	if !errors.Is(err, os.ErrClosed) || !errors.Is(w.Flush(), os.ErrClosed) {
		t.Errorf("%v, %v", err, w.Flush())
	}
}
