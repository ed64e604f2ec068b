package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/cert"
)

// passwordTries is how often a password is asked for at the terminal.
const passwordTries = 3

// readCert reads a certificate file. The password of a PFX comes from passwordFile, the environment, or
// the terminal.
func readCert(e *env, name, passwordFile string) (*cert.File, error) {
	b, err := readUpTo(e, name, cert.MaxFile)
	if err != nil {
		return nil, &amt.Error{Op: "read certificate", Subject: plain(name), Err: err}
	}
	password, given, err := certPassword(e, passwordFile)
	if err != nil {
		return nil, err
	}
	f, err := cert.Read(b, password)
	for try := 0; errors.Is(err, cert.ErrPassword) && !given && try < passwordTries; try++ {
		if try > 0 {
			fmt.Fprintln(e.stderr, "amtmedic: this password does not open it")
		}
		password, ok := askPassword(e, "password of "+plain(name))
		if !ok {
			break
		}
		f, err = cert.Read(b, password)
	}
	if err != nil {
		hint := "give a PEM file with private key, certificate and chain, or a PFX"
		if errors.Is(err, cert.ErrPassword) {
			hint = "put its password into a file and name that with --password-file, or set AMTMEDIC_CERT_PASSWORD"
		}
		return nil, &amt.Error{Op: "read certificate", Subject: plain(name), Err: err, Hint: hint}
	}
	return f, nil
}

// certPassword gives the password that was handed over; given tells that one was.
func certPassword(e *env, file string) (password amt.Secret, given bool, err error) {
	if file == "" {
		text, ok := os.LookupEnv("AMTMEDIC_CERT_PASSWORD")
		return amt.NewSecret(text), ok, nil
	}
	b, err := readUpTo(e, file, 4096)
	if err != nil {
		return amt.Secret{}, false, &amt.Error{Op: "read password", Subject: plain(file), Err: err}
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return amt.NewSecret(strings.TrimSuffix(line, "\r")), true, nil
}

// askPassword asks at the terminal, without showing what is typed; false where there is none, or when
// the program is interrupted.
func askPassword(e *env, prompt string) (amt.Secret, bool) {
	tty, ok := e.stdin.(*os.File)
	if !ok || !isTerminal(tty) {
		return amt.Secret{}, false
	}
	show, err := hideTyping(tty)
	if err != nil {
		return amt.Secret{}, false
	}
	defer show()
	fmt.Fprint(e.stderr, prompt+", not shown as you type: ")
	defer fmt.Fprintln(e.stderr)
	line, err := typedLine(e.ctx, tty)
	return amt.NewSecret(line), err == nil
}

// typedLine reads a line until the context ends; a read that goes on then ends with the process.
func typedLine(ctx context.Context, r io.Reader) (string, error) {
	type answer struct {
		line string
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(io.LimitReader(r, 4096)).ReadString('\n')
		done <- answer{strings.TrimRight(line, "\r\n"), err}
	}()
	select {
	case a := <-done:
		return a.line, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
