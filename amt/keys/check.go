// Package keys knows PID/PPS pairs: their check characters, how to make new ones, how two PIDs can
// be confused, and the CSV files in which pairs travel. It opens no file; PPS and passwords are
// amt.Secret and never stand in a problem or an error.
package keys

import (
	"fmt"
	"strings"

	"amtmedic/amt"
)

// Lengths in characters, without dashes.
const (
	PIDLen   = 8
	PPSLen   = 32
	groupLen = 4 // a dash stands after each four; in a PPS the fourth checks the three before it
)

// Pair is a PID and the PPS that belongs to it.
type Pair struct {
	PID amt.PID
	PPS amt.Secret // 32 characters A-Z and 0-9, without dashes
}

// Codes of problems and notes.
const (
	CodePIDLength     = "pid-length"
	CodePIDCharacters = "pid-characters"
	CodePIDCheck      = "pid-check"
	CodePPSLength     = "pps-length"
	CodePPSCharacters = "pps-characters"
	CodePPSCheck      = "pps-check"
	NoteLowerCase     = "lower-case"
	NoteBlindSum      = "swap-passes"
)

// CheckChar gives the check character of the characters before it: the sum of their ASCII codes
// modulo 36 as a digit, or from 10 on as a letter. For a PID those are its first seven characters,
// for a PPS the first three of a group. (Intel's algorithm, setup-bin-and-keys 1; the MEBx guide
// calls it a CRC, which it is not.)
func CheckChar(s string) byte {
	sum := 0
	for i := range len(s) {
		sum += int(s[i])
	}
	if sum %= 36; sum < 10 {
		return byte('0' + sum)
	}
	return byte('A' + sum - 10)
}

// Check says what is wrong with a pair as a person or another tool wrote it: with or without
// dashes, in either case. A wrong PPS group is named by its number, counted from 1; what it should
// end in is not told, since that would give away a quarter of the secret. No problem means that
// firmware would take the pair; it does not mean that it is the pair that was meant (see Blind).
func Check(pid string, pps amt.Secret) []amt.Problem {
	return append(CheckPID(pid), CheckPPS(pps)...)
}

// CheckPID says what is wrong with a PID, which is public.
func CheckPID(pid string) []amt.Problem {
	ps := []amt.Problem{}
	p := Bare(pid)
	if n := len([]rune(p)); n != PIDLen {
		text := fmt.Sprintf("a PID has %d characters (XXXX-XXXX), this one has %d", PIDLen, n)
		if n > 0 && n < PIDLen && strings.Trim(p, "0123456789") == "" {
			text += "; a spreadsheet may have dropped leading zeros"
		}
		ps = append(ps, amt.In("pid", CodePIDLength, "%s", text))
	}
	if at := odd(p); len(at) > 0 {
		return append(ps, amt.In("pid", CodePIDCharacters, "a PID has the characters A-Z and 0-9; look at %s", places(at)))
	}
	if len(ps) == 0 {
		if want := CheckChar(p[:PIDLen-1]); p[PIDLen-1] != want {
			ps = append(ps, amt.In("pid", CodePIDCheck,
				"the check character of %s is %c, the seven before it ask for %c: at least one of the eight is wrong", amt.PID(p).Dashed(), p[PIDLen-1], want))
		}
	}
	return ps
}

// CheckPPS says what is wrong with a PPS without telling any of it.
func CheckPPS(pps amt.Secret) []amt.Problem {
	ps := []amt.Problem{}
	p := Bare(pps.Reveal())
	if n := len([]rune(p)); n != PPSLen {
		ps = append(ps, amt.In("pps", CodePPSLength, "a PPS has %d characters (eight groups of four), this one has %d", PPSLen, n))
	}
	if at := odd(p); len(at) > 0 {
		return append(ps, amt.In("pps", CodePPSCharacters, "a PPS has the characters A-Z and 0-9; look at %s", places(at)))
	}
	if len(ps) > 0 {
		return ps
	}
	for i := 0; i < PPSLen; i += groupLen {
		if CheckChar(p[i:i+groupLen-1]) != p[i+groupLen-1] {
			g := i/groupLen + 1
			ps = append(ps, amt.In(fmt.Sprintf("pps group %d", g), CodePPSCheck,
				"the check character of group %d of the PPS (characters %d to %d) does not fit: at least one of the four is wrong", g, i+1, i+groupLen))
		}
	}
	return ps
}

// Blind is what a sound pair still does not tell: the check character is a plain sum, so some
// mistakes pass it. The note belongs beside every answer that says "sound".
func Blind() amt.Problem {
	return amt.In("pid, pps", NoteBlindSum, "two characters in the wrong order keep the sum, and so does a change by 36 "+
		"(0 for T, 1 for U, to 6 for Z): such a mistake passes this check and the firmware's own. Compare with the source by eye")
}

// LowerCase gives a note when s has lower-case letters; where names s. What a MEBx does with them is
// not known, so they are read as upper case and said.
func LowerCase(where, s string) []amt.Problem {
	if s == strings.ToUpper(s) {
		return nil
	}
	return []amt.Problem{amt.In(where, NoteLowerCase, "lower-case letters were read as upper case; type upper case into the MEBx")}
}

// Bare gives s in upper case without the dashes and spaces around and between its groups. The
// typographic dashes that a letter or a PDF file makes of a plain one are taken too.
func Bare(s string) string {
	return strings.ToUpper(strings.NewReplacer("-", "", "\u2010", "", "\u2011", "", "\u2013", "", " ", "", "\t", "").Replace(strings.TrimSpace(s)))
}

// Parse makes a pair of text. The pair is only useful when there are no problems.
func Parse(pid string, pps amt.Secret) (Pair, []amt.Problem) {
	if ps := Check(pid, pps); len(ps) > 0 {
		return Pair{}, ps
	}
	return Pair{PID: amt.PID(Bare(pid)), PPS: amt.NewSecret(Bare(pps.Reveal()))}, []amt.Problem{}
}

// Dashed gives the PPS as people read and type it, in eight groups of four. It reveals the secret.
func (p Pair) Dashed() string {
	s := p.PPS.Reveal()
	var groups []string
	for len(s) > groupLen {
		groups, s = append(groups, s[:groupLen]), s[groupLen:]
	}
	return strings.Join(append(groups, s), "-")
}

// odd gives the places, counted from 1, of characters other than A-Z and 0-9.
func odd(s string) []int {
	var at []int
	for i, c := range []rune(s) {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			at = append(at, i+1)
		}
	}
	return at
}

// places names at most eight places.
func places(at []int) string {
	word := "character "
	if len(at) > 1 {
		word = "characters "
	}
	text := strings.ReplaceAll(strings.Trim(fmt.Sprint(at[:min(len(at), 8)]), "[]"), " ", ", ")
	if len(at) > 8 {
		text += " and more"
	}
	return word + text
}
