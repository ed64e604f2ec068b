package main

import (
	"fmt"
	"io"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/hello"
)

func runHello(e *env, args []string) (int, error) {
	return subcommand(e, "hello", []command{
		{"decode", "read one hello from a file and say what is wrong with it", runHelloDecode},
		{"send", "send one hello to a setup server, as a client would", runHelloSend},
	}, args)
}

func runHelloDecode(e *env, args []string) (int, error) {
	fs := flags("hello decode FILE [--hex] [--json]")
	asHex := fs.Bool("hex", false, "the file is hex text: white space, colons, 0x and comments after # are allowed")
	asJSON := fs.Bool("json", false, "print one JSON object")
	files, err := parse(fs, args)
	if err != nil {
		return exitUsage, err
	}
	if len(files) != 1 {
		return exitUsage, misuse(fs, "hello decode takes one file, or - for standard input; %d were named", len(files))
	}
	b, err := readHello(e, files[0], *asHex)
	if err != nil {
		return exitUsage, err
	}
	m, short := hello.Decode(b)
	switch {
	case *asJSON && len(b) > 0:
		err = writeJSON(e.stdout, m)
	case !*asJSON && short == nil:
		err = printHello(e.stdout, m, b)
	}
	if err != nil {
		return exitFound, err
	}
	if short != nil {
		return exitUsage, &amt.Error{Op: "decode hello", Subject: plain(files[0]), Err: short, Hint: "was the whole message saved? A hello has 32 bytes (psk), or 25 and its hashes (pki)"}
	}
	return exitOK, nil
}

// readHello reads the bytes of a file. Hex text is also read as such without the flag, and said:
// no hello consists of hex digits.
func readHello(e *env, name string, asHex bool) ([]byte, error) {
	text, err := readInput(e, name)
	if err != nil {
		return nil, &amt.Error{Op: "decode hello", Err: err, Hint: "name a file with the bytes of one hello; capture scan finds hellos in capture files"}
	}
	b, err := parseHex(text)
	switch {
	case asHex && err != nil:
		return nil, &amt.Error{Op: "read hex", Subject: plain(name), Err: err, Hint: "leave --hex away when the file holds the bytes themselves"}
	case asHex:
		return b, nil
	case err != nil || len(b) == 0:
		return text, nil
	}
	fmt.Fprintln(e.stderr, "amtmedic: the file is hex text and was read as such")
	return b, nil
}

// printHello writes a decoded message for people: its fields, then each problem with the bytes
// around its place.
func printHello(w io.Writer, m hello.Message, b []byte) error {
	var s strings.Builder
	field := func(name, format string, a ...any) {
		fmt.Fprintf(&s, "%-13s %s\n", name, plain(fmt.Sprintf(format, a...)))
	}
	field("type", "%s", typeWords(m))
	if m.Foreign == "" || m.Foreign == hello.ForeignBinary {
		field("version", "%d", m.Version)
		field("admin", "%s", adminWords(m))
		field("retry count", "%d", m.RetryCount)
		field("uuid", "%s", m.UUID)
	}
	if m.PID != "" {
		field("pid", "%s", m.PID.Dashed())
	}
	field("length", "%d bytes", len(b))
	if m.Type == hello.PKI {
		field("hashes", "%d", len(m.Hashes))
		for i, h := range m.Hashes {
			fmt.Fprintf(&s, "  %3d  %-10s %s\n", i+1, h.Algorithm, h.Digest)
		}
	}
	if m.Type == hello.Unknown && len(m.Rest) > 0 {
		field("not read", "%s", clipHex(m.Rest))
	}
	for _, p := range m.Problems {
		printProblems(&s, "problem", []amt.Problem{p})
		markPlace(&s, b, *p.Offset)
	}
	printProblems(&s, "note", m.Notes)
	if m.Sound() {
		s.WriteString("sound: nothing is wrong with this message\n")
	}
	_, err := io.WriteString(w, s.String())
	return err
}

func typeWords(m hello.Message) string {
	switch {
	case m.Type == hello.PSK:
		return "psk (TLS-PSK, with a PID)"
	case m.Type == hello.PKI:
		return "pki (Remote Configuration, with root hashes)"
	case m.Foreign != "":
		return "unknown (" + m.Foreign + ")"
	}
	return "unknown"
}

func adminWords(m hello.Message) string {
	word := "not set: the administrator password is the one from the factory"
	if m.AdminCredentialsSet {
		word = "set: the administrator password was changed"
	}
	return word
}

// markPlace writes the line of a hex dump that holds off, with a mark beneath the byte. When the
// bytes end there, the mark stands behind the last one.
func markPlace(s *strings.Builder, b []byte, off int) {
	const width = 16
	start := off / width * width
	if start == len(b) && start > 0 {
		start -= width
	}
	row := b[start:min(start+width, len(b))]
	fmt.Fprintf(s, "    %04x  %-*s |", start, width*3, fmt.Sprintf("% x", row))
	for _, c := range row {
		if c < 0x20 || c > 0x7e {
			c = '.'
		}
		s.WriteByte(c)
	}
	mark := "^^"
	if off >= len(b) {
		mark = "^ ends here"
	}
	fmt.Fprintf(s, "|\n          %s%s\n", strings.Repeat(" ", 3*(off-start)), mark)
}

// clipHex writes the first bytes of b.
func clipHex(b []byte) string {
	const most = 32
	if len(b) > most {
		return fmt.Sprintf("%x... (%d bytes)", b[:most], len(b))
	}
	return fmt.Sprintf("%x (%d bytes)", b, len(b))
}
