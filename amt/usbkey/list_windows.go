package usbkey

import "strconv"

// mostDisks bounds the numbers of disks that are tried.
const mostDisks = 32

// disks names the first disks that there may be: the system numbers them from 0.
func (s System) disks() []string {
	var out []string
	for i := range mostDisks {
		out = append(out, `\\.\PhysicalDrive`+strconv.Itoa(i))
	}
	return out
}
