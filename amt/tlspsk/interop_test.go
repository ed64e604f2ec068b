package tlspsk

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

var (
	allVersions = []uint16{VersionTLS10, VersionTLS11, VersionTLS12}
	allSuites   = []uint16{SuiteAES128SHA, SuiteAES256SHA, Suite3DESSHA, SuiteRC4128SHA}
)

// megabytes gives data without a pattern that a record's length would divide.
func megabytes(n int) []byte {
	b := make([]byte, n<<20)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// exchange sends data through a and b in both directions at once and compares what arrives.
func exchange(a io.Writer, fromB io.Reader, b io.Writer, fromA io.Reader, data []byte) error {
	errs := make(chan error, 4)
	send := func(w io.Writer) {
		_, err := w.Write(data)
		errs <- err
	}
	take := func(name string, r io.Reader) {
		got := make([]byte, len(data))
		n, err := io.ReadFull(r, got)
		if err == nil && !bytes.Equal(got, data) {
			err = fmt.Errorf("data changed")
		}
		if err != nil {
			err = fmt.Errorf("%s: %w after %d bytes", name, err, n)
		}
		errs <- err
	}
	go send(a)
	go send(b)
	go take("from b", fromB)
	go take("from a", fromA)
	var first error
	for range 4 {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// each runs f for every version and suite.
func each(t *testing.T, f func(t *testing.T, version, suite uint16)) {
	for _, v := range allVersions {
		for _, s := range allSuites {
			t.Run(VersionName(v)+"/"+SuiteName(s), func(t *testing.T) { f(t, v, s) })
		}
	}
}

func TestClientToOpenSSL(t *testing.T) {
	data := megabytes(3)
	each(t, func(t *testing.T, version, suite uint16) {
		if why := opensslLacks(t, suite); why != "" {
			t.Skip(why)
		}
		p := opensslServer(t, version, suite, "-quiet")
		c, err := dial(t, p.addr, config(version, suite))
		if err != nil {
			t.Fatal(err)
		}
		if s := c.State(); s.Version != version || s.Suite != suite || !s.Secure {
			t.Fatalf("agreed on %+v", s)
		}
		if err := exchange(c, c, p.in, p.out, data); err != nil {
			t.Fatal(err)
		}
	})
}
