package diag

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"amtmedic/amt"
)

// form is the exact shape of a key's values: it normalises what fits and refuses the rest.
type form struct {
	words string // for docs/facts.md and errors
	norm  func(any) (any, error)
}

func textForm(words string, f func(string) (string, error)) form {
	return form{words, func(v any) (any, error) {
		s, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("%s is not %s", show(v), words)
		}
		out, err := f(strings.TrimSpace(s))
		if err != nil {
			return nil, err
		}
		return out, nil
	}}
}

func show(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(clip(v))
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	}
	return fmt.Sprint(v)
}

// enum is one of the given words, exactly as written.
func enum(words ...string) form {
	text := strings.Join(words, ", ")
	return textForm("one of "+text, func(s string) (string, error) {
		if !slices.Contains(words, s) {
			return "", fmt.Errorf("%s is none of %s", show(s), text)
		}
		return s, nil
	})
}

var (
	anyText = textForm("a text", func(s string) (string, error) { return s, nil })
	name    = textForm("a name", func(s string) (string, error) {
		return strings.ToLower(strings.TrimSuffix(s, ".")), nil
	})
	boolean = form{"true or false", func(v any) (any, error) {
		if b, ok := v.(bool); ok {
			return b, nil
		}
		return nil, fmt.Errorf("%s is neither true nor false", show(v))
	}}
	number = form{"a number", func(v any) (any, error) {
		switch n := v.(type) {
		case float64:
			if math.IsNaN(n) || math.IsInf(n, 0) {
				break
			}
			return n, nil
		case int:
			return float64(n), nil
		}
		return nil, fmt.Errorf("%s is not a number", show(v))
	}}
	count = form{"a number, not negative", func(v any) (any, error) {
		n, err := number.norm(v)
		if err == nil && n.(float64) < 0 {
			err = fmt.Errorf("%v is negative", n)
		}
		return n, err
	}}
	numberOrText = form{"a number", func(v any) (any, error) {
		if s, ok := v.(string); ok {
			if n, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err == nil {
				return n, nil
			}
		}
		return number.norm(v)
	}}
	uuidForm = textForm("a UUID", func(s string) (string, error) {
		u, err := amt.ParseUUID(s)
		return u.String(), err
	})
	pidForm = textForm("a PID", func(s string) (string, error) {
		p, err := amt.ParsePID(s)
		return string(p), err
	})
	versionForm = textForm(`a version text such as "3.2.1"`, func(s string) (string, error) {
		v, err := amt.ParseVersion(s)
		return v.String(), err
	})
	timeForm = textForm("a time such as 2026-11-23T10:00:00Z", func(s string) (string, error) {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return "", fmt.Errorf("%s is not a time such as 2026-11-23T10:00:00Z", show(s))
		}
		return t.UTC().Format(time.RFC3339Nano), nil
	})
	digestForm = textForm("a digest in hex", func(s string) (string, error) {
		s = strings.ToLower(s)
		if _, err := hex.DecodeString(s); err != nil || s == "" {
			return "", fmt.Errorf("%s is not a digest in hex without separators", show(s))
		}
		return s, nil
	})
	address = textForm("an address", func(s string) (string, error) {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return "", fmt.Errorf("%s is not an address", show(s))
		}
		return a.Unmap().String(), nil
	})
	addressPort = textForm("address:port", func(s string) (string, error) {
		ap, err := netip.ParseAddrPort(s)
		if err != nil {
			if rest, ok := strings.CutPrefix(s, "*:"); ok { // netstat's way to write all addresses
				return addressPortOf("0.0.0.0", rest, s)
			}
			if rest, ok := strings.CutPrefix(s, ":"); ok {
				return addressPortOf("0.0.0.0", rest, s)
			}
			return "", fmt.Errorf("%s is not address:port", show(s))
		}
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()).String(), nil
	})
	hostMaybePort = textForm("a name or address, with :port where needed", func(s string) (string, error) {
		if s == "" {
			return "", errors.New("an empty text is no name and no address")
		}
		if h, p, err := net.SplitHostPort(s); err == nil {
			if _, err := strconv.ParseUint(p, 10, 16); err != nil {
				return "", fmt.Errorf("%s has no port between 0 and 65535", show(s))
			}
			return net.JoinHostPort(strings.ToLower(strings.TrimSuffix(h, ".")), p), nil
		}
		if i := strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == ',' || r == ';' || r == '/' }); i >= 0 {
			return "", fmt.Errorf("%s is no name and no address", show(s))
		}
		return strings.ToLower(strings.TrimSuffix(s, ".")), nil
	})
	resolverForm = textForm("an address, with :port where needed", func(s string) (string, error) {
		if ap, err := netip.ParseAddrPort(s); err == nil {
			return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()).String(), nil
		}
		a, err := netip.ParseAddr(s)
		if err != nil {
			return "", fmt.Errorf("%s is not an address", show(s))
		}
		return a.Unmap().String(), nil
	})
	httpStatus = form{"an HTTP status, 100 to 599", func(v any) (any, error) {
		n, err := number.norm(v)
		if err == nil && (n.(float64) < 100 || n.(float64) > 599) {
			err = fmt.Errorf("%v is no HTTP status", n)
		}
		return n, err
	}}
	upper = textForm("a code word", func(s string) (string, error) {
		if strings.EqualFold(s, None) {
			return None, nil
		}
		return strings.ToUpper(s), nil
	})
)

