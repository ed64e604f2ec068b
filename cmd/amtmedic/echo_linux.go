package main

import "golang.org/x/sys/unix"

const (
	ioctlGetTerm = unix.TCGETS
	ioctlSetTerm = unix.TCSETS
)
