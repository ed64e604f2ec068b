package theme

import (
	"fmt"
	"slices"
	"strings"
)

// Words lists what a theme can be made of: light or dark for the background, and the others for
// what is drawn on it. Several are joined by blanks or commas.
func Words() []string { return []string{"light", "dark", "contrast", "mono", "ascii"} }

// Check says which word is none.
func Check(words string) error {
	for _, w := range strings.FieldsFunc(words, func(r rune) bool { return r == ' ' || r == ',' || r == '+' || r == '-' }) {
		if !slices.Contains(Words(), w) {
			return fmt.Errorf("%q is no theme; there are %s", w, strings.Join(Words(), ", "))
		}
	}
	return nil
}
