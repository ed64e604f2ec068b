package capture

import (
	"bufio"
	"io"

	"github.com/klauspost/compress/gzip"
)

// members reads the members of a gzip file one behind the other (RFC 1952 2.2), as programs that
// compress in pieces write them. Zeros behind the last one, from tapes and file systems that pad, are
// gone over; anything else behind it is told and left alone, as gzip does.
type members struct {
	z    *gzip.Reader
	src  *bufio.Reader
	tell func(string)
	over bool
}

func (m *members) Read(b []byte) (int, error) {
	for !m.over {
		n, err := m.z.Read(b)
		if err != io.EOF {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
		if err := m.following(); err != nil {
			return 0, err
		}
	}
	return 0, io.EOF
}

// following goes on to the next member, if there is one.
func (m *members) following() error {
	h, err := m.src.Peek(2)
	if len(h) == 2 && h[0] == 0x1F && h[1] == 0x8B {
		if err := m.z.Reset(m.src); err != nil {
			return err
		}
		m.z.Multistream(false)
		return nil
	}
	m.over = true
	for err == nil || len(h) > 0 {
		for _, c := range h {
			if c != 0 {
				m.tell("what stands behind the compressed data is none and was left out")
				return nil
			}
		}
		_, _ = m.src.Discard(len(h))
		h, err = m.src.Peek(1)
	}
	if err == io.EOF {
		return nil
	}
	return err
}
