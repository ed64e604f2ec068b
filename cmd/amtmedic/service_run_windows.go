package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
)

// managed runs serve under the manager of services where that started it; else it runs it as it is.
func managed(e *env, run func(*env) (int, error)) (int, error) {
	if !startedByManager() {
		return run(e)
	}
	m := &underManager{e: e, run: run}
	err := svc.Run(serviceName, m)
	switch {
	case errors.Is(err, windows.ERROR_FAILED_SERVICE_CONTROLLER_CONNECT):
		return run(e) // a child of the manager that is no service
	case err != nil:
		return exitFound, err
	}
	return m.code, m.err
}

// startedByManager reports whether the parent is the manager of services.
func startedByManager() bool {
	snap, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return false
	}
	defer func() { _ = windows.CloseHandle(snap) }()
	parent, names := uint32(0), map[uint32]string{}
	p := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	for err = windows.Process32First(snap, &p); err == nil; err = windows.Process32Next(snap, &p) {
		names[p.ProcessID] = windows.UTF16ToString(p.ExeFile[:])
		if p.ProcessID == windows.GetCurrentProcessId() {
			parent = p.ParentProcessID
		}
	}
	return strings.EqualFold(filepath.Base(names[parent]), "services.exe")
}

// underManager is serve as the manager of services sees it.
type underManager struct {
	e    *env
	run  func(*env) (int, error)
	code int
	err  error
}

// Execute answers the manager until serve ended. An exit code of our own tells it that the start, or the
// service, failed; the words go to the event log of the system.
func (m *underManager) Execute(_ []string, asked <-chan svc.ChangeRequest, state chan<- svc.Status) (ours bool, code uint32) {
	state <- svc.Status{State: svc.StartPending, WaitHint: uint32((startLook + 30*time.Second).Milliseconds())}
	b := inBackground(m.e, m.run)
	defer b.stop()
	running := svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
	if !b.ended(startLook) {
		state <- running
	}
	for wait := true; wait; {
		select {
		case <-b.over:
			wait = false
		case c := <-asked:
			switch c.Cmd {
			case svc.Interrogate:
				state <- c.CurrentStatus
			case svc.Stop, svc.Shutdown:
				state <- svc.Status{State: svc.StopPending, WaitHint: uint32(stopLimit.Milliseconds())}
				b.stop()
				b.ended(stopLimit)
				wait = false
			}
		}
	}
	if !b.ended(0) {
		tellSystem("serve did not end in time")
		return true, exitFault
	}
	if m.code, m.err = b.code, b.err; m.code == exitOK {
		return false, 0
	}
	tellSystem(fmt.Sprintf("serve ended with exit code %d: %v", m.code, m.err))
	return true, uint32(m.code)
}

// tellSystem writes an error to the event log of the system: a service has no screen.
func tellSystem(text string) {
	l, err := eventlog.Open(serviceName)
	if err != nil {
		return
	}
	_ = l.Error(1, text)
	_ = l.Close()
}

// ownFolder makes the folder of the service, for administrators, the system and its account only: what is
// below ProgramData may else be read by every user, the key of the database too. It belongs to the
// administrators, also where somebody else made it before: an owner may always change who has access.
func ownFolder(dir, account string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	who := "LS"
	if account != "" {
		sid, _, _, err := windows.LookupSID("", account)
		if err != nil {
			return fmt.Errorf("account %s: %w", account, err)
		}
		who = sid.String()
	}
	sd, err := windows.SecurityDescriptorFromString("O:BAD:P(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;FA;;;" + who + ")")
	if err != nil {
		return err
	}
	acl, _, err := sd.DACL()
	if err != nil {
		return err
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return err
	}
	const what = windows.OWNER_SECURITY_INFORMATION | windows.DACL_SECURITY_INFORMATION | windows.PROTECTED_DACL_SECURITY_INFORMATION
	return windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, what, owner, nil, acl, nil)
}
