package capture

import (
	"path/filepath"
	"testing"
)

// TestCorpusTruth: every complete hello of a mixed file is found and none is invented.
func TestCorpusTruth(t *testing.T) {
	for _, ng := range []bool{false, true} {
		c := writeCorpus(t, filepath.Join(t.TempDir(), "mixed"), ng, 8<<20, 400)
		es, warnings := events(t, c.name)
		c.check(t, es)
		if len(warnings) > 0 {
			t.Error(warnings)
		}
		t.Log(c.size, c.packets, c.complete())
	}
}
