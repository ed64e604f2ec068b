package background

import "testing"

func TestDark(t *testing.T) {
	tests := map[string]struct {
		theme, colors string
		want          bool
	}{
		"nothing known":      {"", "", true},
		"light by colours":   {"", "0;15", false},
		"white on grey":      {"", "0;7", false},
		"dark by colours":    {"", "15;0", true},
		"three parts":        {"", "0;default;15", false},
		"grey is dark":       {"", "15;8", true},
		"no number":          {"", "default", true},
		"theme wins":         {"light", "15;0", false},
		"theme of two words": {"contrast-light", "15;0", false},
		"other theme":        {"mono", "0;15", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{"AMTMEDIC_THEME": tc.theme, "COLORFGBG": tc.colors}
			if got := Dark(func(k string) string { return env[k] }); got != tc.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
