package capture

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// naive is the plainest model of an assembly: one value for each offset.
type naive map[int]byte

func (n naive) insert(off int, b []byte) (added int, conflict bool) {
	for i, v := range b {
		if old, known := n[off+i]; known {
			conflict = conflict || old != v
			continue
		}
		n[off+i] = v
		added++
	}
	return added, conflict
}

func (n naive) prefix() []byte {
	var b []byte
	for v, ok := n[0]; ok; v, ok = n[len(b)] {
		b = append(b, v)
	}
	return b
}

func (n naive) shift(d int) naive {
	m := naive{}
	for o, v := range n {
		m[o+d] = v
	}
	return m
}

// compare puts the pieces that ops describes into both: offset, length, value in turn.
func compare(t *testing.T, ops []byte) {
	var a assembly
	n := naive{}
	for ; len(ops) >= 3; ops = ops[3:] {
		if ops[1] == 255 {
			d := int(ops[0] % 8)
			if d == 0 {
				a.dropFirst()
				n = n.shift(-1)
				delete(n, -1)
				continue
			}
			a.shift(d)
			n = n.shift(d)
			continue
		}
		b := bytes.Repeat(ops[2:3], int(ops[1]%12))
		added, conflict := a.insert(int(ops[0]), b)
		wantAdded, wantConflict := n.insert(int(ops[0]), b)
		if added != wantAdded || conflict != wantConflict {
			t.Fatalf("insert %d bytes at %d: added %d conflict %v, the model says %d %v", len(b), ops[0], added, conflict, wantAdded, wantConflict)
		}
		if got := a.buf[:a.prefix()]; !bytes.Equal(got, n.prefix()) {
			t.Fatalf("prefix %x, the model says %x", got, n.prefix())
		}
		end := 0
		for o := range n {
			end = max(end, o+1)
		}
		if a.end() != end {
			t.Fatalf("end %d, the model says %d", a.end(), end)
		}
	}
}

func TestAssemblyAgreesWithModel(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		ops := make([]byte, 3*r.IntN(40))
		for i := range ops {
			ops[i] = byte(r.Uint32())
			if i%3 == 0 {
				ops[i] %= 64
			}
		}
		compare(t, ops)
	}
}

func FuzzAssembly(f *testing.F) {
	f.Add([]byte{0, 5, 1, 10, 5, 2, 3, 9, 1})
	f.Add([]byte{4, 4, 1, 3, 255, 0, 0, 7, 9})
	f.Fuzz(compare)
}
