package store

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Setting is what is known of a row of csti_configuration.
type Setting struct {
	Name     string
	Meaning  string   // in words for people
	Values   []string // what it may be; empty: a number, or anything
	From, To int      // bounds of a number; To is zero when it is none
	Follows  bool     // it is set by something else only
}

// Settings lists the settings that every server has, by their names.
func Settings() []Setting {
	const days = "; in days, 0 is never"
	return []Setting{
		{Name: "audit_days", Meaning: "how long rows of the audit are kept; in days, 0 is for ever", To: 36500},
		{Name: "audit_rows", Meaning: "how many rows of the audit are kept; 0 is all of them", To: 100_000_000},
		{Name: "default_profile", Meaning: "the profile of a client whose row in the UUID map names none"},
		{Name: "hello_port", Meaning: "the TCP port of hellos where serve is told none; firmware sends to 9971", From: 1, To: 65535},
		{Name: "maintain_clock_days", Meaning: "how often clocks of provisioned clients are set" + days, To: 36500},
		{Name: "maintain_pair_days", Meaning: "how often they get new PID/PPS pairs" + days, To: 36500},
		{Name: "maintain_password_days", Meaning: "how often their administrator gets a new password" + days, To: 36500},
		{Name: "maintain_profile_days", Meaning: "how often their profile is applied again" + days, To: 36500},
		{Name: "otp", Meaning: "whether the one-time password of Remote Configuration is compared: off, where one is known, or it is required of every client",
			Values: []string{"off", "known", "required"}},
		{Name: "params_from", Meaning: "where the name and the profile of a client come from: the properties script, or the database only", Values: []string{"script", "db"}},
		{Name: "rcfg_enabled", Meaning: "whether clients may be set up by Remote Configuration, with certificates instead of a PID", Values: []string{"true", "false"}},
		{Name: "renew_before_days", Meaning: "how long before its end a client's certificate is renewed" + days, To: 36500},
		{Name: "retry_s", Meaning: "seconds after which a delayed entry is looked at again, at the latest", From: 1, To: 7 * 24 * 3600},
		{Name: "tls_mode", Meaning: "TLS of AMT management: off, server or mutual. It follows the default profile; the web directory has https exactly when it is not off",
			Values: []string{"off", "server", "mutual"}, Follows: true},
		{Name: "uuid_policy", Meaning: "which clients are taken: any that says hello, or only those in the UUID map", Values: []string{"any", "imported-only"}},
	}
}

// FindSetting gives what is known of a setting, false when it is none of ours.
func FindSetting(name string) (Setting, bool) {
	all := Settings()
	i := slices.IndexFunc(all, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		return Setting{Name: name}, false
	}
	return all[i], true
}

// Check says why the setting cannot have a value.
func (s Setting) Check(value string) error {
	switch {
	case strings.TrimSpace(value) == "":
		return fmt.Errorf("%s needs a value", s.Name)
	case len(s.Values) > 0 && !slices.Contains(s.Values, value):
		return fmt.Errorf("%s is one of %s", s.Name, strings.Join(s.Values, ", "))
	case s.To > 0:
		if n, err := strconv.Atoi(value); err != nil || n < s.From || n > s.To {
			return fmt.Errorf("%s is a whole number from %d to %d", s.Name, s.From, s.To)
		}
	}
	return nil
}
