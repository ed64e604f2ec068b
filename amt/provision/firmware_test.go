package provision

import (
	"errors"
	"strings"
	"testing"

	"amtmedic/amt/device"
)

// A client that answers nonsense is found again in the log with the bytes that it sent, and its reason
// says where the session ended also when no step was begun.
func TestRefusalKeepsEvidence(t *testing.T) {
	e := &device.Error{Op: "AMT_GeneralSettings.Get", Kind: device.KindAnswer, Err: errors.New("not a SOAP message"),
		Hint: "look at the address", Evidence: []byte("<html>\x1b[2J" + strings.Repeat("x", 2000))}
	var r *Refusal
	if !errors.As(refusalOf(e), &r) {
		t.Fatal("no refusal")
	}
	if r.Words != "the session ended at AMT_GeneralSettings.Get (answer)" {
		t.Errorf("words %q", r.Words)
	}
	if !strings.Contains(r.Log, `it began with "<html>\x1b[2Jxxx`) || !strings.HasSuffix(r.Log, "next: look at the address") || len(r.Log) > 500 {
		t.Errorf("log %q", r.Log)
	}
	e.Step = "set clock"
	if errors.As(refusalOf(e), &r); r.Words != "the configuration stopped at set clock" {
		t.Errorf("words %q", r.Words)
	}
}
