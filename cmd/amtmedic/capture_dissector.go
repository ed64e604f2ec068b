package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"amtmedic/amt"
	"amtmedic/capture"
)

// dissectorFile is the usual name of the script.
const dissectorFile = "amthello.lua"

func runCaptureDissector(e *env, args []string) (int, error) {
	fs := flags("capture dissector [--out FILE] [--port N]")
	var ports portFlag
	ports.register(fs)
	out := fs.String("out", "", "write the script to this `FILE` (default: standard output)")
	rest, err := parse(fs, args)
	switch {
	case err != nil:
		return exitUsage, err
	case len(rest) > 0:
		return exitUsage, misuse(fs, "capture dissector takes no operand, %q was given", rest[0])
	}
	text, name := capture.Dissector(ports.ports...), dissectorFile
	if *out == "" || *out == "-" {
		if _, err := io.WriteString(e.stdout, text); err != nil {
			return exitFound, &amt.Error{Op: "write dissector", Err: err}
		}
	} else {
		name = *out
		if err := writeDissector(name, text); err != nil {
			return exitFound, err
		}
	}
	name = shellWord(name)
	fmt.Fprintf(e.stderr, "Wireshark, or tshark with -Y amthello, reads hellos with:\n"+
		"  wireshark -X lua_script:%s -o tcp.reassemble_out_of_order:TRUE -r FILE\n"+
		"  tshark -X lua_script:%s -o tcp.reassemble_out_of_order:TRUE -r FILE -Y amthello\n", name, name)
	return exitOK, nil
}

// writeDissector writes over nothing but an older dissector.
func writeDissector(name, text string) error {
	first, _, _ := strings.Cut(text, "\n")
	old, err := os.ReadFile(name)
	switch {
	case err == nil && !bytes.HasPrefix(old, []byte(first)):
		return &amt.Error{Op: "write dissector", Subject: plain(name), Err: fs.ErrExist, Hint: "name a new file: this one holds something else"}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return &amt.Error{Op: "write dissector", Err: err, Hint: "name a file in a folder that you may write to"}
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		return &amt.Error{Op: "write dissector", Err: err, Hint: "name a file in a folder that you may write to"}
	}
	return nil
}

// shellWord quotes a file name for a shell where it needs it.
func shellWord(s string) string {
	if s == plain(s) && !strings.ContainsAny(s, " \t'\"$`\\&|;<>()*?[]#~!{}") {
		return s
	}
	return "'" + strings.ReplaceAll(plain(s), "'", `'\''`) + "'"
}
