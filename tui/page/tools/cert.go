package tools

import (
	"context"
	"encoding/hex"
	"errors"
	"path/filepath"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/cert"
)

func (p *Page) certTab() *tab {
	return &tab{word: "certificate", title: "Certificate",
		intro: "A client that is set up by Remote Configuration believes the setup server by its provisioning certificate: the right usage, the right domain, and a root whose hash the firmware holds. The private key and its password are not shown.",
		acts: func() []act {
			return []act{{name: "Check a provisioning certificate …", about: "PEM, PFX or DER; for one client domain if you know it", do: p.askCert}}
		}}
}

func (p *Page) askCert() *ask {
	const title = "Check a provisioning certificate"
	return p.question(title, "file", "provisioning.pfx", []askRow{{"reads", "PEM with key, certificate and chain, a PFX, or one certificate in DER"}}, func(_ context.Context, typed string, _ *meter) reply {
		path := p.path(typed)
		raw, err := readFile("read certificate", path, cert.MaxFile)
		if err != nil {
			return reply{err: err}
		}
		f, err := cert.Read(raw, amt.Secret{})
		if errors.Is(err, cert.ErrPassword) {
			next := p.question(title, "password", "not shown as you type", []askRow{{"file", path}}, func(_ context.Context, typed string, _ *meter) reply {
				f, err := cert.Read(raw, amt.NewSecret(typed))
				if err != nil {
					return reply{err: &amt.Error{Op: "open certificate", Subject: path, Err: err}}
				}
				return reply{next: p.askSuffix(title, path, f)}
			})
			next.in.Secret = true
			return reply{next: next}
		}
		if err != nil {
			return reply{err: &amt.Error{Op: "read certificate", Subject: path, Err: err, Hint: "give a PEM file with private key, certificate and chain, or a PFX"}}
		}
		return reply{next: p.askSuffix(title, path, f)}
	})
}

// askSuffix asks for the domain of the client, which the certificate has to fit.
func (p *Page) askSuffix(title, path string, f *cert.File) *ask {
	return p.question(title, "domain of the client", "enter alone: it is not judged", []askRow{{"file", path}, {"domain", "the suffix in its MEBx, or of its DHCP lease (option 15)"}},
		func(_ context.Context, typed string, _ *meter) reply {
			r := cert.Judge(f, cert.Question{Now: p.world.Now(), Suffix: strings.TrimSpace(typed)})
			return reply{out: certLines(path, f, r), of: filepath.Base(path)}
		})
}

// certLines explains what the doctor found.
func certLines(path string, f *cert.File, r *cert.Report) []line {
	out := []line{verdict(r.Problems, "sound: a setup server can show it to a client", "unfit: a client would not take it"), fieldLine("file", path+", "+f.Form+", "+several(len(f.Certificates), "certificate"))}
	out = append(out, judged(r.Problems, r.Notes)...)
	leaf := r.Chain.Leaf()
	if leaf == nil {
		return out
	}
	out = append(out, fieldLine("subject", r.Subject), fieldLine("names", strings.Join(r.Names, ", ")),
		fieldLine("valid", leaf.NotBefore.UTC().Format("2006-01-02")+" to "+leaf.NotAfter.UTC().Format("2006-01-02")))
	for _, c := range r.Chain.Certificates[1:] {
		out = append(out, fieldLine("issued by", c.Subject.String()))
	}
	for _, h := range r.Roots {
		out = append(out, fieldLine("root "+h.Algorithm.String(), hex.EncodeToString(h.Digest)))
	}
	return out
}
