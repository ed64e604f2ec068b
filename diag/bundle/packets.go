package bundle

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"amtmedic/amt"
)

// PacketFile is a capture inside a bundle.
type PacketFile struct {
	Name string // client.pcapng
	Side string // client, server; empty when the name tells none

	bundle, member string
}

// Packets lists the captures in a bundle, those that are what the manifest names. Nothing is
// extracted.
func Packets(bundlePath string) ([]PacketFile, error) {
	o, f, err := members(bundlePath)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []PacketFile
	for _, name := range sortedNames(o.members) {
		if strings.HasPrefix(name, wireFolder) && strings.HasSuffix(name, ".pcapng") {
			out = append(out, PacketFile{path.Base(name), sideOf(name), bundlePath, name})
		}
	}
	return out, nil
}

// Open gives the bytes of the capture. The bundle is checked once more.
func (p PacketFile) Open() (io.ReadCloser, error) {
	o, f, err := members(p.bundle)
	if err != nil {
		return nil, err
	}
	m := o.members[p.member]
	if m == nil {
		return nil, errors.Join(&amt.Error{Op: "open bundle", Subject: p.bundle, Err: fmt.Errorf("%s is not what it was", p.member)}, f.Close())
	}
	r, err := m.Open()
	if err != nil {
		return nil, errors.Join(&amt.Error{Op: "open bundle", Subject: p.bundle, Err: err}, f.Close())
	}
	return &packetReader{io.LimitReader(r, int64(m.UncompressedSize64)), r, f}, nil
}

// packetReader closes the member and the bundle.
type packetReader struct {
	io.Reader
	member io.Closer
	file   *os.File
}

// Close ends the reading.
func (r *packetReader) Close() error { return errors.Join(r.member.Close(), r.file.Close()) }

// members opens a bundle and keeps the members that are sound. The caller closes the file.
func members(bundlePath string) (*reader, *os.File, error) {
	fail := func(err error) error { return &amt.Error{Op: "open bundle", Subject: bundlePath, Err: err} }
	f, err := os.Open(bundlePath)
	if err != nil {
		return nil, nil, fail(err)
	}
	fi, err := f.Stat()
	if err == nil && fi.Size() > maxFile {
		err = fmt.Errorf("it has %d bytes, a bundle has at most %d", fi.Size(), int64(maxFile))
	}
	if err != nil {
		return nil, nil, errors.Join(fail(err), f.Close())
	}
	z, err := zip.NewReader(f, fi.Size())
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, nil, errors.Join(fail(fmt.Errorf("%w: %v", ErrNoBundle, err)), f.Close())
	}
	o := &reader{b: &Bundle{}, members: map[string]*zip.File{}}
	o.take(z)
	if o.members[ManifestName] == nil {
		clear(o.members)
		return o, f, nil
	}
	if o.manifest(); len(o.members) > 0 {
		o.check()
	}
	return o, f, nil
}
