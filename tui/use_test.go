package tui

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/tui/page"
)

// TestAnswer answers by number, by cursor and by typing.
func TestAnswer(t *testing.T) {
	tests := map[string]struct {
		keys []string
		want string
	}{
		"by number":     {[]string{"3"}, "answer(client.amt_version,2,)"},
		"by cursor":     {[]string{"down", "enter"}, ""},
		"typed":         {[]string{"2", "type:3.2.1", "enter"}, "answer(client.amt_version,-1,3.2.1)"},
		"letters typed": {[]string{"2", "type:q.s", "enter"}, "answer(client.amt_version,-1,q.s)"},
		"left":          {[]string{"2", "type:3.2", "esc", "1"}, "answer(client.amt_version,0,)"},
		"malformed":     {[]string{"2", "type:32", "enter"}, ""},
		"no such row":   {[]string{"7"}, ""},
		"skipped":       {[]string{"s"}, "skip"},
		"undone":        {[]string{"u"}, "undo"},
		"drained":       {[]string{"d"}, "drain"},
		"rechecked":     {[]string{"r"}, "recheck(chk-versions)"},
		"out of turn":   {[]string{"a", "enter", "2"}, "answer(client.mebx_password,1,)"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := versionQuestion()
			if name == "by number" {
				q.Options = append(q.Options, q.Options[0], q.Options[0])
			}
			f := newFake(asking(q), probing())
			newDriver(t, options(f), 80, 24).keys(tc.keys...)
			if got := f.called(); got != tc.want {
				t.Errorf("calls %q, want %q", got, tc.want)
			}
		})
	}
}

// TestVerdictOpens shows the verdict page when a verdict comes, and comes back to the walk by esc.
func TestVerdictOpens(t *testing.T) {
	f := newFake(probing(), split())
	d := newDriver(t, options(f), 80, 24)
	f.next("time")
	d.send(d.m.feed.look())
	d.want("Decided by", "rc-dns-split-horizon · name service · proven")
	d.keys("esc").want("enter shows what decided")
	d.send(d.m.feed.look())
	if d.m.top().Name() != "walk" {
		t.Error("the same verdict opens its page again")
	}
	d.keys("enter").want("Decided by")
}

// TestRemedy needs the inputs and the word; secrets are never drawn and go only to the walker.
func TestRemedy(t *testing.T) {
	f := newFake(split(), rechecking(), green())
	d := newDriver(t, options(f), 80, 24)
	d.keys("enter", "enter", "enter")
	d.want("key secret: it is empty")
	d.keys("type:Gq7secret")
	if strings.Contains(d.frame(), "Gq7") {
		t.Error("a secret is drawn")
	}
	d.keys("enter", "type:y", "enter")
	d.want("nothing is done yet")
	if strings.Contains(f.called(), "apply") {
		t.Fatal("applied without the word")
	}
	d.keys("type:es", "enter")
	if !strings.HasSuffix(f.called(), "apply(rm-dns-split-horizon,2 inputs)") {
		t.Fatalf("calls %q", f.called())
	}
	d.want("done: the record is there", "the road is being checked again")
	f.next("time")
	d.send(d.m.feed.look())
	d.want("ok-provisioned")
	d.keys("enter").want("What happens next")
}

// TestPlan goes from a repair to the next step of the plan, and from there on.
func TestPlan(t *testing.T) {
	f := newFake(split(), planned(), green())
	f.plan.Fields = nil
	d := newDriver(t, options(f), 80, 24)
	d.keys("enter", "type:yes", "enter").want("one step of the plan is left", "Restart the hello")
	d.keys("enter").want("next step of the repair", "rm-restart-hello", "Type yes to do it")
	d.keys("type:yes", "enter").want("ok-provisioned")
	if got := f.called(); !strings.HasSuffix(got, "preview(rm-restart-hello) apply(rm-restart-hello,0 inputs)") {
		t.Errorf("calls %q", got)
	}

	f = newFake(planned(), green())
	d = newDriver(t, options(f), 80, 24)
	d.want("One step of the plan is left")
	d.keys("enter").want("next step of the repair")
	d.keys("esc", "s").want("What happens next")
}

// TestRemedyByHand applies when the last step is ticked off, in any order.
func TestRemedyByHand(t *testing.T) {
	f := newFake(split(), rechecking())
	f.auto, f.plan.Confirm = false, ""
	d := newDriver(t, options(f), 80, 24)
	d.keys("2", "down", " ", "up", "enter")
	if strings.Contains(f.called(), "apply") {
		t.Fatal("applied before the last step")
	}
	d.keys("enter")
	if !strings.Contains(f.called(), "apply(rm-dns-split-horizon-2,0 inputs)") {
		t.Errorf("calls %q", f.called())
	}
}

