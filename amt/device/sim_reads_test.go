package device_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"amtmedic/amt/device"
	"amtmedic/amt/hello"
	"amtmedic/amt/sim/engine"
)

func TestLogRecord(t *testing.T) {
	for _, c := range []struct{ name, hex, text, level string }{
		{"PCI configuration, as recorded", "0090315f" + "ff0f6f026801ff2200" + "4007000000000000", "BIOS: PCI configuration", "monitor"},
		{"no memory", "0090315f" + "ff0f6f006810ff2200" + "4001000000000000", "BIOS error: no memory is installed", "critical"},
		{"data not told", "0090315f" + "ff0f6f026801ff2200" + "eb07000000000000", "BIOS: not told", "monitor"},
		{"beyond the table", "0090315f" + "ff0f6f026800ff2200" + "40ff000000000000", "BIOS: not told", "unspecified"},
		{"case opened", "0090315f" + "ff056f006808ff2300" + "0000000000000000", "chassis opened, event type 111, offset 0", "warning"},
		{"unknown sensor", "0090315f" + "ffee6f006820ff2300" + "0000000000000000", "sensor type 238, event type 111, offset 0", "fatal"},
	} {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		r, err := device.ParseLogRecord(b)
		if err != nil || r.Text() != c.text || r.Level() != c.level || r.Time.Format("2006-01-02T15:04:05Z") != "2020-08-10T18:20:48Z" {
			t.Errorf("%s: %+v, %s, %s, %v", c.name, r, r.Text(), r.Level(), err)
		}
		for n := range len(b) {
			if _, err := device.ParseLogRecord(b[:n]); err == nil {
				t.Errorf("%s: taken with %d bytes", c.name, n)
			}
		}
	}
}

func TestReadsForAPersonAtTheClient(t *testing.T) {
	digest := bytes.Repeat([]byte{0xab}, 32)
	_, d := newLocal(t, "9.0.0", func(c *engine.Config) {
		c.Stage = engine.In
		c.Hashes = []hello.Hash{{Algorithm: hello.SHA256, Digest: digest}}
	})
	log, err := device.EventLog(context30(t), d)
	if err != nil || len(log) != 3 || !log[1].Time.After(log[0].Time) || log[0].Text() != "BIOS: PCI configuration" {
		t.Errorf("%+v, %v", log, err)
	}
	roots, err := device.RootHashes(context30(t), d)
	if err != nil || len(roots) != 1 || !bytes.Equal(roots[0].Digest, digest) || !roots[0].Active || roots[0].Algorithm != 2 {
		t.Errorf("%+v, %v", roots, err)
	}
	cable, err := device.Wired(context30(t), d)
	if err != nil || !cable.Up || !strings.HasPrefix(cable.MAC, "02-") {
		t.Errorf("%+v, %v", cable, err)
	}
	old := device.NewEOI(device.Open(device.Options{Address: "127.0.0.1:1"}))
	if _, err := device.EventLog(context30(t), old); device.KindOf(err) != device.KindMissing {
		t.Errorf("%v", err)
	}
}
