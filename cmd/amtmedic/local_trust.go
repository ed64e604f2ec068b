package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/discover"
)

var errNoPassword = errors.New("no password is known")

// noPasswordHint also says what the local system account is: people ask for it.
const noPasswordHint = "set AMTMEDIC_AMT_PASSWORD, or put the password into a file and name that with --password-file. " +
	"It is the network password of AMT. There is also a local system account ($$OsAdmin) whose password the firmware gives to the system for setting AMT up on the spot: it is never read here to look at something"

// givenPassword gives the password of a file's first line, else of an environment variable.
func givenPassword(e *env, file, variable string) (password amt.Secret, given bool, err error) {
	if file == "" {
		text, ok := os.LookupEnv(variable)
		return amt.NewSecret(text), ok, nil
	}
	return certPassword(e, file)
}

// localTrust says which certificate of the firmware is believed. All that is given must hold.
type localTrust struct {
	roots *x509.CertPool
	pin   []byte // SHA-256 of the certificate
}

func (t localTrust) given() bool { return t.roots != nil || t.pin != nil }

func readLocalTrust(fs *flag.FlagSet, root, pin string) (t localTrust, err error) {
	if pin != "" {
		t.pin, err = hex.DecodeString(strings.NewReplacer(":", "", " ", "").Replace(pin))
		if err != nil || len(t.pin) != sha256.Size {
			return t, misuse(fs, "--pin is a SHA-256 digest: 64 hexadecimal digits")
		}
	}
	if root != "" {
		b, err := os.ReadFile(root)
		if err != nil {
			return t, &amt.Error{Op: "read roots", Subject: plain(root), Err: err}
		}
		t.roots = x509.NewCertPool()
		if !t.roots.AppendCertsFromPEM(b) {
			return t, &amt.Error{Op: "read roots", Subject: plain(root), Err: errors.New("it holds no PEM certificate")}
		}
	}
	return t, nil
}

// localCert is what is shown of the firmware's certificate.
type localCert struct {
	Subject  string    `json:"subject"`
	Issuer   string    `json:"issuer"`
	SHA256   string    `json:"sha256"`
	NotAfter time.Time `json:"not_after"`
	Chain    []string  `json:"chain"`   // subjects, the certificate first
	Trusted  string    `json:"trusted"` // root, pin, both, or empty
}

func describeCert(cs tls.ConnectionState) *localCert {
	if len(cs.PeerCertificates) == 0 {
		return nil
	}
	leaf := cs.PeerCertificates[0]
	sum := sha256.Sum256(leaf.Raw)
	c := &localCert{Subject: plain(leaf.Subject.String()), Issuer: plain(leaf.Issuer.String()), SHA256: hex.EncodeToString(sum[:]), NotAfter: leaf.NotAfter.UTC()}
	for _, x := range cs.PeerCertificates {
		c.Chain = append(c.Chain, plain(x.Subject.String()))
	}
	return c
}

// untrusted is a certificate that nothing given vouches for.
type untrusted struct {
	cert *localCert
	err  error
}

func (u *untrusted) Error() string { return u.err.Error() }

// judge looks at the chain that the firmware showed. Its name is not compared: the connection does not
// leave this computer, and firmware shows names of its own making.
func (t localTrust) judge(cs tls.ConnectionState) (*localCert, error) {
	c := describeCert(cs)
	if c == nil {
		return nil, errors.New("the firmware shows no certificate")
	}
	if t.pin != nil {
		if c.SHA256 != hex.EncodeToString(t.pin) {
			return c, &untrusted{c, fmt.Errorf("the firmware's certificate is not the pinned one: its SHA-256 is %s", c.SHA256)}
		}
		c.Trusted = "pin"
	}
	if t.roots != nil {
		between := x509.NewCertPool()
		for _, x := range cs.PeerCertificates[1:] {
			between.AddCert(x)
		}
		_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: t.roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		if err != nil {
			return c, &untrusted{c, fmt.Errorf("the firmware's certificate does not come from the given roots: %w", err)}
		}
		c.Trusted = map[bool]string{true: "both", false: "root"}[c.Trusted == "pin"]
	}
	if !t.given() {
		return c, &untrusted{c, fmt.Errorf("nothing vouches for the firmware's certificate: SHA-256 %s, %s, issued by %s", c.SHA256, c.Subject, c.Issuer)}
	}
	return c, nil
}

// config gives the TLS of a session that ends unless the certificate is believed, before anything is
// sent on it. saw is told of the certificate in either case.
func (t localTrust) config(saw func(*localCert)) *tls.Config {
	c := discover.AnyTLS() // a tunnel inside one computer: old versions are borne, certificates are not
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		cert, err := t.judge(cs)
		saw(cert)
		return err
	}
	return c
}
