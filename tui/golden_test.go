package tui

import (
	"fmt"
	"testing"

	"github.com/charmbracelet/x/exp/golden"

	"amtmedic/diag/probe"
)

// page opens a page with a fake walk. The fake is nil for pages without a case.
type scene struct {
	name string
	walk func() *fake
	keys []string
	opts func(*Options)
}

func scenes() []scene {
	verdict := func() *fake { return newFake(split(), rechecking(), green()) }
	manual := func() *fake {
		f := verdict()
		f.plan.Confirm, f.plan.Rows, f.auto = "", nil, false
		return f
	}
	password := func() *fake { return newFake(asking(passwordQuestion()), probing()) }
	return append([]scene{
		{name: "start"},
		{name: "start-filter", keys: []string{"/", "type:usb"}},
		{name: "start-command", keys: []string{"c"}},
		{name: "practice-list", keys: []string{"p", "down"}},
		{name: "open", keys: []string{"o", "type:pc.amtmedic"}},
		{name: "walk-probing", walk: func() *fake { return newFake(probing()) }},
		{name: "walk-asking", walk: password},
		{name: "walk-typing", walk: func() *fake { return newFake(asking(versionQuestion())) }, keys: []string{"2", "type:32", "enter"}},
		{name: "walk-list", walk: func() *fake { return newFake(split()) }, keys: []string{"esc", "tab", "down", "down"}},
		{name: "walk-practice", walk: func() *fake { return newFake(practice()) }, keys: []string{"p"}},
		{name: "answers", walk: func() *fake { return newFake(probing()) }, keys: []string{"a"}},
		{name: "undecided", walk: func() *fake { return newFake(probing()) }, keys: []string{"v"}},
		{name: "verdict", walk: verdict},
		{name: "verdict-ok", walk: func() *fake { return newFake(green()) }},
		{name: "remedy", walk: verdict, keys: []string{"enter", "type:k1", "enter", "type:geheim", "enter", "type:no", "enter"}},
		{name: "walk-planned", walk: func() *fake { return newFake(planned()) }},
		{name: "remedy-next", walk: func() *fake { return newFake(split(), planned()) }, keys: []string{"enter", "enter", "type:geheim", "enter", "type:yes", "enter"}},
		{name: "remedy-by-hand", walk: manual, keys: []string{"2", "enter"}},
		{name: "remedy-read-only", walk: verdict, keys: []string{"enter"}, opts: func(o *Options) { o.ReadOnly = true }},
		{name: "remedy-done", walk: verdict, keys: []string{"enter", "enter", "type:geheim", "enter", "type:yes", "enter"}},
		{name: "provisioning", walk: func() *fake { return newFake(beingProvisioned(probe.ProgressRunning)) }},
		{name: "provisioning-done", walk: func() *fake { return newFake(beingProvisioned(probe.ProgressDone)) }},
		{name: "provisioning-delayed", walk: func() *fake { return newFake(beingProvisioned(probe.ProgressDelayed)) }},
		{name: "core", keys: []string{":", "type:core", "enter"}, opts: func(o *Options) { o.Serve = testServe("") }},
		{name: "core-refused", keys: []string{":", "type:core", "enter"}, opts: func(o *Options) { o.Serve = testServe(":9971 is taken by amtmedic, process 812") }},
		{name: "core-none", walk: verdict, keys: []string{":", "type:core", "enter"}},
		{name: "evidence", walk: verdict, keys: []string{"e", "down"}},
		{name: "evidence-all", walk: verdict, keys: []string{"e", "tab", "/", "type:client"}},
		{name: "explain", walk: verdict, keys: []string{"x"}},
		{name: "log", walk: func() *fake { return newFake(rechecking()) }, keys: []string{"l"}},
		{name: "help", walk: verdict, keys: []string{"?"}},
		{name: "goto", walk: verdict, keys: []string{":", "type:e"}},
	}, append(append(wireScenes(), coreScenes()...), toolScenes()...)...)
}

func (s scene) open(t *testing.T, w, h int, change func(*Options)) *driver {
	var f *fake
	if s.walk != nil {
		f = s.walk()
	}
	o := options(f)
	if s.opts != nil {
		s.opts(&o)
	}
	if change != nil {
		change(&o)
	}
	d := newDriver(t, o, w, h)
	return d.keys(s.keys...)
}

func TestFrames(t *testing.T) {
	for _, s := range scenes() {
		for _, size := range [][2]int{{80, 24}, {200, 50}, {60, 15}} {
			t.Run(fmt.Sprintf("%s/%dx%d", s.name, size[0], size[1]), func(t *testing.T) {
				t.Parallel()
				d := s.open(t, size[0], size[1], nil)
				d.fits()
				golden.RequireEqual(t, d.frame())
			})
		}
	}
}
