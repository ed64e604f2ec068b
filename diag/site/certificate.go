package site

import (
	"encoding/hex"
	"slices"

	"amtmedic/amt/hello"
	"amtmedic/diag"
	"amtmedic/diag/probe"
)

// certificate gives the probes of the provisioning certificate. What the client trusts is compared once
// it is known.
func (w *World) certificate(v *diag.View) []probe.Probe {
	if w.o.Certificate == nil {
		return nil
	}
	out := []probe.Probe{probe.Certificate(w.o.CertificateName, w.o.Certificate)}
	if hashes, known := trusted(v); known {
		out = append(out, probe.CertificateRoot(w.o.CertificateName, w.o.Certificate, hashes))
	}
	return out
}

// trusted gives the hashes that the client trusts: of its latest hello, and of a local tool.
func trusted(v *diag.View) (hashes []hello.Hash, known bool) {
	add := func(list []diag.Obj) {
		known = true
		for _, o := range list {
			if h, err := hello.ParseHash(o.Str("algorithm") + ":" + o.Str("digest")); err == nil {
				hashes = append(hashes, h)
			} else if d, err := hex.DecodeString(o.Str("digest")); err == nil {
				hashes = append(hashes, hello.Hash{Digest: d}) // of an algorithm that no root is known by
			}
		}
	}
	for _, key := range []string{"wire.client.hello", "wire.server.hello"} {
		for _, f := range slices.Backward(v.All(key)) {
			if o := diag.ObjOf(f); o.Has("hashes") {
				add(diag.Objs(o.Any("hashes")))
				break
			}
		}
	}
	if f, ok := v.Get("client.hashes"); ok {
		add(diag.Objs(f.Value))
	}
	return hashes, known
}
