package main

import (
	"context"
	"flag"
	"net"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/apf"
	"amtmedic/amt/device"
	"amtmedic/amt/mei"
)

// runLocal is the view that the operating system of a client has of its own AMT, as Intel's AMT
// Reflector gave it.
func runLocal(e *env, args []string) (int, error) { return runLocalIn(e, thisComputer(), args) }

func runLocalIn(e *env, w localWorld, args []string) (int, error) {
	with := func(run func(*env, localWorld, []string) (int, error)) func(*env, []string) (int, error) {
		return func(e *env, args []string) (int, error) { return run(e, w, args) }
	}
	return subcommand(e, "local", []command{
		{"status", "state, version, control mode and network of the local AMT", with(localStatusRun)},
		{"log", "its event log", with(localLogRun)},
		{"hashes", "the certificate hashes that it accepts for Remote Configuration", with(localHashesRun)},
		{"set", "change names, clock, redirection or network answers, after a preview", with(localSetRun)},
	}, args)
}

// localWorld is where the firmware of this computer is looked for.
type localWorld struct {
	hosts         []string // that LMS may listen on
	plain, secure int      // its ports
	openME        func(context.Context) (apf.Transport, error)
	dial          func(ctx context.Context, network, address string) (net.Conn, error)
	tunnel        apf.Options
	owner         func(port int) (uid int, ok bool)            // who listens on a port; nil: not known
	look          func(ctx context.Context, h *thisHost) error // asks the Management Engine; nil: there is none
}

// thisComputer is the world outside tests.
func thisComputer() localWorld {
	return localWorld{hosts: []string{"127.0.0.1", "::1"}, plain: device.PlainPort, secure: device.SecurePort,
		dial:  (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		owner: listenOwner,
		look:  func(ctx context.Context, h *thisHost) error { return lookAtME(ctx, mei.Dial(mei.Options{}), h) },
		openME: func(ctx context.Context) (apf.Transport, error) {
			c, err := mei.Open(ctx, mei.LME, mei.Options{})
			if err != nil {
				return nil, err // not a nil *Conn in an interface
			}
			return c, nil
		}}
}

// localFlags are those that every word of local has.
type localFlags struct {
	user, passwordFile *string
	via                *string
	root, pin          *string
	timeout            *time.Duration
	json               *bool
}

func addLocal(fs *flag.FlagSet, jsonWords string) *localFlags {
	return &localFlags{
		user:         fs.String("user", "admin", "log in as `NAME`"),
		passwordFile: fs.String("password-file", "", "`FILE` whose first line is the password (default: the environment variable AMTMEDIC_AMT_PASSWORD, then the terminal)"),
		via:          fs.String("via", "", "go through `lms` or tunnel only (default: LMS when it runs, else the tunnel)"),
		root:         fs.String("root", "", "PEM `FILE` with the roots that the firmware's certificate must come from"),
		pin:          fs.String("pin", "", "`SHA256` of the firmware's certificate, in hex"),
		timeout:      fs.Duration("timeout", time.Minute, "give up after so `LONG`"),
		json:         fs.Bool("json", false, jsonWords),
	}
}

// check looks at the flags before anything is touched.
func (f *localFlags) check(fs *flag.FlagSet, words []string) (localTrust, error) {
	switch {
	case len(words) > 0:
		return localTrust{}, misuse(fs, "%s is not expected: it asks this computer's own AMT", plain(words[0]))
	case *f.via != "" && *f.via != "lms" && *f.via != "tunnel":
		return localTrust{}, misuse(fs, "--via is lms or tunnel")
	case *f.timeout < time.Second || *f.timeout > time.Hour:
		return localTrust{}, misuse(fs, "--timeout is between 1s and 1h")
	case *f.user == "":
		return localTrust{}, misuse(fs, "--user must not be empty")
	}
	return readLocalTrust(fs, *f.root, *f.pin)
}

// login gives the log-in. ok is false when no password was given and there is nobody to ask.
func (f *localFlags) login(e *env) (l device.Login, ok bool, err error) {
	password, given, err := givenPassword(e, *f.passwordFile, "AMTMEDIC_AMT_PASSWORD")
	if err != nil {
		return l, false, err
	}
	if !given {
		password, given = askPassword(e, "AMT password of "+plain(*f.user))
	}
	return device.Login{User: *f.user, Password: password}, given && !password.IsZero(), nil
}

// noLogin is the error for a command that needs a log-in and has none.
func noLogin() error {
	return &amt.Error{Op: "log in", Err: errNoPassword, Hint: noPasswordHint}
}
