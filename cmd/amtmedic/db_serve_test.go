package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

// A server goes on while both keys of its database are exchanged: what it acknowledges before, during and
// after is there, it takes the new data key up by itself, and everything opens with the new key.
func TestRotateBesideServe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, csv := filepath.Join(dir, "core.db"), filepath.Join(dir, "keys.csv")
	b := bytes.NewBufferString("id,pid,pps,current_password,admin_password,used\n")
	for _, word := range strings.Fields(amtmedic(t, 0, "keys", "generate", "--count", "300")) {
		if len(word) == 9 && word[4] == '-' {
			fmt.Fprintf(b, ",%s,%s,admin,N3w-P@ssword,0\n", word, walkPPS)
		}
	}
	if err := os.WriteFile(csv, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	amtmedic(t, 0, "keys", "import", csv, "--db", db)
	s := startServe(t, db, "--receive-only")
	sent := 0
	say := func() {
		t.Helper()
		for range 3 { // one source may send 20 a second
			sent++
			raw, err := hello.Encode(hello.ForPKI(amt.UUID{byte(sent >> 8), byte(sent), 7}))
			if err != nil {
				t.Fatal(err)
			}
			if !acknowledged(s.addr, raw) {
				t.Fatalf("hello %d was not acknowledged", sent)
			}
		}
		time.Sleep(200 * time.Millisecond)
	}
	say()
	want(t, amtmedic(t, 0, "db", "rotate-key", "--db", db), "1 data key wrapped anew")
	say()
	done := make(chan string)
	go func() { done <- amtmedic(t, 0, "db", "rotate-data-key", "--db", db, "--grace", "1500ms") }()
	for out := ""; out == ""; {
		select {
		case out = <-done:
			want(t, out, "data key 2 is in use", "data keys removed: 1, kept: 0")
		default:
			say()
		}
	}
	say()
	amtmedic(t, 0, "keys", "import", csv, "--db", db)
	if code := s.end(syscall.SIGTERM); code != 0 {
		t.Errorf("serve ended with %d", code)
	}
	if strings.Contains(s.text(), "ERROR") {
		t.Errorf("log: %s", s.text())
	}
	want(t, amtmedic(t, 0, "db", "check", "--db", db, "--json"), `"active_key":2,"keys":1,`, fmt.Sprintf(`{"table":"csti_amts","rows":%d}`, sent), `"problems":[]`)
}
