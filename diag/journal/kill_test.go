package journal

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"amtmedic/diag"
)

// TestMain turns the test binary into a writer that is meant to be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("JOURNAL_TEST_WRITE"); dir != "" {
		writeForEver(dir)
	}
	os.Exit(m.Run())
}

// writeForEver adds numbered facts and prints the number of each when it is durable.
func writeForEver(dir string) {
	c, err := Open(dir, os.Getenv("JOURNAL_TEST_CASE"))
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	from, _ := strconv.Atoi(os.Getenv("JOURNAL_TEST_FROM"))
	for n := from; ; n++ {
		text := fmt.Sprintf("%d-%s", n, strings.Repeat("x", n*997%20_000))
		if err := c.Fact(diag.Fact{Key: "case.report", Value: text}); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(n)
	}
}

// A killed writer loses nothing that it confirmed, leaves no lock, and the case opens again.
func TestKilledWriter(t *testing.T) {
	rounds := 3
	if os.Getenv("AMTMEDIC_LONG") == "1" {
		rounds = 100
	}
	dir := t.TempDir()
	c := create(t, dir, options(noon))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	next, repaired := 0, 0
	for range rounds {
		confirmed := killOne(t, dir, c.ID(), next)
		again, err := Open(dir, c.ID())
		if err != nil {
			t.Fatal(err)
		}
		repaired += len(again.Repaired)
		_ = again.Close()
		r, err := Read(dir, c.ID())
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Facts) < confirmed {
			t.Fatalf("%d facts were confirmed, %d are there", confirmed, len(r.Facts))
		}
		for i, f := range r.Facts {
			if !strings.HasPrefix(f.Value.(string), fmt.Sprint(i, "-")) {
				t.Fatalf("fact %d begins %.20q", i, f.Value)
			}
		}
		next = len(r.Facts)
	}
	t.Logf("%d kills, %d facts, %d last lines cut", rounds, next, repaired)
}

// killOne lets a writer run for some milliseconds and gives how many facts it confirmed.
func killOne(t *testing.T, dir, id string, from int) (confirmed int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "JOURNAL_TEST_WRITE="+dir, "JOURNAL_TEST_CASE="+id, fmt.Sprint("JOURNAL_TEST_FROM=", from))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(20*time.Millisecond+time.Duration(rand.IntN(60_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	confirmed = from
	for sc := bufio.NewScanner(out); sc.Scan(); {
		n, err := strconv.Atoi(sc.Text())
		if err != nil {
			t.Fatal(sc.Text())
		}
		confirmed = n + 1
	}
	_ = cmd.Wait()
	return confirmed
}
