package lab

import (
	"errors"
	"os"
	"path/filepath"
	"time"

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
		w.ether(side).keep = &keeper{rec, f}
	}
	return nil
}

// keeper writes what an ether sees into a file.
type keeper struct {
	rec  *capture.Recorder
	file *os.File
}

// frame writes one frame. A full disk costs the capture file, not the world: Close tells.
func (k *keeper) frame(at time.Time, b []byte) error {
	err := k.rec.Packet(&capture.Packet{Data: b, Time: at, OrigLen: len(b), Link: capture.LinkEthernet})
	return errors.Join(err, k.rec.Flush())
}

func (k *keeper) close(s capture.Stats) error { return errors.Join(k.rec.Close(s), k.file.Close()) }
