// Command amtmedic is the workstation of the engineer who stands in front of a PC with Intel AMT
// that will not provision. This package only reads flags and joins the parts; each sub-command has
// a file of its own.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
)

// Exit codes, the same for every command and every output form.
const (
	exitOK        = 0   // healthy, sound, or done
	exitFound     = 1   // a root cause was found, the inspected thing is unfit, or the work failed
	exitUsage     = 2   // wrong usage, or input that cannot be read
	exitUndecided = 3   // could not check everything, or undecided
	exitFault     = 4   // a fault inside the program
	exitInterrupt = 130 // interrupted before the work was done
)

// env is what a command may touch of the process: its streams, and a context that ends on a signal.
type env struct {
	ctx    context.Context
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer

	describe func([]command) // when set, a command with words behind it names them, and does nothing
}

// command is one entry of the command table. run gives the exit code and, unless it has already
// spoken, the error to print.
type command struct {
	name    string
	summary string
	run     func(e *env, args []string) (int, error)
}

// commands lists every sub-command in the order of the help page.
func commands() []command {
	return []command{
		{"diagnose", "judge recorded facts, or probe this machine and its network", runDiagnose},
		{"lab", "practice: break something on this machine and find it", runLab},
		{"capture", "find hellos in capture files or on an interface", runCapture},
		{"hello", "decode or send hello messages", runHello},
		{"keys", "make and check PID/PPS pairs", runKeys},
		{"setupbin", "explain and write setup.bin files", runSetupBin},
		{"cert", "judge and make provisioning certificates", runCert},
		{"usbkey", "inspect, prepare and repair the USB key", runUSBKey},
		{"profiles", "what a configuration sets in a client: passwords, TLS, access list, power, network", runProfiles},
		{"ca", "the certificate authority of TLS profiles", runCA},
		{"clients", "list the clients that said hello", runClients},
		{"fleet", "activation of all clients: report, life of a client, exchange with an inventory", runFleet},
		{"maintain", "have the running server work on provisioned clients: clock, password, pair, certificate, unprovision", runMaintain},
		{"mei", "the Management Engine of this computer: what it tells, and what can be changed in it", runMEI},
		{"local", "this computer's own AMT, seen from its operating system", runLocal},
		{"agent", "one-shot that a software delivery runs on many clients", runAgent},
		{"discover", "find AMT on the network without credentials; import the names of clients", runDiscover},
		{"serve", "the setup server: receive hellos, configure their clients", runServe},
		{"db", "keys of the database, sealed copies of it, and whether it is whole", runDB},
		{"service", "have the system run the setup server", runService},
		{"web", "tokens and description of the web service of the setup server", runWeb},
		{"sim", "simulated clients with hellos, ports and management, for tests and practice", runSim},
		{"bundle", "write, show and check escalation bundles", runBundle},
		{"explain", "the offline page of a symptom, check or cause", runExplain},
		{"config", "print a configuration file with every setting explained", runConfig},
		{"completion", "print the completion of a shell", runCompletion},
		{"version", "print the version", runVersion},
	}
}

// helpWords are flags that stand for a command.
var helpWords = []string{"-h", "--help", "-help", "--version", "-version"}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	e := &env{ctx: ctx, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	code := run(e, os.Args[1:])
	stop()
	os.Exit(code)
}

// run finds the command, runs it, and turns what went wrong into words and an exit code.
func run(e *env, args []string) (code int) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(e.stderr, "amtmedic: fault inside the program: %v\n%s", r, debug.Stack())
			fmt.Fprintln(e.stderr, "amtmedic: hint: please report this text together with what you did")
			code = exitFault
		}
	}()
	if isExtcap(args) {
		code, err := runExtcap(e, args)
		return report(e, code, err)
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") && !slices.Contains(helpWords, args[0]) {
		code, err := runScreen(e, args)
		return report(e, code, err)
	}
	name, args := args[0], args[1:]
	switch name {
	case "-h", "--help", "-help", "help":
		printHelp(e.stdout)
		return exitOK
	case "--version", "-version":
		name = "version"
	}
	for _, c := range commands() {
		if c.name == name {
			code, err := c.run(e, args)
			return report(e, code, err)
		}
	}
	return report(e, exitUsage, unknownCommand(name))
}
