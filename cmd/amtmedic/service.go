package main

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/kardianos/service"

	"amtmedic/amt"
)

// serviceName is what the system's list of services calls us.
const serviceName = "amtmedic"

// stateDir is where the service keeps its database unless told otherwise; systemd makes it for the
// account that it invents.
const stateDir = "/var/lib/amtmedic"

// serviceDir gives stateDir, or what stands for it on Windows.
func serviceDir() string {
	if dir := os.Getenv("ProgramData"); runtime.GOOS == "windows" && dir != "" {
		return filepath.Join(dir, "amtmedic")
	}
	return stateDir
}

func runService(e *env, args []string) (int, error) {
	return subcommand(e, "service", []command{
		{"install", "have the system start the setup server, now and whenever the machine starts", runServiceInstall},
		{"print", "show the unit of systemd that install writes", runServicePrint},
		{"status", "say whether the service is installed and runs", runServiceStatus},
		{"servers", "the setup servers that work on a database, and those that fell silent", runServiceServers},
		{"uninstall", "stop the service and take it out of the system's list", runServiceUninstall},
	}, args)
}

// serviceFlags are the flags of service install and print. What stands behind -- are the flags of serve.
func serviceFlags(name string) (*flag.FlagSet, *string) {
	fs := flags("service " + name + " [--user NAME] -- FLAGS OF SERVE")
	return fs, fs.String("user", "", "account `NAME` that the service runs as (default: one that systemd invents, or LocalService on Windows)")
}

// planned reads the flags and gives the service that they describe.
func planned(fs *flag.FlagSet, user *string, args []string) (serviceUnit, error) {
	rest, err := parse(fs, args)
	if err != nil {
		return serviceUnit{}, err
	}
	u, err := newUnit(rest, *user)
	if err != nil {
		return u, misuse(fs, "%v", err)
	}
	return u, nil
}

func runServicePrint(e *env, args []string) (int, error) {
	fs, user := serviceFlags("print")
	u, err := planned(fs, user, args)
	if err != nil {
		return exitUsage, err
	}
	for _, words := range u.hidden {
		fmt.Fprintf(e.stderr, "amtmedic: note: %s\n", words)
	}
	_, err = fmt.Fprint(e.stdout, u.text())
	return exitOK, err
}

func runServiceInstall(e *env, args []string) (int, error) {
	fs, user := serviceFlags("install")
	yes := fs.Bool("yes", false, "agree to the preview without being asked")
	u, err := planned(fs, user, args)
	if err != nil {
		return exitUsage, err
	}
	if len(u.hidden) > 0 {
		return exitUsage, misuse(fs, "%s", strings.Join(u.hidden, "; "))
	}
	s, err := u.service()
	if err != nil {
		return exitUndecided, serviceError("install", err)
	}
	if runtime.GOOS == "linux" {
		fmt.Fprintf(e.stderr, "/etc/systemd/system/%s.service:\n\n%s\n", serviceName, u.text())
	} else {
		fmt.Fprintf(e.stderr, "service %s: %s %s\n", serviceName, u.program, strings.Join(u.args, " "))
	}
	fmt.Fprintln(e.stderr, "Undo: amtmedic service uninstall. The database stays.")
	if err := agreeLocal(e, *yes); err != nil {
		return exitFound, err
	}
	if err := ownFolder(serviceDir(), *user); err != nil {
		return exitFound, serviceError("make the folder of", err)
	}
	if err := s.Install(); err != nil {
		return exitFound, serviceError("install", err)
	}
	if err := s.Start(); err != nil {
		return exitFound, &amt.Error{Op: "start the service", Subject: serviceName, Err: err, Hint: startHint()}
	}
	if !stays(e, s) {
		return exitFound, &amt.Error{Op: "start the service", Subject: serviceName, Err: errors.New("it ended at once"), Hint: startHint()}
	}
	_, err = fmt.Fprintln(e.stdout, "installed and started")
	return exitOK, err
}

func runServiceStatus(e *env, args []string) (int, error) {
	fs := flags("service status")
	if rest, err := parse(fs, args); err != nil {
		return exitUsage, err
	} else if len(rest) > 0 {
		return exitUsage, misuse(fs, "service status takes no operand")
	}
	s, err := serviceUnit{}.service()
	if err != nil {
		return exitUndecided, serviceError("look at", err)
	}
	state, err := s.Status()
	switch {
	case errors.Is(err, service.ErrNotInstalled):
		fmt.Fprintln(e.stdout, "not installed")
		return exitFound, nil
	case err != nil:
		return exitUndecided, serviceError("look at", err)
	case state == service.StatusRunning:
		fmt.Fprintln(e.stdout, "running")
		return exitOK, nil
	}
	fmt.Fprintln(e.stdout, "installed, not running")
	return exitFound, nil
}

