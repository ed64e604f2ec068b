package amt

import (
	"fmt"
	"strconv"
	"strings"
)

// Version is a version number of one to four parts, such as 3.2.1 or 16.1.27.
type Version struct {
	part [4]int
	n    int
}

// ParseVersion reads "3", "3.2", "3.2.1" or "16.1.27.2176".
func ParseVersion(s string) (Version, error) {
	var v Version
	for p := range strings.SplitSeq(strings.TrimSpace(s), ".") {
		n, err := strconv.Atoi(p)
		if err != nil || n < 0 || len(p) > 6 || v.n == 4 {
			return Version{}, fmt.Errorf("%q is not a version such as 3.2.1", clip(s, 40))
		}
		v.part[v.n] = n
		v.n++
	}
	return v, nil
}

// Major gives the first part.
func (v Version) Major() int { return v.part[0] }

// Minor gives the second part, 0 when there is none.
func (v Version) Minor() int { return v.part[1] }

// Compare gives -1, 0 or 1; missing parts count as 0.
func (v Version) Compare(w Version) int {
	for i := range v.part {
		if d := v.part[i] - w.part[i]; d != 0 {
			if d < 0 {
				return -1
			}
			return 1
		}
	}
	return 0
}

// AtLeast reports whether v is not below major.minor.
func (v Version) AtLeast(major, minor int) bool {
	return v.Compare(Version{part: [4]int{major, minor}, n: 2}) >= 0
}

// Line gives the first two parts: the version line 3.2 of 3.2.1.
func (v Version) Line() Version {
	return Version{part: [4]int{v.part[0], v.part[1]}, n: 2}
}

// IsZero reports whether no version is known.
func (v Version) IsZero() bool { return v.n == 0 }

// String gives the parts that were read.
func (v Version) String() string {
	s := make([]string, v.n)
	for i := range s {
		s[i] = strconv.Itoa(v.part[i])
	}
	return strings.Join(s, ".")
}
