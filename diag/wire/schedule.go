package wire

import "time"

// Try is one attempt of a client to say hello, as far as it was seen.
type Try struct {
	At     time.Time
	Retry  int    // retry count of its hello, -1 while not known
	Method string // psk, pki, or empty
}

// Schedule is what may be expected of a client after its latest attempts (provisioning-protocol 2.1).
// Public statements about it disagree: it is an expected pattern and proves nothing.
type Schedule struct {
	Form  string      // A for PSK, B for PKI; "A or B" while that cannot be told
	Seen  []time.Time // latest attempts, at most three
	Next  time.Time   // of the next attempt; zero when the last of the sequence was seen
	Later []time.Time // where the gaps grow, at most two
	Quiet time.Time   // last attempt of the sequence, after which the client falls silent
	Ends  time.Time   // end of the window in which it accepts set-up, as that form states it
	First time.Time   // form B: the end at the very first start; zero elsewhere
}

// step is a number of attempts with the same time before each.
type step struct {
	n     int
	every time.Duration
}

var (
	formA = []step{{5, time.Minute}, {5, 10 * time.Minute}, {5, time.Hour}}
	formB = []step{{5, time.Minute}, {12, 5 * time.Minute}, {23, time.Hour}}
)

// offset gives when attempt n (from 0) is due after the first; false behind the last.
func offset(form []step, n int) (time.Duration, bool) {
	at := -form[0].every
	for _, s := range form {
		if n < s.n {
			return at + time.Duration(n+1)*s.every, true
		}
		n -= s.n
		at += time.Duration(s.n) * s.every
	}
	return 0, false
}

// Gaps by which a sequence ends, or tells its form.
const (
	restart = 75 * time.Minute // no form waits longer between two attempts
	tellA   = 8 * time.Minute  // form A waits ten minutes after the fifth attempt, form B five
)

// Expect gives the schedule after the attempts of one client, in the order of time; false without
// any.
func Expect(tries []Try) (Schedule, bool) {
	if len(tries) == 0 || tries[len(tries)-1].At.IsZero() {
		return Schedule{}, false
	}
	const most = 60 // more than any form has
	tries = tries[max(0, len(tries)-most):]
	from, method := begin(tries)
	seq := tries[from:]
	form, name := formOf(method, seq)
	n := len(seq) - 1
	for i, t := range seq {
		if t.Retry >= 0 {
			n = max(n, t.Retry+len(seq)-1-i)
		}
	}
	last := seq[len(seq)-1].At
	now, ok := offset(form, n)
	if !ok {
		return Schedule{Form: name, Seen: latest(seq), Quiet: last}, true
	}
	s := Schedule{Form: name, Seen: latest(seq)}
	start := last.Add(-now)
	if d, more := offset(form, n+1); more {
		s.Next = start.Add(d)
	}
	total := 0
	for _, p := range form {
		if total += p.n; total > n+1 && len(s.Later) < 2 {
			if d, more := offset(form, total); more {
				s.Later = append(s.Later, start.Add(d))
			}
		}
	}
	end, _ := offset(form, total-1)
	s.Quiet = start.Add(end)
	if name == "B" {
		s.Ends, s.First = start.Add(6*time.Hour), start.Add(24*time.Hour)
	}
	return s, true
}

// begin finds where the latest sequence begins, and its method as far as a hello told it.
func begin(tries []Try) (from int, method string) {
	retry := -1
	for i := len(tries) - 1; i >= 0; i-- {
		t := tries[i]
		if i+1 < len(tries) && tries[i+1].At.Sub(t.At) > restart || retry >= 0 && t.Retry > retry {
			return i + 1, method
		}
		if t.Retry >= 0 {
			retry = t.Retry
		}
		if method == "" {
			method = t.Method
		}
		if t.Retry == 0 {
			return i, method
		}
	}
	return 0, method
}

// formOf takes the form of the method; without one, the gap after the fifth attempt tells.
func formOf(method string, seq []Try) ([]step, string) {
	switch method {
	case "psk":
		return formA, "A"
	case "pki":
		return formB, "B"
	}
	if len(seq) > 5 {
		if seq[5].At.Sub(seq[4].At) > tellA {
			return formA, "A"
		}
		return formB, "B"
	}
	return formA, "A or B"
}

func latest(seq []Try) []time.Time {
	var out []time.Time
	for _, t := range seq[max(0, len(seq)-3):] {
		out = append(out, t.At)
	}
	return out
}
