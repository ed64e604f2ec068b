package capture

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// followed follows a file while write writes to it, and gives what came. It ends after the last
// event that want names, or after five seconds.
func followed(t *testing.T, start []byte, want int, write func(f *os.File)) (got []string, warnings []string, err error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "grows.pcapng")
	if err := os.WriteFile(name, start, 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := FollowFile(name, func(s string) { warnings = append(warnings, s) })
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		write(f)
	}()
	err = Scan(ctx, src, Options{}, func(e Event) {
		if got = append(got, short(e)); len(got) == want {
			cancel()
		}
	})
	<-wrote
	return got, warnings, err
}

// grow writes bytes in pieces with a pause after each.
func grow(t *testing.T, b []byte, piece int, pause time.Duration) func(f *os.File) {
	return func(f *os.File) {
		for len(b) > 0 {
			n := min(piece, len(b))
			if _, err := f.Write(b[:n]); err != nil {
				t.Error(err)
				return
			}
			b = b[n:]
			time.Sleep(pause)
		}
	}
}

func TestFollow(t *testing.T) {
	s := newScript(t).up()
	msg := pki(t, 3)
	s.c(PSH, 0, msg[:40]).c(PSH, 40, msg[40:]).c(FIN, len(msg), nil)
	pcap := pcapFile(binary.LittleEndian, magicMicro, 1, 0, 0)
	ng := slices.Concat(ngSection(binary.LittleEndian), ngIface(binary.LittleEndian, 1, 255))
	for _, p := range s.packets {
		pcap = append(pcap, pcapFile(binary.LittleEndian, magicMicro, 1, uint32(p.Time.Unix()), uint32(p.Time.Nanosecond()/1000), p.Data)[24:]...)
		ng = append(ng, ngPacket(binary.LittleEndian, 0, uint64(p.Time.UnixMicro()), p.Data)...)
	}
	want := strings.Split(run(t, s.packets), "; ")
	tests := []struct {
		name  string
		file  []byte
		start int // bytes that are there at the beginning
		piece int
	}{
		{"pcap, cut in a record", pcap, len(pcap) / 2, 17},
		{"pcapng, cut in a block", ng, len(ng) - 30, 1},
		{"pcapng, cut in the section header", ng, 6, 100},
		{"empty at first", ng, 0, 333},
		{"whole", ng, len(ng), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, warnings, err := followed(t, tt.file[:tt.start], len(want), grow(t, tt.file[tt.start:], tt.piece, 2*time.Millisecond))
			if !slices.Equal(got, want) || len(warnings) > 0 || !errors.Is(err, context.Canceled) {
				t.Errorf("got %q, want %q, warnings %q, error %v", got, want, warnings, err)
			}
		})
	}
}

// TestFollowEnds: a file that is removed or replaced ends the reading, one that is cut is a fault, and
// an error of the caller comes back as it is.
func TestFollowEnds(t *testing.T) {
	s := newScript(t).up().c(PSH, 0, psk(t, 1))
	var ng []byte
	for _, p := range s.packets {
		ng = append(ng, ngPacket(binary.LittleEndian, 0, uint64(p.Time.UnixMicro()), p.Data)...)
	}
	ng = slices.Concat(ngSection(binary.LittleEndian), ngIface(binary.LittleEndian, 1, 255), ng)
	change := func(f func(name string) error) func(*os.File) {
		return func(file *os.File) {
			time.Sleep(100 * time.Millisecond)
			if err := f(file.Name()); err != nil {
				t.Error(err)
			}
		}
	}
	tests := []struct {
		name, warns, fails string
		file               []byte
		do                 func(name string) error
	}{
		{"removed", "removed", "", ng, os.Remove},
		{"removed within a block", "removed", "", ng[:len(ng)-9], os.Remove},
		{"replaced", "replaced", "", ng, func(name string) error {
			return errors.Join(os.WriteFile(name+".new", nil, 0o600), os.Rename(name+".new", name))
		}},
		{"made shorter", "", "became shorter", ng, func(name string) error { return os.Truncate(name, 50) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, warnings, err := followed(t, tt.file, 99, change(tt.do))
			said := strings.Join(warnings, "; ")
			if !strings.Contains(said, tt.warns) || (tt.warns == "" && said != "") || (err == nil) != (tt.fails == "") {
				t.Errorf("warnings %q, error %v", warnings, err)
			}
			if err != nil && !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("error %v", err)
			}
			if len(got) < 2 {
				t.Errorf("what was there before is missing: %q", got)
			}
		})
	}
	t.Run("an error of the heartbeat", func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "x.pcapng")
		if err := os.WriteFile(name, ng, 0o600); err != nil {
			t.Fatal(err)
		}
		src, err := FollowFile(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		enough := errors.New("enough")
		last := time.Time{}
		err = src.Run(context.Background(), func(p *Packet) error {
			if p.Number == 0 {
				if d := p.Time.Sub(last); d < 900*time.Millisecond || d > 3*time.Second {
					t.Errorf("the heartbeat is %v behind the last packet", d)
				}
				return enough
			}
			last = p.Time
			return nil
		})
		if err != enough {
			t.Errorf("error %v", err)
		}
	})
}
