package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"amtmedic/amt"
	"amtmedic/capture"
)

// extcapPrefix makes the names of our interfaces differ from those that Wireshark has itself.
const extcapPrefix = "amtmedic-"

// isExtcap tells a call of Wireshark, which runs the programs of its extcap folder with flags of this
// kind (https://man.archlinux.org/man/extcap.4.en), from a call of a person. --capture alone is also
// a flag of ours.
func isExtcap(args []string) bool {
	for _, a := range args {
		if a == "--" {
			return false
		}
		if strings.HasPrefix(a, "--extcap-") {
			return true
		}
	}
	return false
}

// extcap is what Wireshark asks for.
type extcap struct {
	interfaces, dlts, config, capture bool
	iface, fifo, filter               string
	promisc                           bool
	ports                             portFlag
}

// runExtcap answers Wireshark.
func runExtcap(e *env, args []string) (int, error) {
	var x extcap
	fs := flags("--extcap-interfaces | --extcap-interface NAME (--extcap-dlts | --extcap-config | --capture --fifo PATH [--port N] [--promisc])")
	x.register(fs)
	rest, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(rest) > 0 {
		return exitUsage, misuse(fs, "%q is no part of a call by Wireshark", rest[0])
	}
	if x.interfaces {
		return exitOK, x.list(e)
	}
	name, ok := strings.CutPrefix(x.iface, extcapPrefix)
	ifi, err := net.InterfaceByName(name)
	if !ok || err != nil {
		return exitUsage, &amt.Error{Op: "capture for Wireshark", Subject: plain(x.iface), Err: capture.ErrNoInterface,
			Hint: "amtmedic --extcap-interfaces lists those that there are"}
	}
	switch {
	case x.dlts:
		number, word, text := 1, "EN10MB", "Ethernet"
		if ifi.Flags&net.FlagPointToPoint != 0 {
			number, word, text = 12, "RAW", "Raw IP"
		}
		_, err = fmt.Fprintf(e.stdout, "dlt {number=%d}{name=%s}{display=%s}\n", number, word, text)
		return exitOK, err
	case x.config:
		_, err = fmt.Fprintf(e.stdout, "arg {number=0}{call=--port}{display=TCP port of hellos}{type=string}{default=%d}{tooltip=Several with commas}\n"+
			"arg {number=1}{call=--promisc}{display=Also packets for other stations}{type=boolflag}{default=false}{tooltip=Of use at a mirror port}\n", amt.HelloPort)
		return exitOK, err
	case x.capture && x.fifo != "":
		return x.run(e, name)
	}
	return exitUsage, misuse(fs, "nothing is asked of the interface: --extcap-dlts, --extcap-config, or --capture with --fifo")
}

func (x *extcap) register(fs *flag.FlagSet) {
	fs.BoolVar(&x.interfaces, "extcap-interfaces", false, "list the interfaces")
	fs.StringVar(&x.iface, "extcap-interface", "", "`NAME` of an interface in that list")
	fs.BoolVar(&x.dlts, "extcap-dlts", false, "print the link type of the interface")
	fs.BoolVar(&x.config, "extcap-config", false, "print what can be set")
	fs.BoolVar(&x.capture, "capture", false, "capture")
	fs.StringVar(&x.fifo, "fifo", "", "pipe that takes the packets, `PATH`")
	fs.StringVar(&x.filter, "extcap-capture-filter", "", "not used: only packets about hellos are taken")
	fs.String("extcap-version", "", "version of Wireshark; not used")
	fs.BoolVar(&x.promisc, "promisc", false, "also take packets for other stations")
	x.ports.register(fs)
}

// list names the interfaces. Whether they may be opened is found out by the capture.
func (x *extcap) list(e *env) error {
	all, err := net.Interfaces()
	if err != nil {
		return &amt.Error{Op: "list interfaces", Err: err}
	}
	if _, err = fmt.Fprintf(e.stdout, "extcap {version=%s}{help=https://man.archlinux.org/man/extcap.4.en}\n", extcapVersion()); err != nil {
		return err
	}
	clean := strings.NewReplacer("{", "(", "}", ")")
	for _, d := range all {
		name := clean.Replace(plain(d.Name))
		if _, err = fmt.Fprintf(e.stdout, "interface {value=%s%s}{display=AMT hellos on %s}\n", extcapPrefix, name, name); err != nil {
			return err
		}
	}
	return nil
}

// extcapVersion is the second word of the version line.
func extcapVersion() string {
	if words := strings.Fields(versionLine()); len(words) > 1 {
		return words[1]
	}
	return "0"
}

// run captures into the pipe until Wireshark closes it or ends the program.
func (x *extcap) run(e *env, iface string) (int, error) {
	warn := func(text string) { fmt.Fprintf(e.stderr, "amtmedic: warning: %s: %s\n", plain(iface), plain(text)) }
	if x.filter != "" {
		warn("the capture filter is not used: only packets about hellos are taken; filter what is shown")
	}
	live, err := capture.OpenLive(iface, capture.LiveOptions{Ports: x.ports.ports, Promisc: x.promisc, Warn: warn})
	if err != nil {
		return exitUndecided, err
	}
	defer live.Close()
	pipe, err := openPipe(e.ctx, x.fifo)
	if err != nil {
		if e.ctx.Err() != nil {
			return exitOK, nil
		}
		return exitFound, &amt.Error{Op: "open the pipe of Wireshark", Err: err}
	}
	defer pipe.Close()
	rec, err := capture.NewRecorder(pipe, capture.RecordedInterface{Name: iface, Link: live.Link(), Filter: recordedFilter})
	if err != nil {
		return exitFound, &amt.Error{Op: "write to the pipe of Wireshark", Err: err}
	}
	err = capture.ScanInto(e.ctx, live, rec, capture.Options{Ports: x.ports.ports}, func(capture.Event) {}) // events become comments
	if err == nil || e.ctx.Err() != nil || errors.Is(err, syscall.EPIPE) {
		return exitOK, nil
	}
	return exitFound, err
}

// openPipe opens a pipe for writing, which waits for a reader, until ctx ends.
func openPipe(ctx context.Context, path string) (*os.File, error) {
	type opened struct {
		f   *os.File
		err error
	}
	done := make(chan opened, 1)
	go func() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		done <- opened{f, err}
	}()
	select {
	case o := <-done:
		return o.f, o.err
	case <-ctx.Done():
		return nil, ctx.Err() // the program ends, and the wait with it
	}
}
