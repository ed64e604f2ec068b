package core

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"amtmedic/amt/store/storetest"
)

// TestHundredThousand works through the pages of a database ten times as large, and prints how long
// each takes from the key to the finished page.
func TestHundredThousand(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") != "1" {
		t.Skip("AMTMEDIC_LONG=1 fills a database of 100,000 clients")
	}
	const n = 100_000
	path := filepath.Join(t.TempDir(), "core.db")
	if err := storetest.Fill(t.Context(), path, n); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	report := func(figure string, took time.Duration, wanted int) {
		fmt.Printf("perf: core pages | %s | %.1f ms | - | - | <= %d\n", figure, took.Seconds()*1000, wanted)
	}
	timed := func(fn func()) time.Duration {
		began := time.Now()
		fn()
		return time.Since(began)
	}
	var d *driver
	report("clients: opened, first rows and counts shown", timed(func() { d = drive(t, path, "clients"); d.want("1 of 100,000") }), 500)
	report("clients: a page down", timed(func() {
		for range 100 {
			d.keys("pgdown")
		}
	})/100, 50)
	report("clients: to the last row", timed(func() { d.keys("end").want("100,000 of 100,000") }), 2000)
	runtime.GC()
	runtime.ReadMemStats(&after)
	fmt.Printf("perf: core pages | clients: memory at the last row | %.1f MiB | - | - | <= 32\n", (float64(after.HeapAlloc)-float64(before.HeapAlloc))/(1<<20))
	d.keys("home")
	report("clients: looked at again, with counts", timed(func() { d.again() }), 250)
	report("clients: a search that finds nothing, to its end", timed(func() { d.keys("/", "type:~").want("0 found") }), 1000)
	d.keys("esc")
	for _, p := range []struct{ name, key, end string }{{"queue", "end", "20,000 of 20,000"}, {"delayed", "end", "20,000 of 20,000"},
		{"keys", "end", "100,000 of 100,000"}, {"serverlog", "home", "99,999 back"}} {
		report(p.name+": opened and to the last row", timed(func() { d = drive(t, path, p.name); d.keys(p.key).want(p.end) }), 2000)
	}
}
