package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/capture"
)

// recording says where packets are kept.
type recording struct {
	file  string
	ring  byteSize
	every time.Duration
}

// byteSize is a flag such as 500MB, 2GiB or a plain number of bytes.
type byteSize int64

// units of bytes, as people write them; the longer ones first.
var units = []struct {
	name string
	n    int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"T", 1 << 40}, {"B", 1}}

// String gives the number of bytes.
func (b *byteSize) String() string { return strconv.FormatInt(int64(*b), 10) }

// Set reads a size above 0.
func (b *byteSize) Set(v string) error {
	s, unit := strings.TrimSpace(v), int64(1)
	for _, u := range units {
		if n := len(s) - len(u.name); n > 0 && strings.EqualFold(s[n:], u.name) {
			s, unit = strings.TrimSpace(s[:n]), u.n
			break
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if size := f * float64(unit); err != nil || !(size >= 1) || size > 1<<60 {
		return fmt.Errorf("%q is no size such as 500MB or 2GiB", v)
	}
	*b = byteSize(f * float64(unit))
	return nil
}

// check says what does not go together.
func (r recording) check() string {
	switch {
	case r.every < 0:
		return "--rotate takes a time above 0"
	case r.ring == 0 && r.every > 0:
		return "--rotate goes with --ring"
	case r.ring > 0 && (r.file == "" || r.file == "-"):
		return "--ring goes with -w and the name of a file"
	case r.ring > 0 && r.ring < capture.MinRing:
		return fmt.Sprintf("--ring takes at least %d MiB", capture.MinRing>>20)
	}
	return ""
}

// open begins the recording; nil when none is wanted. lost tells at the end how many packets are not in it.
func (r recording) open(e *env, live *capture.Live, ports []uint16, warn func(string)) (sink capture.Sink, lost func() uint64, err error) {
	ifaces := recordedInterfaces(live)
	opt := capture.RecordOptions{Ports: ports, KeepOn: true, Warn: warn}
	switch {
	case r.file == "":
		return nil, nil, nil
	case r.file == "-":
		rec, err := capture.NewRecorder(e.stdout, ifaces...)
		if err != nil {
			return nil, nil, &amt.Error{Op: "record to", Subject: "standard output", Err: err}
		}
		return rec, rec.Lost, nil
	case r.ring > 0:
		ring, err := capture.CreateRing(r.file, capture.RingOptions{Size: int64(r.ring), Every: r.every, Ports: ports, Warn: warn, Stats: live.Stats}, ifaces...)
		if err != nil {
			return nil, nil, err
		}
		return ring, ring.Lost, nil
	}
	rec, err := r.single(opt, ifaces)
	if err != nil {
		return nil, nil, err
	}
	return rec, rec.Lost, nil
}

// single begins one file. An empty file that is there, a pipe or a device holds nothing that could be
// lost: it is written to.
func (r recording) single(opt capture.RecordOptions, ifaces []capture.RecordedInterface) (*capture.Recorder, error) {
	rec, err := capture.CreateRecorder(r.file, opt, ifaces...)
	if !errors.Is(err, fs.ErrExist) {
		return rec, err
	}
	st, serr := os.Stat(r.file)
	if serr != nil || st.IsDir() || (st.Mode().IsRegular() && st.Size() > 0) {
		return nil, err
	}
	f, err := os.OpenFile(r.file, os.O_WRONLY, 0)
	if err != nil {
		return nil, &amt.Error{Op: "record packets", Err: err, Hint: "name a file in a folder that you may write to"}
	}
	if st.Mode().IsRegular() {
		if err := f.Chmod(0o600); err != nil {
			return nil, errors.Join(&amt.Error{Op: "record packets", Err: err}, f.Close())
		}
	} else {
		opt.KeepOn = false // who reads a pipe ends it
	}
	return capture.RecordTo(f, opt, ifaces...)
}
