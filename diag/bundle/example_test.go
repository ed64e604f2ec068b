package bundle_test

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/bundle"
	"amtmedic/diag/check"
	"amtmedic/diag/journal"
)

// A case goes into a bundle, and comes out with the same verdict.
func Example() {
	at := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	record := &journal.Record{
		Info:  journal.Info{ID: "case-20261125-1000-k7", Created: at},
		Facts: []diag.Fact{{At: at, Key: "client.mode", Value: "1"}},
	}
	var file bytes.Buffer
	if _, err := bundle.Create(context.Background(), &file, record, bundle.Options{Judge: check.Judge}); err != nil {
		fmt.Println(err)
		return
	}
	b, err := bundle.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(b.Manifest.Case.ID, b.Verdict, b.Verify(check.Judge))
	// Output: case-20261125-1000-k7 rc-amt-disabled []
}
