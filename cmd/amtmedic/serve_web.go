package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/provision"
	"amtmedic/amt/scsweb"
	"amtmedic/amt/store"
)

// webFlags are the flags of serve that concern the web service.
type webFlags struct {
	addr, cert, key, clientCA, clientCert *string
	insecure                              *bool
}

func addWeb(fs *flag.FlagSet) webFlags {
	return webFlags{
		addr:       fs.String("web", "", "`HOST:PORT` of the web service (default: none); without a certificate it stays on loopback"),
		cert:       fs.String("web-cert", "", "`FILE` with the certificate of the web service and its chain, PEM: https, for sites whose AMT management uses TLS"),
		key:        fs.String("web-key", "", "`FILE` with its private key, PEM"),
		clientCA:   fs.String("web-client-ca", "", "`FILE` with the authorities that sign certificates of consoles, PEM: consoles may show one instead of a token"),
		clientCert: fs.String("web-client-cert", clientAccept, "`MODE`: accept, a certificate admitted by \"amtmedic web token create --certificate\" stands for a token; require, every connection needs a certificate, and every request a token too"),
		insecure:   fs.Bool("web-insecure", false, "without a certificate, let the web service listen beyond loopback; tokens and keys travel in clear"),
	}
}

// What certificates of consoles are for: --web-client-cert.
const (
	clientAccept  = "accept"
	clientRequire = "require"
)

// check tells wrong usage before anything is opened.
func (f webFlags) check(fs *flag.FlagSet) error {
	switch {
	case *f.addr == "" && (*f.cert != "" || *f.key != "" || *f.insecure):
		return misuse(fs, "--web-cert, --web-key and --web-insecure go with --web")
	case *f.addr != "" && !listenForm(*f.addr):
		return misuse(fs, "--web: %q is not HOST:PORT, such as 127.0.0.1:8443", plain(*f.addr))
	case (*f.cert == "") != (*f.key == ""):
		return misuse(fs, "--web-cert and --web-key go together")
	case *f.clientCA != "" && *f.cert == "":
		return misuse(fs, "--web-client-ca goes with --web-cert and --web-key: certificates of consoles need https")
	case *f.clientCert != clientAccept && *f.clientCert != clientRequire:
		return misuse(fs, "--web-client-cert is accept or require")
	case *f.clientCert == clientRequire && *f.clientCA == "":
		return misuse(fs, "--web-client-cert require goes with --web-client-ca")
	case *f.cert != "" && *f.insecure:
		return misuse(fs, "--web-insecure is for a web service without a certificate")
	}
	return nil
}

// webService is the web service of serve; the zero value is none.
type webService struct {
	srv   *scsweb.Server
	ln    net.Listener
	log   *slog.Logger
	needs string // what a request has to show, in words
	mode  string // tls_mode at the start: https exactly where it is not off
}