func runServiceUninstall(e *env, args []string) (int, error) {
	fs := flags("service uninstall [--yes]")
	yes := fs.Bool("yes", false, "agree without being asked")
	if rest, err := parse(fs, args); err != nil {
		return exitUsage, err
	} else if len(rest) > 0 {
		return exitUsage, misuse(fs, "service uninstall takes no operand")
	}
	s, err := serviceUnit{}.service()
	if err != nil {
		return exitUndecided, serviceError("uninstall", err)
	}
	fmt.Fprintln(e.stderr, "The service is stopped and taken out of the list of services. The database and its key file stay.")
	if err := agreeLocal(e, *yes); err != nil {
		return exitFound, err
	}
	_ = s.Stop() // it may not run
	for end := time.Now().Add(stopLimit + 5*time.Second); time.Now().Before(end) && e.ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		if state, err := s.Status(); err != nil || state != service.StatusRunning {
			break // Windows only asks it to stop
		}
	}
	if err := s.Uninstall(); err != nil {
		return exitFound, serviceError("uninstall", err)
	}
	_, err = fmt.Fprintln(e.stdout, "uninstalled")
	return exitOK, err
}

func serviceError(op string, err error) error {
	hint := "it needs root and a running systemd; amtmedic service print gives the unit for another way"
	if runtime.GOOS == "windows" {
		hint = "it needs a prompt that was started as administrator"
	}
	return &amt.Error{Op: op + " the service", Subject: serviceName, Err: err, Hint: hint}
}

// stays reports whether a service that was started runs still, after the time in which most mistakes show.
func stays(e *env, s service.Service) bool {
	for end := time.Now().Add(startLook + time.Second); time.Now().Before(end) && e.ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		if state, err := s.Status(); err == nil && state == service.StatusStopped {
			return false
		}
	}
	return true
}

// startHint says where to look when an installed service does not start.
func startHint() string {
	if runtime.GOOS == "windows" {
		return "it is installed; the event log (source amtmedic) and " + filepath.Join(serviceDir(), "serve.log") + " tell why it does not start; \"net start amtmedic\" tries again"
	}
	return "it is installed; \"journalctl -u amtmedic\" tells why it does not start; \"systemctl start amtmedic\" tries again"
}

// serviceUnit is the service that runs serve.
type serviceUnit struct {
	program string
	args    []string // of the program
	user    string   // empty: one that the system invents
	writes  []string // folders that it has to write in
	reloads bool
	low     bool     // a port below 1024
	hidden  []string // files that it would not find, with the words for it
}

// newUnit makes a service of flags of serve. They are checked as serve does, and their files named in
// full: a service has another working folder.
func newUnit(args []string, user string) (serviceUnit, error) {
	fs, o, db := serveFlags()
	rest, err := parse(fs, args)
	if err != nil {
		return serviceUnit{}, err
	}
	if len(rest) > 0 {
		return serviceUnit{}, fmt.Errorf("%q is no flag of serve", plain(rest[0]))
	}
	u := serviceUnit{args: []string{"serve"}, user: user, reloads: *o.config != ""}
	if u.program, err = os.Executable(); err != nil {
		return u, err
	}
	u.see(u.program, "the program")
	for _, name := range []string{"db", "config", "key-file", "provisioning-cert", "script", "web-cert", "web-key", "web-client-ca", "log"} {
		f := fs.Lookup(name)
		if v := f.Value.String(); v != "" && !strings.Contains(v, "://") {
			if v, err = filepath.Abs(v); err == nil {
				err = fs.Set(name, v)
				u.see(v, "--"+name)
			}
			if err != nil {
				return u, err
			}
		}
	}
	if *o.config == "" { // what the file says is read when the service starts
		if err := o.check(fs); err != nil {
			return u, err
		}
	}
	defaults := map[string]string{"db": "core.db"}
	if runtime.GOOS == "windows" {
		defaults["log"] = "serve.log" // nobody keeps what a service prints there
	}
	for name, file := range defaults {
		if fs.Lookup(name).Value.String() != "" {
			continue
		}
		if err := fs.Set(name, filepath.Join(serviceDir(), file)); err != nil {
			return u, err
		}
	}
	if dir := filepath.Dir(*db.db); runtime.GOOS == "linux" && !strings.Contains(*db.db, "://") && dir != stateDir && !strings.HasPrefix(dir, stateDir+"/") {
		if user == "" {
			return u, fmt.Errorf("an account that systemd invents can write below %s only: put the database there, or name an account with --user", stateDir)
		}
		u.writes = append(u.writes, dir)
	}
	for _, addr := range []string{*o.listen, *o.web.addr} {
		port := addr[strings.LastIndexByte(addr, ':')+1:]
		u.low = u.low || len(port) > 0 && len(port) < 4 || port == "1023"
	}
	fs.Visit(func(f *flag.Flag) { u.args = append(u.args, "--"+f.Name+"="+f.Value.String()) })
	if target, err := url.Parse(*db.db); err == nil && target.User != nil {
		if _, has := target.User.Password(); has {
			return u, errors.New("a password in --db would stand in the unit, which everybody can read: leave it out, and put PGPASSWORD=... into /etc/amtmedic/serve.env with mode 0600")
		}
	}
	for _, a := range u.args {
		if strings.ContainsAny(a, "\n\r\x00") || strings.Contains(a, "{{") {
			return u, fmt.Errorf("%q cannot stand in a service", plain(a))
		}
	}
	return u, nil
}

