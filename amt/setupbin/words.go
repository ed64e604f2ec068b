package setupbin

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"amtmedic/amt"
)

// powerOn is the power package that Intel's own wizard writes by default.
const powerOn = "7322734623dc432fa98a13d37982d855"

// Words gives the value for a person. Secrets are "[secret]" unless reveal is set. Binary values
// that nobody knows are hex. Text may hold any byte: clean it before it reaches a terminal.
func (v Variable) Words(reveal bool) string {
	if v.Secret() && !reveal {
		return amt.Secret{}.String()
	}
	b := []byte(v.Value.Reveal())
	d, ok := define(v.Module, v.ID)
	if !ok || v.fault(V40) != "" && d.kind != text {
		return hexWords(b)
	}
	switch d.kind {
	case text:
		return string(b)
	case pid, pps:
		return bare(v.Value)
	case choice, word:
		return d.values[int(uint32le(b))]
	case bits:
		var on []string
		for bit := 1; bit <= d.max; bit <<= 1 {
			if int(b[0])&bit != 0 {
				on = append(on, d.values[bit])
			}
		}
		if len(on) == 0 {
			return "none"
		}
		return strings.Join(on, ", ")
	case guid:
		if hex.EncodeToString(b) == powerOn {
			return hex.EncodeToString(b) + " (on in S0, ME wakes in S3 to S5)"
		}
		return hex.EncodeToString(b)
	case ipv4:
		slices.Reverse(b)
		a, _ := netip.AddrFromSlice(b)
		return a.String()
	case port, number:
		return fmt.Sprint(uint32le(b))
	case hash:
		n := digestLen[b[0]]
		return fmt.Sprintf("%s %x %q", [...]string{"", "SHA-1", "SHA-256", "SHA-384"}[b[0]], b[1:1+n], b[2+n:])
	}
	return hexWords(b)
}

func hexWords(b []byte) string {
	if len(b) == 0 {
		return "empty"
	}
	return "hex " + hex.EncodeToString(b)
}

// Parse makes a variable of text as a person writes it: MODULE/VARIABLE and a value. Numbers and
// choices are decimal or one of the words that Words gives; GUIDs and what nobody knows are hex;
// a certificate hash is ALGORITHM:HEX:NAME with sha1, sha256 or sha384.
func Parse(key, value string) (Variable, error) {
	var v Variable
	if n, err := fmt.Sscanf(key, "%d/%d", &v.Module, &v.ID); err != nil || n != 2 || v.Key() != key || v.Module == 0 || v.ID == 0 {
		return v, fmt.Errorf("%q is no variable: MODULE/VARIABLE, such as 2/3", key)
	}
	d, known := define(v.Module, v.ID)
	if v.Module == 2 && v.ID == 16 {
		return v, fmt.Errorf("%s (%s): its values are not known for certain, so it is not written", key, d.name)
	}
	b, err := d.parse(value)
	if err != nil {
		return v, fmt.Errorf("%s (%s): %w", key, v.Name(), err)
	}
	v.Value = amt.NewSecret(string(b))
	if f := v.fault(V40); known && f != "" {
		return v, fmt.Errorf("%s (%s) %s", key, d.name, f)
	}
	return v, nil
}

func (d definition) parse(value string) ([]byte, error) {
	switch d.kind {
	case text, pid, pps:
		return []byte(value), nil
	case choice, bits, word, port, number:
		n, err := d.number(value)
		size := map[kind]int{choice: 1, bits: 1, port: 2}[d.kind]
		if size == 0 {
			size = 4
		}
		if err == nil && uint64(n)>>(8*size) != 0 {
			err = fmt.Errorf("%d is too large", n)
		}
		return le.AppendUint32(nil, n)[:size], err
	case ipv4:
		a, err := netip.ParseAddr(value)
		if err != nil || !a.Is4() {
			return nil, fmt.Errorf("%q is no IPv4 address", value)
		}
		b := a.As4()
		slices.Reverse(b[:])
		return b[:], nil
	case hash:
		part := strings.SplitN(value, ":", 3)
		alg := slices.Index([]string{"", "sha1", "sha256", "sha384"}, strings.ToLower(part[0]))
		if alg < 1 || len(part) != 3 || len(part[2]) > 32 {
			return nil, fmt.Errorf("%q is not ALGORITHM:HEX:NAME", value)
		}
		digest, err := hex.DecodeString(part[1])
		return append(append(append([]byte{byte(alg)}, digest...), byte(len(part[2]))), part[2]...), err
	}
	return hex.DecodeString(strings.NewReplacer(" ", "", "-", "", ":", "").Replace(strings.TrimPrefix(value, "hex ")))
}

// number reads a decimal number or the word of a value.
func (d definition) number(value string) (uint32, error) {
	for n, w := range d.values {
		if strings.EqualFold(w, value) {
			return uint32(n), nil
		}
	}
	var n uint32
	if k, err := fmt.Sscanf(value, "%d", &n); err != nil || k != 1 || fmt.Sprint(n) != value {
		return 0, fmt.Errorf("%q is no number", value)
	}
	return n, nil
}
