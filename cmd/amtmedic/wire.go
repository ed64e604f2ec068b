package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"time"

	"amtmedic/capture"
	"amtmedic/diag"
	"amtmedic/diag/bundle"
	"amtmedic/diag/flow"
	"amtmedic/diag/journal"
	"amtmedic/diag/site"
	"amtmedic/diag/wire"
)

// wiredWalk is a walk together with the packets of its case.
type wiredWalk struct {
	*flow.Walk
	log *wire.Log
}

// Wire gives the packets, for the screen.
func (w wiredWalk) Wire() *wire.Log { return w.log }

// siteWalk is a walk of a real client: the screen can let it listen besides the walk.
type siteWalk struct {
	wiredWalk
	world *site.World
}

// Listen captures on the usual interface until ctx ends.
func (w siteWalk) Listen(ctx context.Context) error { return w.world.Listen(ctx) }

// readWire lets a log be read until the function that it gives is called, which waits for its end.
func readWire(ctx context.Context, log *wire.Log) (stop func() error) {
	run, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		log.Run(run)
	}()
	return func() error {
		cancel()
		<-done
		return nil
	}
}

// practiceTaps are the recordings of both sides of a practice world, in the time of that world.
func practiceTaps(folder string, now func() time.Time) []wire.Tap {
	var out []wire.Tap
	for _, side := range []diag.Vantage{diag.AtClient, diag.AtServer} {
		name := string(side) + ".pcapng"
		t := wire.Growing(side, name, filepath.Join(folder, name))
		t.Now = now
		out = append(out, t)
	}
	return out
}

// bundleTaps are the captures in a bundle.
func bundleTaps(path string) ([]wire.Tap, error) {
	files, err := bundle.Packets(path)
	if err != nil {
		return nil, err
	}
	var out []wire.Tap
	for _, f := range files {
		side := diag.Vantage(f.Side)
		if side != diag.AtServer && side != diag.AtThird {
			side = diag.AtClient
		}
		out = append(out, wire.Tap{Side: side, Name: f.Name, Open: func(bool) (capture.Source, error) {
			r, err := f.Open()
			if err != nil {
				return nil, err
			}
			return &openedCapture{capture.NewFile(r, f.Name, nil), r}, nil
		}})
	}
	return out, nil
}

// openedCapture closes what it reads.
type openedCapture struct {
	*capture.File
	r io.Closer
}

// Close ends the reading.
func (o *openedCapture) Close() error { return o.r.Close() }

// keptFile is a file of packets that tells when nothing is written to it any more.
type keptFile struct {
	io.WriteCloser
	done func()
}

// Close ends the writing.
func (r *keptFile) Close() error {
	err := r.WriteCloser.Close()
	r.done()
	return err
}

// keepAndShow lets what is captured live go into the case as it comes, and onto the screen.
func keepAndShow(world *site.World, book *journal.Case, log *wire.Log, name string) {
	world.KeepFiles(wireFiles(book)) // which are shown already
	world.KeepPackets(func(side string) (io.WriteCloser, string, error) {
		path, ref, err := book.WirePath(side)
		if err != nil {
			return nil, "", err
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0o600)
		if err != nil {
			return nil, "", err
		}
		t := wire.Growing(diag.Vantage(side), name, path)
		t.Counts = world.Listening
		return &keptFile{f, log.Add(t)}, ref, nil
	})
}

// captureTaps are the capture files that were named.
func captureTaps(captures []site.Capture) []wire.Tap {
	var out []wire.Tap
	for _, c := range captures {
		out = append(out, wire.File(c.Side, c.Path))
	}
	return out
}