// TestRemedyCannot shows what went wrong, and never applies in read-only.
func TestRemedyCannot(t *testing.T) {
	f := newFake(split())
	f.planErr = errors.New("ask 10.20.0.53: no answer")
	d := newDriver(t, options(f), 80, 24).keys("enter")
	d.want("It cannot be previewed", "ask 10.20.0.53: no answer")

	f = newFake(split())
	f.doErr = errors.New("update zone corp.example: REFUSED")
	f.plan.Fields = nil
	d = newDriver(t, options(f), 80, 24).keys("enter", "type:yes", "enter")
	d.want("It was not done", "REFUSED", "by hand instead")

	for _, auto := range []bool{true, false} {
		f = newFake(split())
		f.auto = auto
		o := options(f)
		o.ReadOnly = true
		newDriver(t, o, 80, 24).keys("enter", "type:yes", "enter", "enter", "enter", "enter", "enter")
		if strings.Contains(f.called(), "apply") {
			t.Errorf("read-only applied (automatic %v): %s", auto, f.called())
		}
	}
}

// TestStart opens what was chosen, and says why it could not.
func TestStart(t *testing.T) {
	tests := map[string]struct {
		keys []string
		want Choice
	}{
		"symptom":         {[]string{"down", "enter"}, Choice{Kind: FromSymptom, ID: "sym-none-provision"}},
		"filtered":        {[]string{"/", "type:USB key", "enter"}, Choice{Kind: FromSymptom, ID: "sym-usb-ignored"}},
		"whole road":      {[]string{"end", "up", "up", "up", "enter"}, Choice{Kind: WholeRoad}},
		"practice":        {[]string{"p", "down", "down", "enter"}, Choice{Kind: Practice, ID: "rc-dns-split-horizon"}},
		"healthy":         {[]string{"p", "enter"}, Choice{Kind: Practice, ID: "none"}},
		"bundle":          {[]string{"o", "type:q.bundle", "enter"}, Choice{Kind: FromBundle, Path: "q.bundle"}},
		"by name of page": {[]string{":", "type:pr", "enter", "/", "type:pps", "enter"}, Choice{Kind: Practice, ID: "rc-pps-mismatch"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got Choice
			closed := false
			o := options(nil)
			o.Open = func(_ context.Context, c Choice) (flow.Walker, func() error, error) {
				got = c
				return newFake(probing()), func() error { closed = true; return nil }, nil
			}
			d := newDriver(t, o, 80, 40).keys(tc.keys...)
			if got != tc.want {
				t.Errorf("opened %+v, want %+v", got, tc.want)
			}
			d.want("Does a hello leave the client?")
			d.keys("esc").want("What do you see?")
			if !closed {
				t.Error("the case was left open")
			}
		})
	}
}

func TestStartRefuses(t *testing.T) {
	o := options(nil)
	o.Open = func(context.Context, Choice) (flow.Walker, func() error, error) {
		return nil, nil, errors.New("build practice world: no free address")
	}
	d := newDriver(t, o, 80, 24).keys("enter")
	d.want("build practice world: no free address")
	d.keys("p", "down", "down", "down", "enter").want("it needs root and nft")
	d.keys("down", "enter").want("no free address")
}

// TestQuit quits by q from every page without a text field, and by ctrl+c from every page.
func TestQuit(t *testing.T) {
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			d := s.open(t, 80, 24, nil)
			typing := d.m.top().Typing() || d.m.to != nil
			if !quits(d, "ctrl+c") {
				t.Error("ctrl+c does not quit")
			}
			if quits(d, "q") == typing {
				t.Errorf("q: quits %v in a page with text field %v", !typing, typing)
			}
		})
	}
}

func quits(d *driver, key string) bool {
	_, cmd := d.m.Update(keyOf(key))
	return cmd != nil && reflect.TypeOf(cmd()).Name() == "QuitMsg"
}

// TestGoto goes to every page that can be named, and says when there is none.
func TestGoto(t *testing.T) {
	for _, p := range places {
		if p.name == "start" || p.name == "open" || p.name == "tools" { // tools is the one that was shown last
			continue
		}
		d := newDriver(t, options(newFake(split())), 80, 24)
		d.keys(":", "type:"+p.name, "enter")
		if got := d.m.top().Name(); got != p.name {
			t.Errorf(":%s leads to %s", p.name, got)
		}
	}
	d := newDriver(t, options(nil), 80, 24)
	d.keys(":", "type:verdict", "enter").want("no case is open")
	d.keys(":", "type:nonsense", "enter").want("there is no page")
	d.keys(":", "type:explain rc-x", "enter").want("rc-x")
}

