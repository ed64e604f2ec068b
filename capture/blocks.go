package capture

import (
	"errors"
	"io"
)

// blockSize is the largest record that is read.
const blockSize = 1 << 20

// readSize is how much is read at once: what stays in the cache of a core's own, where the records
// are walked right after the copy. Measured: 1 MiB costs a quarter more time, 128 KiB a tenth; a second
// goroutine that reads ahead costs more than it saves, since every record then comes from the cache
// of another core; mapped files cost a page fault and a miss where this costs a copy.
const readSize = 512 << 10

// blockReader hands out records in place from one buffer of blockSize bytes and copies only the
// incomplete tail to the front. No record above blockSize can be asked for.
type blockReader struct {
	r    io.Reader
	buf  []byte
	pos  int   // first byte not yet used
	end  int   // first byte not yet filled
	off  int64 // offset of buf[pos] in the stream
	fail error // why nothing more comes: io.EOF or a fault of the reader
}

func newBlockReader(r io.Reader) *blockReader {
	return &blockReader{r: r, buf: make([]byte, blockSize)}
}

// peek gives the next n bytes without using them, or what there is with the reason.
func (b *blockReader) peek(n int) ([]byte, error) {
	if b.end-b.pos >= n {
		return b.buf[b.pos : b.pos+n], nil
	}
	if n > len(b.buf) {
		return nil, errors.New("record is larger than the read buffer")
	}
	b.end = copy(b.buf, b.buf[b.pos:b.end])
	b.pos = 0
	for empty := 0; b.end < n && b.fail == nil; {
		k, err := b.r.Read(b.buf[b.end:min(len(b.buf), b.end+readSize)])
		b.end += k
		b.fail = err
		if k > 0 {
			empty = 0
		} else if empty++; empty > 100 && err == nil {
			b.fail = io.ErrNoProgress
		}
	}
	if b.end < n {
		return b.buf[:b.end], b.fail
	}
	return b.buf[:n], nil
}

// rest gives what is in the buffer and not yet used.
func (b *blockReader) rest() []byte { return b.buf[b.pos:b.end] }

// left gives how many bytes are in the buffer; 0 means that the next peek may wait for the reader.
func (b *blockReader) left() int { return b.end - b.pos }

// use goes on by n bytes that peek gave.
func (b *blockReader) use(n int) {
	b.pos += n
	b.off += int64(n)
}

// skip goes on by n bytes, however many, and reports whether all were there.
func (b *blockReader) skip(n int64) error {
	for n > 0 {
		if b.left() == 0 {
			if _, err := b.peek(1); err != nil {
				return err
			}
		}
		k := int(min(int64(b.left()), n))
		b.use(k)
		n -= int64(k)
	}
	return nil
}
