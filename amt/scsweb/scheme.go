package scsweb

import (
	"errors"

	"amtmedic/amt"
)

// The two causes of a web directory whose scheme is not that of AMT management, in the words of the
// catalogue of causes.
const (
	CauseHTTPSOn  = "rc-https-on-no-tls"
	CauseHTTPSOff = "rc-https-off-with-tls"

	WordsHTTPSOn  = "The web directory requires https although AMT management does not use TLS"
	WordsHTTPSOff = "AMT management uses TLS, but the web directory does not require https"
)

// CheckScheme holds the web service to the four-way table: https exactly when AMT management uses TLS,
// else consoles fail. mode is tls_mode of csti_configuration; everything but off is TLS. The error
// begins with the id of the cause.
func CheckScheme(mode string, https bool) error {
	code, words := contradiction(mode, https)
	if code == "" {
		return nil
	}
	hint := "leave --web-cert and --web-key out, or let the default profile use TLS (\"amtmedic profiles import\")"
	if code == CauseHTTPSOff {
		hint = "name a certificate with --web-cert and its key with --web-key, or let the default profile have TLS off; that cuts consoles off from clients that have it on"
	}
	return &amt.Error{Op: code, Err: errors.New(words + ": tls_mode is " + mode), Hint: hint}
}

// contradiction gives the cause in the cell of the table, empty where consoles work.
func contradiction(mode string, https bool) (code, words string) {
	switch tls := usesTLS(mode); {
	case tls == https:
		return "", ""
	case https:
		return CauseHTTPSOn, WordsHTTPSOn
	}
	return CauseHTTPSOff, WordsHTTPSOff
}

func usesTLS(mode string) bool { return mode != "off" && mode != "" }