// TestCopy says what was copied, and sends it to the terminal.
func TestCopy(t *testing.T) {
	d := newDriver(t, options(newFake(split())), 80, 24)
	var out strings.Builder
	d.m.clip.Out = &out
	d.keys("y").want("copied: the verdict")
	if !strings.HasPrefix(out.String(), "\x1b]52;c;") {
		t.Errorf("sent %q", out.String())
	}
	d.keys("down")
	if strings.Contains(d.frame(), "copied") {
		t.Error("the note stays after the next key")
	}
}

// TestHelpNamesFooter checks that every key of a footer stands on the key page of its page.
func TestHelpNamesFooter(t *testing.T) {
	for _, s := range scenes() {
		d := s.open(t, 120, 60, nil)
		if d.m.top().Typing() || d.m.to != nil || d.m.top().Name() == "help" {
			continue
		}
		hints := d.m.top().Hints()
		d.keys("?")
		for _, h := range hints {
			if _, help := d.m.env.Keys.Line(h); !strings.Contains(d.frame(), strings.Fields(help)[0]) {
				t.Errorf("%s: the key page lacks %s", s.name, h.Action)
			}
		}
	}
}

// TestHostile feeds control characters through every text of a snapshot: none reaches a frame.
func TestHostile(t *testing.T) {
	evil := "x\x1b]0;own\x07\x1b[2J\r\n\x9b31m\u202ey"
	for _, make := range []func() flow.Snapshot{probing, func() flow.Snapshot { return asking(passwordQuestion()) }, split, rechecking, planned, practice, green} {
		s := make()
		poison(reflect.ValueOf(&s).Elem(), evil)
		clean := page.Clean(s)
		isClean(t, reflect.ValueOf(clean), "snapshot")
		for _, size := range [][2]int{{80, 24}, {200, 50}, {60, 15}} {
			f := newFake(s)
			d := newDriver(t, options(f), size[0], size[1])
			for _, k := range []string{"", "e", "tab", "esc", "l", "esc", "v", "esc", "tab", "p", "?"} {
				if k != "" {
					d.keys(k)
				}
				if fr := d.frame(); strings.ContainsAny(fr, "\x1b\x07\r\u202e\u009b") {
					t.Fatalf("a control character reached the frame %q", fr)
				}
				d.fits()
			}
		}
	}
}

// poison appends text to every string of a value.
func poison(v reflect.Value, evil string) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() && v.Type() != reflect.TypeFor[diag.Confidence]() {
			v.SetString(v.String() + evil)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				poison(v.Field(i), evil)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			poison(v.Index(i), evil)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			poison(v.Elem(), evil)
		}
	case reflect.Interface:
		if s, ok := v.Interface().(string); ok && v.CanSet() {
			v.Set(reflect.ValueOf(s + evil))
		}
	}
}

// isClean finds control characters that Clean left in what a page may draw.
func isClean(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		if strings.HasSuffix(path, "Question.ID") {
			return // goes back as it came; drawn through Clean
		}
		if strings.ContainsAny(v.String(), "\x1b\x07\r\n\u202e") {
			t.Errorf("%s: %q", path, v.String())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.IsExported() && f.Type.Kind() != reflect.Func && path != "question.Options" {
				isClean(t, v.Field(i), path+"."+f.Name)
			}
		}
	case reflect.Slice, reflect.Array:
		if v.Type() == reflect.TypeFor[[]string]() && strings.HasSuffix(path, ".Gives") {
			return
		}
		for i := range v.Len() {
			isClean(t, v.Index(i), path)
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			isClean(t, v.Elem(), path)
		}
	}
}

// TestFirst shows the road while the first case is being opened, and ends with the error of one
// that cannot be.
func TestFirst(t *testing.T) {
	o := options(nil)
	o.First = &Choice{Kind: Practice, ID: "rc-pps-mismatch"}
	var got Choice
	o.Open = func(_ context.Context, c Choice) (flow.Walker, func() error, error) {
		got = c
		return newFake(practice()), nil, nil
	}
	m, err := newModel(t.Context(), &o)
	if err != nil {
		t.Fatal(err)
	}
	m.follow = func(*feed) tea.Cmd { return nil }
	d := &driver{t: t, m: m}
	d.send(tea.WindowSizeMsg{Width: 80, Height: 24})
	d.want("building the practice world", "firmware   wire", "practice")
	d.keys("e", "s", "esc", "v", "tab", "tab", "r", "?", "esc")
	d.run(m.Init())
	d.want("Does a hello leave the client?")
	if got != *o.First {
		t.Errorf("opened %+v", got)
	}

	o.Open = func(context.Context, Choice) (flow.Walker, func() error, error) {
		return nil, nil, errors.New("needs root")
	}
	d = newDriver(t, o, 80, 24)
	if d.m.failed == nil || !d.quit {
		t.Errorf("failed %v, quit %v", d.m.failed, d.quit)
	}
}