// algorithm is the digest algorithm of a root hash, as a hello or a tool names it.
var algorithm = textForm("sha1, sha256, sha384 or unknown-N", func(s string) (string, error) {
	s = strings.ToLower(s)
	if slices.Contains([]string{"sha1", "sha256", "sha384"}, s) {
		return s, nil
	}
	if n, ok := strings.CutPrefix(s, "unknown-"); ok {
		if _, err := strconv.ParseUint(n, 10, 8); err == nil {
			return s, nil
		}
	}
	return "", fmt.Errorf("%s is none of sha1, sha256, sha384, unknown-N", show(s))
})

// addressMaybePort is who sent or got a packet: with its port where the capture gave it.
var addressMaybePort = textForm("an address, with :port where known", func(s string) (string, error) {
	if v, err := addressPort.norm(s); err == nil {
		return v.(string), nil
	}
	v, err := address.norm(s)
	if err != nil {
		return "", fmt.Errorf("%s is neither an address nor address:port", show(s))
	}
	return v.(string), nil
})

// numberOrWord is for codes that tools print as a number or as a word.
var numberOrWord = form{"a number or a word", func(v any) (any, error) {
	if s, ok := v.(string); ok {
		return strings.TrimSpace(s), nil
	}
	return number.norm(v)
}}

// loginStatus is the answer to a digest log-in.
var loginStatus = form{"200 or 401, as text too", func(v any) (any, error) {
	n, err := numberOrText.norm(v)
	if err == nil && n.(float64) != 200 && n.(float64) != 401 {
		err = fmt.Errorf("%s is neither 200 nor 401", show(v))
	}
	return n, err
}}

func addressPortOf(host, port, whole string) (string, error) {
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("%s is not address:port", show(whole))
	}
	return host + ":" + port, nil
}

// listOf is a list, each entry of the form f.
func listOf(f form) form {
	return form{"list of " + f.words, func(v any) (any, error) {
		l, ok := v.([]any)
		if !ok {
			if ss, isText := v.([]string); isText {
				for _, s := range ss {
					l = append(l, s)
				}
			} else {
				return nil, fmt.Errorf("%s is not a list", show(v))
			}
		}
		out := make([]any, len(l))
		for i, e := range l {
			n, err := f.norm(e)
			if err != nil {
				return nil, fmt.Errorf("entry %d: %w", i+1, err)
			}
			out[i] = n
		}
		return out, nil
	}}
}

// fields are the known fields of an object; others are kept as they are.
type fields map[string]form

func object(fs fields) form {
	names := make([]string, 0, len(fs))
	for n := range fs {
		names = append(names, n)
	}
	slices.Sort(names)
	words := "{" + strings.Join(names, ", ") + "}"
	return form{words, func(v any) (any, error) {
		o, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s is not an object %s", show(v), words)
		}
		out := make(map[string]any, len(o))
		for k, e := range o {
			if e == nil || e == UnknownValue {
				continue // not looked at
			}
			f, known := fs[k]
			if !known {
				out[k] = e
				continue
			}
			n, err := f.norm(e)
			if err != nil {
				return nil, fmt.Errorf("field %s: %w", k, err)
			}
			out[k] = n
		}
		return out, nil
	}}
}

// or takes the first word that fits exactly, else the form.
func or(f form, words ...string) form {
	return form{strings.Join(words, ", ") + " or " + f.words, func(v any) (any, error) {
		if s, ok := v.(string); ok && slices.Contains(words, s) {
			return s, nil
		}
		return f.norm(v)
	}}
}

// noneOr takes "none", else the form.
func noneOr(f form) form { return or(f, None) }

// row is what a table holds for one key: none, a row that was not read, or the row.
func row(fs fields) form { return or(object(fs), None, "row") }

func symptomID(s string) (string, error) {
	if !strings.HasPrefix(s, "sym-") {
		return "", fmt.Errorf("%s is no symptom: their ids begin with sym-", show(s))
	}
	return s, nil
}
