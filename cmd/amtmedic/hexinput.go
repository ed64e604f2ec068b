package main

import "fmt"

// hexError is text that is not hex, with the place where it stops being so, both counted from 1.
type hexError struct {
	line, column int
	what         string
}

func (h *hexError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", h.line, h.column, h.what)
}

// parseHex reads bytes that a person wrote down: pairs of hex digits, with white space, colons, 0x
// before a group, and comments from # to the end of the line. White space may stand anywhere, as in
// a dump that was folded; a colon or a 0x must not cut a byte in two.
func parseHex(text []byte) ([]byte, error) {
	var out []byte
	line, column, half := 1, 0, -1 // half: the first digit of a byte, -1 between bytes
	start, comment := true, false  // start: a group may begin here
	var open hexError              // the place of that first digit
	for i := 0; i < len(text); i++ {
		c := text[i]
		column++
		switch {
		case c == '\n':
			line, column, start, comment = line+1, 0, true, false
		case comment:
		case c == '#':
			comment = true
		case c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v':
			start = true
		case c == ':':
			if half >= 0 {
				return nil, &hexError{line, column, "a colon after the first digit of a byte"}
			}
			start = true
		case c == '0' && start && i+1 < len(text) && (text[i+1] == 'x' || text[i+1] == 'X'):
			if half >= 0 {
				return nil, &hexError{line, column, "0x after the first digit of a byte"}
			}
			i, column, start = i+1, column+1, false
		default:
			v := hexDigit(c)
			if v < 0 {
				return nil, &hexError{line, column, fmt.Sprintf("%q is no hex digit", printable(c))}
			}
			start = false
			if half < 0 {
				half, open = v, hexError{line, column, "this byte has one digit"}
				continue
			}
			out, half = append(out, byte(half<<4|v)), -1
		}
	}
	if half >= 0 {
		return nil, &open
	}
	return out, nil
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// printable gives c as text of one character, or its number.
func printable(c byte) string {
	if c < 0x20 || c > 0x7e {
		return fmt.Sprintf("0x%02x", c)
	}
	return string(rune(c))
}
