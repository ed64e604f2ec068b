package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/cert"
)

func runCertCreateLab(e *env, args []string) (int, error) {
	fs := flags("cert create-lab --out DIR [--suffix NAME] [--intermediate] [--fault CODE] [--force]")
	out := fs.String("out", "", "`DIR` for root.pem and provisioning.pem; made when missing")
	suffix := fs.String("suffix", "corp.example", "domain `NAME` of the clients")
	between := fs.Bool("intermediate", false, "with an authority between root and certificate")
	fault := fs.String("fault", "", "make it unfit: `CODE` is one of "+strings.Join(cert.Faults(), ", "))
	force := fs.Bool("force", false, "replace files that are there")
	words, err := parse(fs, args)
	switch {
	case err != nil:
		return exitUsage, err
	case len(words) > 0:
		return exitUsage, misuse(fs, "cert create-lab takes no operand")
	case *out == "":
		return exitUsage, misuse(fs, "--out names the folder for the files")
	case !hostForm(*suffix):
		return exitUsage, misuse(fs, "--suffix: %q is no domain name", plain(*suffix))
	}
	if *fault != "" && !slices.Contains(cert.Faults(), *fault) {
		return exitUsage, misuse(fs, "--fault: %q is none of %s", plain(*fault), strings.Join(cert.Faults(), ", "))
	}
	m, err := cert.Make(cert.Spec{Suffix: *suffix, Now: time.Now(), Intermediate: *between, Fault: *fault})
	if err != nil {
		return exitFound, &amt.Error{Op: "make certificates", Err: err}
	}
	server, err := m.ServerPEM()
	if err != nil {
		return exitFound, &amt.Error{Op: "make certificates", Err: err}
	}
	files := []struct {
		name string
		b    []byte
	}{{"provisioning.pem", server}, {"root.pem", m.RootPEM()}}
	for _, f := range files { // both or none: a root that is not of this chain would be worse than none
		path := filepath.Join(*out, f.name)
		if _, err := os.Lstat(path); err == nil && !*force {
			return exitFound, &amt.Error{Op: "make certificates", Subject: plain(path), Err: errors.New("it exists already"), Hint: "take another folder, or --force to replace it"}
		}
	}
	for _, f := range files {
		write := func(w io.Writer) error { _, err := w.Write(f.b); return err }
		if err := writeSecretFile("make certificates", filepath.Join(*out, f.name), *force, write); err != nil {
			return exitFound, err
		}
	}
	fmt.Fprintf(e.stderr, "amtmedic: root.pem and provisioning.pem are in %s; for practice only: whoever has provisioning.pem can configure every client that trusts this root\n", plain(*out))
	return exitOK, nil
}
