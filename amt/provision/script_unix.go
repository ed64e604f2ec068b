//go:build unix

package provision

import (
	"os/exec"
	"syscall"
)

// ownGroup starts a script as the head of a process group, and ends the whole group where the script
// alone would be ended: the shell of a script that hangs dies, the program it waits for would stay.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// endGroup ends what a script that failed has left running. The group keeps its number as long as
// anybody is in it; an empty one is no error.
func endGroup(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
}