// see notes a file that the service would not find: its unit hides the homes of people and the folders
// for temporary files.
func (u *serviceUnit) see(path, what string) {
	for _, dir := range []string{"/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/"} {
		if runtime.GOOS == "linux" && strings.HasPrefix(path, dir) {
			u.hidden = append(u.hidden, fmt.Sprintf("%s: %s is hidden from the service; /usr/local/bin, /etc and %s are not", what, plain(path), stateDir))
		}
	}
}

// service gives the service to the system's manager.
func (u serviceUnit) service() (service.Service, error) {
	c := &service.Config{Name: serviceName, DisplayName: "amtmedic setup server", Description: "Receives hellos of Intel AMT clients and configures them.",
		Executable: u.program, Arguments: u.args, UserName: u.user, Option: service.KeyValue{"SystemdScript": u.text()}}
	if u.user == "" && runtime.GOOS == "windows" {
		c.UserName = `NT AUTHORITY\LocalService`
	}
	return service.New(installed{}, c)
}

// installed stands for the program towards the library, which only installs, starts, stops and removes: how
// serve runs under a manager is told in managed.
type installed struct{}

// Start does nothing.
func (installed) Start(service.Service) error { return nil }

// Stop does nothing.
func (installed) Stop(service.Service) error { return nil }

// text is the unit of systemd.
func (u serviceUnit) text() string {
	var b strings.Builder
	line := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	line("[Unit]\nDescription=amtmedic setup server: hellos of Intel AMT clients\nWants=network-online.target\nAfter=network-online.target\n\n[Service]")
	var words []string
	for _, a := range append([]string{u.program}, u.args...) {
		words = append(words, unitWord(a))
	}
	line("ExecStart=%s", strings.Join(words, " "))
	if u.reloads {
		line("ExecReload=/bin/kill -HUP $MAINPID")
	}
	line("Restart=on-failure\nRestartSec=2\nTimeoutStopSec=15\nLimitNOFILE=65536")
	if u.user != "" {
		line("User=%s", u.user)
	} else {
		line("DynamicUser=yes")
	}
	line("StateDirectory=amtmedic\nStateDirectoryMode=0700\nEnvironment=AMTMEDIC_HOME=%s\nEnvironmentFile=-/etc/amtmedic/serve.env", stateDir)
	line("UMask=0077\nNoNewPrivileges=yes\nProtectSystem=strict\nProtectHome=yes\nPrivateTmp=yes\nPrivateDevices=yes\nProtectKernelTunables=yes\nProtectControlGroups=yes")
	line("RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX")
	if u.low {
		line("AmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE")
	} else {
		line("CapabilityBoundingSet=")
	}
	for _, dir := range u.writes {
		line("ReadWritePaths=%s", unitWord(dir))
	}
	line("\n[Install]\nWantedBy=multi-user.target")
	return b.String()
}

// unitWord quotes a word for a unit of systemd (systemd.service, "Command lines").
func unitWord(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$").Replace(s)
	if strings.ContainsAny(s, " \t'\"\\;") {
		return `"` + s + `"`
	}
	return s
}
