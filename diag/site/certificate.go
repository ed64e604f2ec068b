package site

import (
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
	if hashes, known := probe.Trusted(v); known {
		out = append(out, probe.CertificateRoot(w.o.CertificateName, w.o.Certificate, hashes))
	}
	return out
}
