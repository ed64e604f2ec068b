package bundle

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"amtmedic/diag"
)

// clean makes foreign text harmless on a screen and in a report: control characters, and those
// that turn the direction of writing, become spaces; it is cut to max characters.
func clean(s string, max int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n == max {
			b.WriteString("...")
			break
		}
		n++
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar || r == '\u2028' || r == '\u2029' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// Words gives the value of a fact as people read it, cleaned and cut to max characters.
func Words(value any, max int) string { return clean(words(value), max) }

func words(value any) string {
	switch v := value.(type) {
	case string:
		if v == "" {
			return `""`
		}
		return v
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case []any:
		if len(v) == 0 {
			return "nothing"
		}
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = words(e)
		}
		return strings.Join(parts, "; ")
	case map[string]any:
		names := make([]string, 0, len(v))
		for k := range v {
			names = append(names, k)
		}
		slices.Sort(names)
		parts := make([]string, len(names))
		for i, k := range names {
			parts[i] = k + " " + words(v[k])
		}
		return strings.Join(parts, ", ")
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case nil:
		return diag.UnknownValue
	}
	return fmt.Sprint(value)
}

// markdown escapes what Markdown, or HTML inside it, would read as more than text.
var markdown = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;", "&", "&amp;",
	"|", `\|`, "#", `\#`, "!", `\!`, "~", `\~`)
