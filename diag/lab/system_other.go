//go:build !unix

package lab

import "syscall"

// reuseAddress does nothing here: a source port that is in use gives way to another.
func reuseAddress(string, string, syscall.RawConn) error { return nil }

// alive says yes: nothing is removed where it cannot be told.
func alive(int) bool { return true }
