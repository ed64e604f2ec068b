//go:build !windows

package main

// managed runs serve; managers of services other than that of Windows do not ask for more.
func managed(e *env, run func(*env) (int, error)) (int, error) { return run(e) }

// ownFolder makes the folder of the service where nobody else makes it; systemd does.
func ownFolder(string, string) error { return nil }
