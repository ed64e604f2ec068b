//go:build !windows

package probe

import "syscall"

var (
	errnoRefused     = []error{syscall.ECONNREFUSED}
	errnoTimeout     = []error{syscall.ETIMEDOUT}
	errnoUnreachable = []error{syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.ENETDOWN}
	errnoNoRoute     = []error{syscall.ENETUNREACH, syscall.ENETDOWN}
)
