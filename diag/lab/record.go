package lab

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"amtmedic/amt"
	"amtmedic/capture"
	"amtmedic/diag"
)

// record makes the ethers of both sides. With a folder, what they see is kept there too, one
// capture file for each side.
func (w *World) record(dir string) error {
	w.clientEther, w.serverEther = newEther(w.clock.now), newEther(w.clock.now)
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, side := range []diag.Vantage{diag.AtClient, diag.AtServer} {
		f, err := os.OpenFile(filepath.Join(dir, captureName(side)), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		rec, err := capture.NewRecorder(f, capture.RecordedInterface{Name: string(side) + " (practice)", Link: capture.LinkEthernet, Filter: "everything of the practice world"})
		if err != nil {
			return errors.Join(err, f.Close())
		}
		w.ether(side).keep = newKeeper(rec, f, amt.HelloPort, w.plan.port)
	}
	return nil
}

// keeper writes what an ether sees into a file, with what is seen in it as comments.
type keeper struct {
	rec  *capture.Recorder
	file *os.File
	scan *capture.Scanner
	seen []capture.Event
	n    int
}

func newKeeper(rec *capture.Recorder, file *os.File, ports ...uint16) *keeper {
	k := &keeper{rec: rec, file: file}
	k.scan = capture.NewScanner(capture.Options{Ports: ports}, func(e capture.Event) { k.seen = append(k.seen, e) })
	return k
}

// frame writes one frame. A full disk costs the capture file, not the world: Close tells.
func (k *keeper) frame(at time.Time, b []byte) error {
	k.n++
	p := &capture.Packet{Data: b, Time: at, OrigLen: len(b), Link: capture.LinkEthernet, Number: k.n}
	k.scan.Packet(p)
	err := k.rec.Take(p, k.seen)
	k.seen = k.seen[:0]
	return errors.Join(err, k.rec.Flush())
}

func (k *keeper) close(s capture.Stats) error {
	k.scan.End()
	return errors.Join(k.rec.Take(&capture.Packet{}, k.seen), k.rec.Close(s), k.file.Close())
}
