package capture

import (
	"os"
	"path/filepath"
	"testing"
)

// TestCorpusTruth: every complete hello of a mixed file is found and none is invented.
func TestCorpusTruth(t *testing.T) {
	for _, format := range []string{"pcap", "pcapng"} {
		t.Run(format, func(t *testing.T) {
			c := writeCorpus(t, filepath.Join(t.TempDir(), "mixed"), format == "pcapng", 8<<20, 400)
			es, warnings := events(t, c.name)
			if c.check(t, es); len(warnings) > 0 || c.complete() < 200 {
				t.Errorf("%d complete hellos, warnings %q", c.complete(), warnings)
			}
		})
	}
}

// TestForeignCorpusTshark lets tshark with our dissector look for the hellos of such a file: it must show
// the same ones, field by field, at the same packets.
func TestForeignCorpusTshark(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") != "1" {
		t.Skip("tshark over a large file: AMTMEDIC_LONG=1")
	}
	tool(t, "tshark")
	c := writeCorpus(t, filepath.Join(t.TempDir(), "mixed"), true, 128<<20, 700)
	rows, _ := dissected(t, c.name)
	f, err := OpenFile(c.name, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if differ(t, rows, ours(t, f)); len(rows) != c.complete() {
		t.Errorf("tshark shows %d hellos of %d", len(rows), c.complete())
	}
}
