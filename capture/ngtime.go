package capture

import (
	"math/bits"
	"time"
)

// lastSecond is the last second that RFC 3339 can write: the end of the year 9999.
const lastSecond = 253402300799

// ngTime turns a pcapng time stamp into a time: ts units since 1970, resol as in if_tsresol (bit 7
// set: 2^-n seconds, else 10^-n), offset in seconds. Nothing is divided by a number that a hostile
// exponent could make 0. A time that no calendar holds gives the zero time.
func ngTime(ts uint64, resol byte, offset int64) time.Time {
	sec, nano := decimalTime(ts, uint(resol))
	if resol&0x80 != 0 {
		sec, nano = binaryTime(ts, uint(resol&0x7F))
	}
	if sec > lastSecond || offset > lastSecond || offset < -lastSecond {
		return time.Time{}
	}
	s := int64(sec) + offset
	if s < 0 || s > lastSecond {
		return time.Time{}
	}
	return time.Unix(s, int64(nano))
}

func decimalTime(ts uint64, exp uint) (sec, nano uint64) {
	if exp <= 9 {
		unit := pow10(exp)
		return ts / unit, ts % unit * pow10(9-exp)
	}
	if exp > 28 { // below a nanosecond whatever ts is
		return 0, 0
	}
	nanos := ts / pow10(exp-9)
	return nanos / 1e9, nanos % 1e9
}

func binaryTime(ts uint64, exp uint) (sec, nano uint64) {
	frac := ts
	if exp < 64 {
		sec = ts >> exp
		frac = ts & (1<<exp - 1)
	}
	hi, lo := bits.Mul64(frac, 1e9)
	switch {
	case exp == 0:
		return sec, 0
	case exp < 64:
		return sec, hi<<(64-exp) | lo>>exp
	}
	return sec, hi >> (exp - 64) // a shift of 64 and more gives 0
}

// pow10 gives 10^n for n up to 19.
func pow10(n uint) uint64 {
	v := uint64(1)
	for ; n > 0; n-- {
		v *= 10
	}
	return v
}
