package store

import (
	"fmt"
	"strings"
	"testing"
)

// Every line that is no one-time password is named by its number, and nothing of it is shown.
func TestReadOTPs(t *testing.T) {
	const one, two = "4c4c4544-0058-3910-8059-b7c04f4b5a31", "4c4c4544-0058-3910-8059-b7c04f4b5a32"
	for name, c := range map[string]struct {
		file     string
		rows     int
		problems string
	}{
		"good":              {"uuid,otp\n" + one + ",S3cret.one\n{" + two + "},S3cret.two\n", 2, ""},
		"mark and capitals": {"\xef\xbb\xbfUUID,OTP\r\n" + one + ",S3cret.one\r\n", 1, ""},
		"columns exchanged": {"uuid,otp\nS3cret.one," + one + "\n", 0, "line 2: its first field is no UUID"},
		"twice":             {"uuid,otp\n" + one + ",S3cret.one\n" + one + ",S3cret.two\n", 1, "line 3: UUID " + one + " stands in line 2 already"},
		"too long":          {"uuid,otp\n" + one + "," + strings.Repeat("S3cret", 6) + "\n", 0, "line 2: a one-time password has 1 to 32 characters, this one has 36"},
		"none":              {"uuid,otp\n" + one + ",\n", 0, "line 2: a one-time password has 1 to 32 characters, this one has 0"},
		"a third column":    {"uuid,otp\n" + one + ",S3cret,one\n", 0, "line 2: UUID and one-time password were expected"},
		"quotation mark":    {"uuid,otp\n" + one + ",S3\"cret\n" + two + ",S3cret.two\n", 1, "line 2: bare \" in non-quoted-field"},
	} {
		rows, problems, err := ReadOTPs([]byte(c.file))
		var said []string
		for _, p := range problems {
			said = append(said, fmt.Sprintf("%s: %s", p.Where, p.Text))
		}
		got := strings.Join(said, "; ")
		if err != nil || len(rows) != c.rows || got != c.problems || strings.Contains(got, "S3cret") {
			t.Errorf("%s: %d rows, %q, %v", name, len(rows), got, err)
		}
	}
	for _, file := range []string{"", "otp,uuid\n", "uuid,otp,more\n"} {
		if _, _, err := ReadOTPs([]byte(file)); err == nil {
			t.Errorf("%q is taken", file)
		}
	}
}
