package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"amtmedic/amt"
	"amtmedic/amt/provision"
)

// configLine is a line "name = value" of a configuration file.
type configLine struct {
	line        int
	name, value string
}

// readSettings reads the lines of a configuration file; # begins a comment line. Each name may stand
// once.
func readSettings(r io.Reader) ([]configLine, error) {
	var out []configLine
	sc := bufio.NewScanner(r)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(strings.TrimPrefix(sc.Text(), "\ufeff"))
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok {
			return nil, fmt.Errorf(`line %d: it is not name = value`, n) // it may hold a password: it is not repeated
		}
		if i := slices.IndexFunc(out, func(s configLine) bool { return s.name == name }); i >= 0 {
			return nil, fmt.Errorf("line %d: %s is set in line %d already", n, plain(name), out[i].line)
		}
		out = append(out, configLine{n, name, value})
	}
	return out, sc.Err()
}

// settingName is what the names of flags look like.
var settingName = regexp.MustCompile(`^[a-z][a-z-]*$`)

// applyConfig sets the flags of serve that the command line leaves open from the file that --config
// names: their names are those of the flags, without dashes before them.
func applyConfig(e *env, fs *flag.FlagSet, path string) error {
	fail := func(err error) error {
		return &amt.Error{Op: "serve", Subject: "--config " + plain(path), Err: err, Hint: `its lines are "name = value" with the names of the flags, such as: listen = 10.1.0.10:9971`}
	}
	text, err := readInput(e, path)
	if err != nil {
		return &amt.Error{Op: "serve", Subject: "--config " + plain(path), Err: err}
	}
	settings, err := readSettings(bytes.NewReader(text))
	if err != nil {
		return fail(err)
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for _, s := range settings {
		if s.name == "config" || fs.Lookup(s.name) == nil {
			name := s.name
			if !settingName.MatchString(name) {
				name = "this" // a URL with a password, perhaps
			}
			return fail(fmt.Errorf("line %d: %s is no setting of serve", s.line, name))
		}
		if given[s.name] {
			continue
		}
		if err := fs.Set(s.name, s.value); err != nil {
			return fail(fmt.Errorf("line %d: %s: %w", s.line, s.name, err))
		}
	}
	return nil
}

// logLevels are the levels of the log, as the field's own setup server names them: errors only,
// warnings too, what happens to each client, everything.
var logLevels = map[string]slog.Level{"error": slog.LevelError, "warning": slog.LevelWarn, "info": slog.LevelInfo, "verbose": slog.LevelDebug}

func logLevel(name string) (slog.Level, error) {
	l, ok := logLevels[name]
	if !ok {
		return l, fmt.Errorf("%q is no log level; it takes error, warning, info, verbose", plain(name))
	}
	return l, nil
}

// reloader reads the configuration again while serve runs.
type reloader struct {
	e     *env
	args  []string // of the command line: what stands there still goes before the file
	level *slog.LevelVar
	log   *slog.Logger
	w     *provision.Worker // nil: nobody is configured
	had   map[string]string
	// sources gives where names come from by the flags.
	sources func(o serveOptions) ([]provision.PropertySource, error)
}

// reloaded are the settings that a running server takes over.
var reloaded = []string{"log-level", "properties", "script"}

// listen has SIGHUP reload, which else ends the program, until the function that it gives is called.
func (r *reloader) listen(ctx context.Context) (stop func()) {
	signal.Reset(syscall.SIGHUP)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
				if err := r.reload(); err != nil {
					r.log.Error("the configuration was not read again; everything stays as it was", "err", err)
				}
			}
		}
	}()
	return func() { signal.Stop(hup) }
}

func (r *reloader) reload() error {
	fs, o, _ := serveFlags()
	if _, err := parse(fs, r.args); err != nil {
		return err
	}
	if err := applyConfig(r.e, fs, *o.config); err != nil {
		return err
	}
	level, err := logLevel(*o.level)
	if err != nil {
		return err
	}
	sources, err := r.sources(o)
	if err != nil {
		return err
	}
	r.level.Set(level)
	if r.w != nil {
		r.w.SetSources(sources)
	}
	var changed, later []string
	fs.VisitAll(func(f *flag.Flag) {
		if v := f.Value.String(); v != r.had[f.Name] {
			if slices.Contains(reloaded, f.Name) {
				changed = append(changed, f.Name)
				r.had[f.Name] = v
			} else {
				later = append(later, f.Name)
			}
		}
	})
	r.log.Info(msgReloaded, "changed", changed, "at_next_start", later)
	return nil
}

// values gives what all flags are set to.
func values(fs *flag.FlagSet) map[string]string {
	out := map[string]string{}
	fs.VisitAll(func(f *flag.Flag) { out[f.Name] = f.Value.String() })
	return out
}

// announcing is a log handler with a level, which tells always that the server is ready, that it
// stopped, and that its configuration was read again: scripts wait for these.
type announcing struct {
	slog.Handler
	level *slog.LevelVar
}

// announced are the messages that no level leaves out.
var announced = []string{msgReady, msgReloaded, msgStopped}

const (
	msgReady    = "ready"
	msgReloaded = "the configuration was read again"
	msgStopped  = "stopped"
)

// Enabled lets everything through to Handle, which sees the message.
func (h *announcing) Enabled(context.Context, slog.Level) bool { return true }

// Handle writes a record of the level, or one that is always told.
func (h *announcing) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < h.level.Level() && !slices.Contains(announced, r.Message) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps the level.
func (h *announcing) WithAttrs(a []slog.Attr) slog.Handler {
	return &announcing{h.Handler.WithAttrs(a), h.level}
}

// WithGroup keeps the level.
func (h *announcing) WithGroup(name string) slog.Handler {
	return &announcing{h.Handler.WithGroup(name), h.level}
}