// TestLeftWhileApplied says what came of a repair whose page was left.
func TestLeftWhileApplied(t *testing.T) {
	d := newDriver(t, options(newFake(split())), 80, 24)
	d.send(acted{outcome: page.Applied{Remedy: "rm-restart-hello", Done: "the hello\x1b[2J came"}})
	d.want("done: the hello came")
	d.send(acted{outcome: page.Applied{Remedy: "rm-restart-hello", Err: errors.New("ask the client: no answer")}})
	d.want("not done: ask the client: no answer")
	if got := d.m.parting(); got != "rc-dns-split-horizon: The client asks a DNS server that does not know ProvisionServer (case PC-0412)\n" {
		t.Errorf("parting line %q", got)
	}
}

// TestMouse chooses rows by clicking and moves by the wheel.
func TestMouse(t *testing.T) {
	click := func(d *driver, what string) {
		t.Helper()
		d.frame()
		for y, l := range strings.Split(d.frame(), "\n") {
			if strings.Contains(l, what) {
				d.send(tea.MouseMsg{X: 5, Y: y, Button: tea.MouseButtonLeft, Action: tea.MouseActionPress})
				d.send(tea.MouseMsg{X: 5, Y: y, Button: tea.MouseButtonLeft, Action: tea.MouseActionRelease})
				return
			}
		}
		t.Fatalf("nothing to click: %s\n%s", what, d.frame())
	}
	var got Choice
	o := options(nil)
	o.Open = func(_ context.Context, c Choice) (flow.Walker, func() error, error) {
		got = c
		return newFake(asking(passwordQuestion()), split()), nil, nil
	}
	d := newDriver(t, o, 80, 24)
	click(d, "Practice: break")
	click(d, "Practice: break")
	d.want("What shall be broken?")
	click(d, "rc-pps-mismatch")
	if got.ID != "" {
		t.Error("one click opens a case")
	}
	click(d, "rc-pps-mismatch")
	if got.ID != "rc-pps-mismatch" {
		t.Errorf("opened %+v", got)
	}
	click(d, "neither is accepted")
	d.want("▸ 3  neither is accepted")
	click(d, "neither is accepted")
	d.want("What to do")
	click(d, "Restart the hello")
	d.want("▸ 3  Restart the hello")
	d.send(tea.MouseMsg{Button: tea.MouseButtonWheelUp, Action: tea.MouseActionPress})
	d.want("▸ 1  Add the CNAME")
	click(d, "Restart the hello")
	click(d, "Restart the hello")
	d.want("remedy 3 of 4")
	for y := range 24 {
		d.send(tea.MouseMsg{X: 1, Y: y, Button: tea.MouseButtonLeft, Action: tea.MouseActionPress})
	}
}

// TestSearch goes from one line that fits to the next on every page with long lists or texts; all
// other lines stay, and the filter is another key.
func TestSearch(t *testing.T) {
	d := newDriver(t, options(newFake(split())), 80, 24)
	d.keys("e", "tab", "f", "type:server").want("search: server", "1 of", "6 shown")
	first := d.frame()
	d.keys("enter", "n").want("2 of", "6 shown", "n next   N previous")
	if d.frame() == first {
		t.Error("next does not move")
	}
	d.keys("N").want("1 of")
	d.keys("esc").want("All facts")
	if strings.Contains(d.frame(), "search:") {
		t.Error("esc leaves the search there")
	}
	d.keys("f", "type:nothing of the kind").want("nothing fits", "6 shown")
	d.keys("esc", "l", "f", "type:nxdomain", "enter").want("search: nxdomain  1 of 1", "3.2.1")
	d.keys("esc", "esc", ":", "type:explain rc-x", "enter", "f", "type:line", "enter").want("search: line")
	before := d.frame()
	for range 25 {
		d.keys("n")
		d.fits()
	}
	if d.frame() == before {
		t.Error("the text does not move to what is found")
	}
	d.keys("q")
	if !d.quit {
		t.Error("q does not quit while a search holds")
	}
}
