package bundle

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"hash/crc32"
	"os"
	"slices"
	"strings"
	"testing"

	"amtmedic/amt"
)

// part is one member of a zip that is put together again.
type part struct {
	name string
	data []byte
	edit func(*zip.FileHeader)
}

func parts(t testing.TB, b []byte) (ps []part) {
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		var data bytes.Buffer
		if err := unpack(&data, f); err != nil {
			t.Fatal(err)
		}
		ps = append(ps, part{name: f.Name, data: data.Bytes()})
	}
	return ps
}

func zipped(t testing.TB, ps []part) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, p := range ps {
		h := &zip.FileHeader{Name: p.name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(p.data),
			CompressedSize64: uint64(len(p.data)), UncompressedSize64: uint64(len(p.data))}
		if p.edit != nil {
			p.edit(h)
		}
		f, err := w.CreateRaw(h)
		if err == nil {
			_, err = f.Write(p.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestHostileBundles(t *testing.T) {
	good, _ := made(t, record(t), Options{})
	at := func(ps []part, name string) *part {
		return &ps[slices.IndexFunc(ps, func(p part) bool { return p.name == name })]
	}
	manifest := func(ps []part, edit func(m map[string]any)) {
		p := at(ps, ManifestName)
		var m map[string]any
		if err := json.Unmarshal(p.data, &m); err != nil {
			t.Fatal(err)
		}
		edit(m)
		p.data, _ = json.Marshal(m)
	}
	file := func(m map[string]any, i int) map[string]any { return m["files"].([]any)[i].(map[string]any) }
	for _, tc := range []struct {
		name string
		edit func(ps []part) []part
		want string // codes
	}{
		{"untouched", func(ps []part) []part { return ps }, ""},
		{"leads out", func(ps []part) []part { return append(ps, part{name: "../../etc/passwd"}) }, "member-name"},
		{"absolute", func(ps []part) []part { return append(ps, part{name: "/etc/passwd"}) }, "member-name"},
		{"drive", func(ps []part) []part { return append(ps, part{name: `C:\x`}) }, "member-name"},
		{"escape in a name", func(ps []part) []part { return append(ps, part{name: "a\x1b[2Jb"}) }, "member-name"},
		{"empty name", func(ps []part) []part { return append(ps, part{name: ""}) }, "member-name"},
		{"very long name", func(ps []part) []part { return append(ps, part{name: strings.Repeat("a", 5000)}) }, "member-name"},
		{"twice", func(ps []part) []part { return append(ps, part{name: FactsName, data: []byte("{}\n")}) }, "member-name"},
		{"twice in another case", func(ps []part) []part { return append(ps, part{name: "FACTS.jsonl"}) }, "member-name"},
		{"not listed", func(ps []part) []part { return append(ps, part{name: "extra.txt"}) }, "member-unlisted"},
		{"symbolic link", func(ps []part) []part {
			return append(ps, part{"link", []byte("/etc/passwd"), func(h *zip.FileHeader) { h.SetMode(os.ModeSymlink | 0o777) }})
		}, "member-kind"},
		{"encrypted", func(ps []part) []part {
			return append(ps, part{"x", []byte("y"), func(h *zip.FileHeader) { h.Flags |= 1 }})
		}, "member-kind"},
		{"unknown packing", func(ps []part) []part {
			return append(ps, part{"x", []byte("y"), func(h *zip.FileHeader) { h.Method = 99 }})
		}, "member-kind"},
		{"bomb by ratio", func(ps []part) []part {
			return append(ps, part{"x", []byte("y"), func(h *zip.FileHeader) { h.Method, h.UncompressedSize64 = zip.Deflate, 100<<20 }})
		}, "member-size"},
		{"bomb by size", func(ps []part) []part {
			return append(ps, part{"x", []byte("y"), func(h *zip.FileHeader) { h.UncompressedSize64 = 1 << 40 }})
		}, "member-size"},
		{"manifest bomb", func(ps []part) []part {
			at(ps, ManifestName).edit = func(h *zip.FileHeader) { h.UncompressedSize64 = 1 << 33 }
			return ps
		}, "member-size manifest"},
		{"wrong check sum", func(ps []part) []part {
			at(ps, FactsName).edit = func(h *zip.FileHeader) { h.CRC32++ }
			return ps
		}, "member-damaged"},
		{"other facts", func(ps []part) []part { p := at(ps, FactsName); p.data[30] ^= 1; return ps }, "member-hash"},
		{"longer facts", func(ps []part) []part { p := at(ps, FactsName); p.data = append(p.data, '\n'); return ps }, "member-size"},
		{"facts taken out", func(ps []part) []part {
			return slices.DeleteFunc(ps, func(p part) bool { return p.name == FactsName })
		}, "member-missing"},
		{"manifest taken out", func(ps []part) []part {
			return slices.DeleteFunc(ps, func(p part) bool { return p.name == ManifestName })
		}, "manifest"},
		{"manifest is no JSON", func(ps []part) []part { at(ps, ManifestName).data = []byte("[1"); return ps }, "manifest"},
		{"form of the future", func(ps []part) []part {
			manifest(ps, func(m map[string]any) { m["format"] = "amtmedic-bundle/9" })
			return ps
		}, "format"},
		{"negative size", func(ps []part) []part { manifest(ps, func(m map[string]any) { file(m, 0)["bytes"] = -1 }); return ps }, "member-size"},
		{"manifest leads out", func(ps []part) []part {
			manifest(ps, func(m map[string]any) { file(m, 0)["path"] = "../README.txt" })
			return ps
		}, "member-name member-unlisted"},
		{"listed twice", func(ps []part) []part {
			manifest(ps, func(m map[string]any) { m["files"] = append(m["files"].([]any), file(m, 0)) })
			return ps
		}, "member-name"},
		{"thousands of members", func(ps []part) []part {
			for range 2000 {
				ps = append(ps, part{name: "x"})
			}
			return ps
		}, "member-name too-many-members"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := zipped(t, tc.edit(parts(t, good)))
			o, err := Open(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			codes := amt.Codes(o.Verify(judge))
			slices.Sort(codes)
			want := strings.Fields(tc.want)
			slices.Sort(want)
			if got := slices.Compact(codes); !slices.Equal(got, want) {
				t.Errorf("problems %v, want %v: %+v", got, want, o.Problems)
			}
			for _, p := range o.Problems {
				if strings.ContainsRune(p.Where+p.Text, 0x1b) {
					t.Errorf("a problem carries an escape: %q", p.Where+p.Text)
				}
			}
		})
	}
}

// Facts that were changed together with the manifest are found by judging again.
func TestForgedVerdict(t *testing.T) {
	r := record(t)
	r.Facts[3].Value = "row"
	other, _ := made(t, r, Options{})
	good, _ := made(t, record(t), Options{})
	ps, from := parts(t, good), parts(t, other)
	for i, p := range ps {
		if p.name == FactsName || p.name == ManifestName {
			ps[i] = from[i]
		}
	}
	// the manifest of the other case lists its own verdict and reports
	var m, own Manifest
	_ = json.Unmarshal(ps[len(ps)-1].data, &m)
	_ = json.Unmarshal(parts(t, good)[len(ps)-1].data, &own)
	for i, f := range own.Files {
		if f.Path != FactsName {
			m.Files[i] = f
		}
	}
	ps[len(ps)-1].data, _ = json.Marshal(m)
	b := zipped(t, ps)
	o := opened(t, b)
	if len(o.Problems) > 0 {
		t.Fatalf("the forgery is clumsy: %+v", o.Problems)
	}
	codes := amt.Codes(o.Verify(judge))
	if !slices.Contains(codes, CodeVerdict) {
		t.Errorf("problems %v", codes)
	}
}

func TestNoBundle(t *testing.T) {
	good, _ := made(t, record(t), Options{})
	for name, b := range map[string][]byte{
		"nothing": nil, "text": []byte("{\"key\":\"client.enabled\"}\n"), "cut": good[:len(good)-30], "other zip": zipped(t, []part{{name: "a.txt"}}),
		"empty zip": zipped(t, nil),
	} {
		if _, err := Open(bytes.NewReader(b), int64(len(b))); !errors.Is(err, ErrNoBundle) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(bytes.NewReader(nil), 1<<40); err == nil {
		t.Error("a terabyte was opened")
	}
	dir := t.TempDir()
	for _, path := range []string{dir, dir + "/missing"} {
		if _, err := OpenFile(path); err == nil {
			t.Errorf("%s was opened", path)
		}
	}
}

// One changed byte anywhere never passes for another verdict, and never breaks the program.
func TestEveryByte(t *testing.T) {
	good, _ := made(t, record(t), Options{})
	want := judge(record(t).Facts, noon).Verdict
	for i := 0; i < len(good); i += 3 {
		b := bytes.Clone(good)
		b[i] ^= 0x55
		o, err := Open(bytes.NewReader(b), int64(len(b)))
		if err == nil && len(o.Verify(judge)) == 0 && o.Judge(judge).Verdict != want {
			t.Fatalf("byte %d changes the verdict unseen", i)
		}
	}
}

func FuzzOpen(f *testing.F) {
	good, _ := made(f, record(f), Options{})
	f.Add(good)
	f.Add(zipped(f, []part{{name: ManifestName, data: []byte(`{"format":"amtmedic-bundle/1","files":[{"path":"facts.jsonl","bytes":3}]}`)}, {name: FactsName, data: []byte("{}\n")}}))
	f.Add(zipped(f, []part{{name: "../x"}, {name: ManifestName, data: []byte("null")}}))
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\xff", 18)))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for _, p := range o.Verify(judge) {
			if p.Code == "" || p.Text == "" || strings.ContainsRune(p.Text+p.Where, 0x1b) {
				t.Errorf("problem %+v", p)
			}
		}
	})
}
