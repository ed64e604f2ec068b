package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"amtmedic/capture"
)

// TestHalfOpenFlood scans half a million attempts that get no answer, as a scan of the network or an
// attack leaves them. Resident memory of the program stays within its bound, every SYN is told, and so
// is that attempts were judged early.
func TestHalfOpenFlood(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") == "" {
		t.Skip("the flood of attempts belongs to the long set: AMTMEDIC_LONG=1")
	}
	const count, most = 500_000, 64 << 20
	dir := t.TempDir()
	program := buildFor(t, "linux", filepath.Join(dir, "amtmedic"))
	_, wanted := mixture(t)
	o, syn := binary.LittleEndian, wanted[0]
	head := o.AppendUint16(o.AppendUint16(o.AppendUint32(nil, 0xA1B2C3D4), 2), 4) // pcap 2.4, microseconds
	b := bytes.NewBuffer(o.AppendUint32(o.AppendUint32(o.AppendUint64(head, 0), 1<<18), uint32(capture.LinkEthernet)))
	for i := range count {
		binary.BigEndian.PutUint32(syn[26:], uint32(0x0A000000+i)) // the sender
		h := o.AppendUint32(o.AppendUint32(nil, 1_700_000_000), uint32(i))
		b.Write(o.AppendUint32(o.AppendUint32(h, uint32(len(syn))), uint32(len(syn))))
		b.Write(syn)
	}
	file := filepath.Join(dir, "flood.pcap")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, "capture", "scan", file)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	end := time.AfterFunc(5*time.Minute, func() { _ = c.Process.Kill() })
	defer end.Stop()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	done, peak := make(chan error, 1), 0
	go func() { done <- c.Wait() }()
	for over := false; !over; { // what the system counts at the end includes this process, which began it
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("%v: %s", err, errs.String())
			}
			over = true
		case <-time.After(2 * time.Millisecond):
			peak = max(peak, residentPeak(c.Process.Pid))
		}
	}
	if n := strings.Count(out.String(), " syn "); n != count {
		t.Errorf("%d of %d attempts are told", n, count)
	}
	if !strings.Contains(errs.String(), "judged early") {
		t.Errorf("it is not told that attempts were judged early: %s", errs.String())
	}
	if peak == 0 || peak > most {
		t.Errorf("%d MiB resident, at most %d are wanted", peak>>20, most>>20)
	}
	t.Logf("%d MiB resident", peak>>20)
}

// residentPeak is the most memory in bytes that a process had so far, 0 when it is gone.
func residentPeak(pid int) (n int) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if _, rest, ok := strings.Cut(string(b), "VmHWM:"); ok {
		_, _ = fmt.Sscan(rest, &n)
	}
	return n << 10
}
