// Package background tells the screen library the terminal's background before it asks. Bubble Tea
// v1 asks the terminal for its background colour while packages are initialised, and waits up to
// five seconds on a terminal that does not answer; that would hit every sub-command. Go initialises
// ready packages in order of their import path, so that this one, which sorts before
// github.com/charmbracelet/bubbletea, runs first. It does nothing else.
package background

import (
	"os"
	"strconv"
	"strings"

	"github.com/charmbracelet/lipgloss"
)

// The only init function of the program; see the package comment for why it has to be one.
func init() {
	lipgloss.SetHasDarkBackground(Dark(os.Getenv))
}

// Dark tells from the environment whether the terminal's background is dark, without asking the
// terminal: AMTMEDIC_THEME (light or dark) first, then COLORFGBG ("15;0"), else dark.
func Dark(getenv func(string) string) bool {
	for _, word := range strings.FieldsFunc(getenv("AMTMEDIC_THEME"), func(r rune) bool { return r == ',' || r == '-' || r == ' ' }) {
		switch word {
		case "light":
			return false
		case "dark":
			return true
		}
	}
	parts := strings.Split(getenv("COLORFGBG"), ";")
	n, err := strconv.Atoi(parts[len(parts)-1])
	if err != nil {
		return true
	}
	return n <= 6 || n == 8 // the dark half of the sixteen colours
}