// listen opens the port of the web service, after the checks that keep it from being useless or
// dangerous: https exactly when AMT management uses TLS, and clear text on loopback only.
func (f webFlags) listen(e *env, st *store.Store, log *slog.Logger, wake func()) (webService, error) {
	if *f.addr == "" {
		return webService{}, nil
	}
	config, err := st.Config(e.ctx)
	if err != nil {
		return webService{}, err
	}
	if err := scsweb.CheckScheme(config["tls_mode"], *f.cert != ""); err != nil {
		return webService{}, err
	}
	o := scsweb.Options{Store: st, Version: version, Log: log, Wake: wake}
	if o.Certificate, err = f.certificate(e, log); err != nil {
		return webService{}, err
	}
	if o.ClientCAs, err = f.clientCAs(e); err != nil {
		return webService{}, err
	}
	o.ClientToken = *f.clientCert == clientRequire
	addr := *f.addr
	if host, port, _ := net.SplitHostPort(addr); host == "" && o.Certificate == nil && !*f.insecure {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	ln, err := (&net.ListenConfig{}).Listen(e.ctx, "tcp", addr)
	if err != nil {
		return webService{}, webListenError(addr, err)
	}
	if o.Certificate == nil && !*f.insecure && !isLoopback(ln.Addr()) {
		_ = ln.Close()
		return webService{}, &amt.Error{Op: "serve", Subject: "--web " + plain(addr), Err: errors.New("without a certificate tokens and keys would cross the network in clear"),
			Hint: "listen on 127.0.0.1, or let AMT management use TLS and give --web-cert and --web-key; --web-insecure does it all the same"}
	}
	needs := "token"
	switch {
	case o.ClientToken:
		needs = "certificate and token"
	case o.ClientCAs != nil:
		needs = "certificate or token"
	}
	return webService{scsweb.New(o), ln, log, needs, config["tls_mode"]}, nil
}

func isLoopback(a net.Addr) bool {
	t, ok := a.(*net.TCPAddr)
	return ok && t.IP.IsLoopback()
}

// certificate reads the certificate of the web service; nil when none is named.
func (f webFlags) certificate(e *env, log *slog.Logger) (*tls.Certificate, error) {
	if *f.cert == "" {
		return nil, nil
	}
	fail := func(subject string, err error) (*tls.Certificate, error) {
		return nil, &amt.Error{Op: "serve", Subject: subject, Err: err, Hint: "both are PEM; the certificate's own block stands first, then its chain"}
	}
	cert, err := readInput(e, *f.cert)
	if err != nil {
		return fail("--web-cert "+plain(*f.cert), err)
	}
	key, err := readInput(e, *f.key)
	if err != nil {
		return fail("--web-key "+plain(*f.key), err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fail("--web-cert "+plain(*f.cert), err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return fail("--web-cert "+plain(*f.cert), err)
	}
	if now := time.Now(); now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		log.Warn("the certificate of the web service is not valid now: consoles will refuse it", "not_before", leaf.NotBefore.UTC(), "not_after", leaf.NotAfter.UTC())
	}
	return &pair, nil
}

// clientCAs reads the authorities that sign certificates of consoles; nil when none are named.
func (f webFlags) clientCAs(e *env) (*x509.CertPool, error) {
	if *f.clientCA == "" {
		return nil, nil
	}
	b, err := readInput(e, *f.clientCA)
	pool := x509.NewCertPool()
	if err == nil && !pool.AppendCertsFromPEM(b) {
		err = errors.New("it has no certificate")
	}
	if err != nil {
		return nil, &amt.Error{Op: "serve", Subject: "--web-client-ca " + plain(*f.clientCA), Err: err, Hint: "PEM: one block for each authority, root or subordinate"}
	}
	return pool, nil
}

func webListenError(addr string, err error) error {
	var known *amt.Error
	if errors.As(listenError(addr, err), &known) {
		known.Op = "listen for the web service"
		known.Hint = "another program may have that port, or this machine does not have that address: --web takes HOST:PORT"
		return known
	}
	return err
}

// ready gives what the ready line tells of the web service.
func (w webService) ready() []any {
	if w.srv == nil {
		return nil
	}
	scheme := "http"
	if w.srv.HTTPS() {
		scheme = "https"
	}
	return []any{"web", fmt.Sprintf("%s://%s%s", scheme, w.ln.Addr(), scsweb.Prefix), "web_needs", w.needs, "tls_mode", w.mode}
}

// event passes what happened to those who listen, if there is a web service.
func (w webService) event(ev provision.Event) {
	if w.srv != nil {
		w.srv.Event(ev)
	}
}

// run serves until ctx ends.
func (w webService) run(ctx context.Context) error {
	if w.srv == nil {
		return nil
	}
	if err := w.srv.Serve(ctx, w.ln); err != nil {
		w.log.Error("the web service ended; hellos are served on", "err", err)
		return &amt.Error{Op: "serve", Subject: "--web " + w.ln.Addr().String(), Err: err}
	}
	return nil
}
