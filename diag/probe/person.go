package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"amtmedic/diag"
)

// Questions lists everything that a person can be asked, in the order of the road. Each question
// bears the name of the first key that it gives. Steps that change the client are never among the
// ways to find out; where a way needs a restart of the client its cost is Disturb.
func Questions() []Question {
	var out []Question
	for _, group := range [][]Question{caseQuestions, mebxQuestions, clientQuestions, nameQuestions, serverQuestions, tableQuestions, credentialQuestions} {
		out = append(out, group...)
	}
	for i := range out {
		out[i].Options = append(out[i].Options[:len(out[i].Options):len(out[i].Options)], Option{Label: "I cannot tell now", Follows: "asked again later"})
		out[i].Gives = gives(out[i])
	}
	return out
}

// gives collects the keys of all answers.
func gives(q Question) []string {
	out := []string{q.ID}
	seen := map[string]bool{q.ID: true}
	for _, o := range q.Options {
		for _, f := range o.Facts {
			if !seen[f.Key] {
				out, seen[f.Key] = append(out, f.Key), true
			}
		}
	}
	return out
}

func says(key string, value any) diag.Fact { return diag.Fact{Key: key, Value: value} }

func option(label, follows string, facts ...diag.Fact) Option { return Option{label, follows, facts} }

// one makes a field of one key from what is typed; make may be nil when the text is the value.
func one(key, label, hint string, make func(string) (any, error)) *Field {
	return &Field{Label: label, Hint: hint, Facts: func(text string) ([]diag.Fact, error) {
		text = strings.TrimSpace(text)
		if text == "" {
			return nil, errors.New("nothing was typed")
		}
		var value any = text
		if make != nil {
			v, err := make(text)
			if err != nil {
				return nil, err
			}
			value = v
		}
		f, err := diag.Make(says(key, value))
		if err != nil {
			return nil, errors.New(strings.TrimPrefix(err.Error(), key+": "))
		}
		return []diag.Fact{f}, nil
	}}
}

// words takes a list, parted by commas, semicolons or spaces.
func words(text string) (any, error) {
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(",; \t", r) }), nil
}

func wholeNumber(text string) (any, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not a whole number", text)
	}
	return n, nil
}

// dottedName refuses an address or a sentence where a name is asked for.
func dottedName(text string) (any, error) {
	if _, err := netip.ParseAddr(text); err == nil {
		return nil, fmt.Errorf("%q is an address, not a name", text)
	}
	if strings.ContainsAny(text, " \t/:@") {
		return nil, fmt.Errorf("%q is not a name such as pc-0412.corp.example", text)
	}
	return text, nil
}

// inField puts the text into one field of an object.
func inField(name string) func(string) (any, error) {
	return func(text string) (any, error) { return map[string]any{name: text}, nil }
}

// answered reads what nslookup or a like program said: "NAME ADDRESS...", or "NAME" and one of
// nxdomain, timeout, servfail, refused.
func answered(key string) *Field {
	return one(key, "name and answer", "NAME ADDRESS, or NAME nxdomain", func(text string) (any, error) {
		f := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(",;= \t", r) })
		if len(f) < 2 {
			return nil, errors.New("type the name that was asked, a space, and the answer")
		}
		if _, err := dottedName(f[0]); err != nil {
			return nil, err
		}
		v := map[string]any{"qname": f[0], "timeout": false}
		switch word := strings.ToLower(f[1]); word {
		case "timeout", "time-out":
			return map[string]any{"qname": f[0], "timeout": true}, nil
		case "nxdomain", "servfail", "refused":
			v["rcode"], v["addr"] = strings.ToUpper(word), []string{}
			return v, nil
		}
		v["rcode"], v["addr"] = "NOERROR", f[1:]
		return v, nil
	})
}
