package capture

import (
	"slices"
	"testing"
	"time"
)

// TestUpload: a program that sends far more than any hello, to the wrong port, is one attempt.
func TestUpload(t *testing.T) {
	const seg = 1400
	words := append([]byte("POST /upload HTTP/1.1\r\n\r\n"), make([]byte, 250*seg)...)
	for i := range words[30:] {
		words[30+i] = byte(i*7 + i/256)
	}
	zeros := make([]byte, 100*seg)
	for _, c := range []struct {
		name  string
		bytes []byte
		isn   uint32
		lost  int // number of the segment that was not captured
		want  Kind
	}{
		{"HTTP", words, 1000, -1, KindHello},
		{"HTTP, numbers wrap", words, 0xFFFFFF00, -1, KindHello},
		{"HTTP, a segment lost", words, 1000, 20, KindHello},
		{"HTTP, one lost far on", words, 1000, 120, KindHello},
		{"HTTP, the first lost", words, 1000, 0, KindPartial},
		{"zeros", zeros, 1000, -1, KindHello},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScript(t).again(c.isn).up()
			for i := 0; i*seg < len(c.bytes); i++ {
				if i != c.lost {
					s.c(0, i*seg, c.bytes[i*seg:min(len(c.bytes), (i+1)*seg)])
				}
			}
			s.c(FIN, len(c.bytes), nil).wait(10*time.Second).again(c.isn+1<<30).up().c(FIN, 0, psk(t, 1))
			var kinds []Kind
			sc := NewScanner(Options{}, func(e Event) {
				if e.Kind == KindHello || e.Kind == KindPartial {
					kinds = append(kinds, e.Kind)
				}
			})
			for _, p := range s.packets {
				sc.Packet(p)
			}
			sc.End()
			slices.Sort(kinds) // a partial is certain only later
			if len(kinds) != 2 || kinds[0] != KindHello || kinds[1] != c.want {
				t.Errorf("got %v, want %v and the hello that follows", kinds, c.want)
			}
		})
	}
}
