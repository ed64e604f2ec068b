package amt

import "fmt"

// Problem says what makes a thing unfit, or, among notes, what is worth knowing about it. Offset
// is in bytes from the start of the thing; Where names a field or line instead when no offset fits.
type Problem struct {
	Code   string `json:"code"`
	Text   string `json:"text"`
	Offset *int   `json:"offset,omitempty"`
	Where  string `json:"where,omitempty"`
}

// At makes a problem at a byte offset.
func At(offset int, code, format string, a ...any) Problem {
	return Problem{Code: code, Text: fmt.Sprintf(format, a...), Offset: &offset}
}

// In makes a problem in a named field, file or line.
func In(where, code, format string, a ...any) Problem {
	return Problem{Code: code, Text: fmt.Sprintf(format, a...), Where: where}
}

// Codes gives the codes of a list, in order.
func Codes(ps []Problem) []string {
	out := make([]string, len(ps))
	for i, p := range ps {
		out[i] = p.Code
	}
	return out
}

// Error is an error that reaches a person: what was done, to what, why it did not work, and the
// next step.
type Error struct {
	Op      string // "read pid map"
	Subject string // "keys.csv"; may be empty
	Err     error
	Hint    string // what to do next; may be empty
}

// Error gives operation, subject and cause; the hint is printed on its own line.
func (e *Error) Error() string {
	if e.Subject == "" {
		return fmt.Sprintf("%s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("%s: %s: %v", e.Op, e.Subject, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }
