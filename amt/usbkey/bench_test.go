package usbkey

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkInspect2GiB inspects a sparse FAT32 image of 2 GiB that mkfs.fat made, and has fsck.fat -n
// check the same image in between. Both open the file anew each time; fsck.fat is a process besides,
// so that an empty process is measured too.
func BenchmarkInspect2GiB(b *testing.B) {
	need(b, "mkfs.fat", "fsck.fat", "mcopy", "true")
	dir := b.TempDir()
	write(b, dir, "setup.bin", setupBytes(b, 100))
	sh(b, dir, "truncate -s 2G k.img; mkfs.fat -F 32 k.img >/dev/null; mcopy -i k.img setup.bin ::SETUP.BIN")
	path := filepath.Join(dir, "k.img")
	var ours, theirs, process time.Duration
	run := func(d *time.Duration, name string, args ...string) {
		start := time.Now()
		if out, err := exec.CommandContext(context.Background(), name, args...).CombinedOutput(); err != nil {
			b.Fatalf("%s: %v\n%s", name, err, out)
		}
		*d += time.Since(start)
	}
	for b.Loop() {
		start := time.Now()
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		fi, err := f.Stat()
		if err != nil {
			b.Fatal(err)
		}
		r, err := Inspect(f, fi.Size(), Options{})
		if err != nil || r.Setup == nil {
			b.Fatal(err)
		}
		_ = f.Close()
		ours += time.Since(start)
		run(&theirs, "fsck.fat", "-n", path)
		run(&process, "true")
	}
	n := float64(b.N)
	b.ReportMetric(float64(ours.Microseconds())/n, "inspect-us")
	b.ReportMetric(float64(theirs.Microseconds())/n, "fsck-us")
	b.ReportMetric(float64(process.Microseconds())/n, "process-us")
	faster := float64((theirs - process).Nanoseconds()) / float64(ours.Nanoseconds())
	b.ReportMetric(faster, "times-faster")
	fmt.Printf("perf: usbkey | inspecting an image, times as fast as fsck.fat -n without the start of a process | %.3f ms | %.3f ms | %.2f | >= 1\n",
		ours.Seconds()*1000/n, (theirs-process).Seconds()*1000/n, faster)
}
