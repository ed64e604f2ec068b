package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/scsweb"
	"amtmedic/amt/store"
)

// tokenError says why a name was not taken, and what to do about it.
func tokenError(name string, err error) error {
	for cause, hint := range map[error]string{
		store.ErrTaken:   "\"amtmedic web token list\" shows the names; a name is never used twice, so that the audit stays clear",
		store.ErrSubject: "\"amtmedic web token list\" shows it; \"amtmedic web token revoke NAME\" ends it, for another name or role",
	} {
		if errors.Is(err, cause) {
			return &amt.Error{Op: "make token", Subject: plain(name), Err: cause, Hint: hint}
		}
	}
	return err
}

// admitCertificate gives the bearer of a client certificate a role, under a name.
func admitCertificate(e *env, st *store.Store, k store.Token, life time.Duration, which string, asJSON bool) (int, error) {
	subject, err := subjectOf(e, which)
	if err != nil {
		return exitUsage, err
	}
	name := k.Name
	if k, err = st.AdmitCertificate(e.ctx, name, k.Role, life, subject); err != nil {
		return exitFound, tokenError(name, err)
	}
	if asJSON {
		return exitOK, writeJSON(e.stdout, newTokenLine(k, k.Created))
	}
	fmt.Fprintln(e.stderr, "amtmedic: no token was made: a client certificate with this subject has the role, where serve has --web-client-ca and not --web-client-cert require")
	_, err = fmt.Fprintln(e.stdout, plain(subject))
	return exitOK, err
}

// subjectOf gives a subject that was written out, or that of the certificate in a file, in one form.
func subjectOf(e *env, which string) (string, error) {
	if _, err := os.Stat(which); err != nil && which != "-" && strings.Contains(which, "=") {
		return strings.TrimSpace(which), nil
	}
	fail := func(err error) (string, error) {
		return "", &amt.Error{Op: "make token", Subject: "--certificate " + plain(which), Err: err, Hint: "it takes a file with the console's certificate, PEM, or a subject in the form that this prints: openssl x509 -noout -subject -nameopt RFC2253"}
	}
	b, err := readInput(e, which)
	if err != nil {
		return fail(err)
	}
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			return fail(errors.New("it has no certificate"))
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fail(err)
		}
		return scsweb.Subject(c), nil
	}
}
