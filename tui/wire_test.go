package tui

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/capture"
	"amtmedic/diag"
	"amtmedic/diag/wire"
	"amtmedic/tui/page"
	wirepage "amtmedic/tui/page/wire"
)

// onWire opens the page of a case with packets.
func onWire(t *testing.T, log *wire.Log, w, h int, keys ...string) *driver {
	t.Helper()
	o := options(nil)
	o.Walker = wiredFake{wiredCase(), log}
	d := newDriver(t, o, w, h)
	return d.keys("w").keys(keys...)
}

// bring hands the page what the log has.
func (d *driver) bring(log *wire.Log) {
	d.t.Helper()
	p, ok := d.m.top().(*wirepage.Page)
	if !ok {
		d.t.Fatalf("the top page is %s", d.m.top().Name())
	}
	d.send(packets{d.m.feed, p, log.Since(0)})
}

// live is a log to which packets can be added.
type live struct {
	t   *testing.T
	log *wire.Log
	p   *played
	n   int
}

func newLive(t *testing.T, s *script) *live {
	tap, p := playedTap(diag.AtClient, "eth0", s, true)
	x := &live{t: t, p: p, log: wire.New(tap)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		x.log.Run(t.Context())
	}()
	t.Cleanup(func() { <-done })
	x.log.Want()
	<-p.over
	return x
}

// attempt adds a SYN of another client, and waits until its line is there.
func (x *live) attempt(at time.Duration) {
	x.t.Helper()
	x.n++
	s := &script{}
	s.tcp(at, fmt.Sprintf("10.20.1.%d:16994", x.n), "10.1.0.10:9971", capture.SYN, 9000, 0, nil)
	before := len(x.log.Since(0).Lines)
	x.p.more <- s.frames[0]
	for end := time.Now().Add(30 * time.Second); len(x.log.Since(0).Lines) == before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			x.t.Fatal("the line of an attempt never came")
		}
	}
}

// pointed is the line with the mark of the selection.
func (d *driver) pointed() string {
	for l := range strings.SplitSeq(d.frame(), "\n") {
		if strings.HasPrefix(l, "▸") {
			return l
		}
	}
	return ""
}

// The newest line is followed until the cursor goes up; from then on what is looked at stays where it
// is, also when a line comes that belongs before it.
func TestWireFollowsAndHolds(t *testing.T) {
	x := newLive(t, clientScript())
	d := onWire(t, x.log, 80, 24)
	d.want("following", "▸ 10:04:30")
	x.attempt(2 * time.Minute)
	d.bring(x.log)
	if !strings.Contains(d.pointed(), "10.20.1.1") {
		t.Errorf("the newest line is not followed: %q", d.pointed())
	}
	d.keys("up", "up", "up", "up")
	d.want("held")
	selected, above := d.pointed(), strings.Split(d.frame(), "\n")[5]
	for i := range 30 {
		x.attempt(time.Duration(130+i) * time.Second)
		d.bring(x.log)
	}
	if d.pointed() != selected || strings.Split(d.frame(), "\n")[5] != above {
		t.Errorf("the lines moved:\n%s", d.frame())
	}
	x.attempt(-10 * time.Minute) // older than everything that is shown
	x.attempt(-11 * time.Minute)
	d.bring(x.log)
	if d.pointed() != selected || strings.Split(d.frame(), "\n")[5] != above {
		t.Errorf("older lines moved what is shown:\n%s", d.frame())
	}
	d.keys("end")
	d.want("following")
	d.keys("home")
	d.want("09:52:00")
	d.fits()
}

// A SYN's line changes in its place.
func TestWireAttemptGrowsOnTheScreen(t *testing.T) {
	x := newLive(t, &script{})
	d := onWire(t, x.log, 80, 24)
	d.want("Nothing was seen yet")
	x.attempt(0)
	d.bring(x.log)
	d.want("SYN, no answer")
	s := &script{}
	s.tcp(time.Second, "10.1.0.10:9971", "10.20.1.1:16994", capture.RST|capture.ACK, 0, 9001, nil)
	x.p.more <- s.frames[0]
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end) && !strings.Contains(d.frame(), "refused"); time.Sleep(time.Millisecond) {
		d.bring(x.log)
	}
	d.want("SYN, refused by 10.1.0.10")
	if n := strings.Count(d.frame(), "SYN"); n != 1 {
		t.Errorf("one attempt has %d lines", n)
	}
}

// While frozen the lines stand still, what comes is counted, and all of it is there afterwards.
func TestWireFreeze(t *testing.T) {
	x := newLive(t, clientScript())
	d := onWire(t, x.log, 80, 24, " ")
	d.want("frozen", "space go on")
	before := d.frame()
	for i := range 7 {
		x.attempt(time.Duration(200+i) * time.Second)
	}
	d.bring(x.log)
	d.want("frozen, 7 more")
	rest := func(f string) string { return f[strings.IndexByte(f, '\n'):] }
	if rest(d.frame()) != rest(before) {
		t.Errorf("the lines moved while frozen:\n%s", d.frame())
	}
	d.keys(" ")
	d.want("following", "10.20.1.7")
	if f := d.frame(); strings.Contains(f, "frozen") || strings.Count(f, "10.20.1.") < 7 {
		t.Errorf("something is missing:\n%s", f)
	}
}

// The filter takes addresses, kinds, PIDs and UUIDs, in any case, and esc clears it.
func TestWireFilter(t *testing.T) {
	for filter, want := range map[string]int{"4KRG65QT": 1, "4krg psk": 1, "10.20.0.9": 3, "refused": 1, "dhcp": 1, "4c4c4544-0058": 1, "back alert": 1, "hello": 2, "nothing like it": 0} {
		d := onWire(t, recordedLog(), 80, 24, "/", "type:"+filter)
		d.want(fmt.Sprintf("%d of 12", want))
		d.fits()
		if want == 0 {
			d.want("Nothing fits the filter. esc clears it.")
		}
		d.keys("enter")
		if d.m.top().Typing() {
			t.Error("enter does not keep the filter")
		}
		d.keys("esc")
		d.want("DHCP lease")
	}
	// Backspace widens it again, and the selection stays on its line.
	d := onWire(t, recordedLog(), 80, 24, "/", "type:psk", "backspace", "backspace", "backspace")
	d.want("12 of 12")
	if !strings.Contains(d.pointed(), "HELLO psk") {
		t.Errorf("the selection is on %q", d.pointed())
	}
}

// Fields and bytes mark each other.
func TestWireFieldsAndBytes(t *testing.T) {
	d := onWire(t, recordedLog(), 120, 24, "N", "enter")
	d.want("▸ admin set", "▐01 00▌02")
	d.keys("down", "down", "down", "down")
	d.want("▸ PID", "▐34 4b 52 47 36 35 51 54▌", "in the map")
	d.keys("tab", "left")
	d.want("▸ UUID", "5a▐31▌")
	d.keys("up", "up")
	d.want("▸ retry count", "00▐00▌")
	d.keys("home")
	d.want("▸ admin set", "▐01▌00")
	d.keys("esc", "down")
	d.want("End  packet")
	d.keys("enter", "tab") // no bytes in an end
	d.want("▸ ended by")
}

// A problem of a hello points at its byte.
func TestWireProblemsHaveAPlace(t *testing.T) {
	d := onWire(t, recordedLog(), 120, 30, "v", "n", "n", "enter")
	d.want("at the server", "! problem", "byte 0: the admin")
	for range 6 {
		d.keys("down")
	}
	d.want("▸ ! problem", "▐09 00▌")
	d.keys("down")
	d.want("▐21▌")
}

func TestWireVantage(t *testing.T) {
	d := onWire(t, recordedLog(), 120, 24)
	d.want("at the client", "26 packets", "recorded")
	d.keys("v")
	d.want("at the server", "12 packets", "10.20.0.11")
	d.keys("v")
	d.want("both sides", "38 packets", "seen at")
	d.keys("v")
	d.want("at the client")
	one := onWire(t, newLive(t, clientScript()).log, 80, 24, "v")
	one.want("there is a capture of the client only")
}

// n goes from hello to hello, around the end.
func TestWireNextHello(t *testing.T) {
	d := onWire(t, recordedLog(), 80, 24)
	d.keys("home", "n")
	if !strings.Contains(d.pointed(), "HELLO psk") {
		t.Error(d.pointed())
	}
	d.keys("n")
	if !strings.Contains(d.pointed(), "HELLO pki") {
		t.Error(d.pointed())
	}
	d.keys("n")
	if !strings.Contains(d.pointed(), "HELLO psk") {
		t.Error("not around the end:", d.pointed())
	}
	d.keys("N")
	if !strings.Contains(d.pointed(), "HELLO pki") {
		t.Error("not around the beginning:", d.pointed())
	}
}

// s asks for a path, writes once, and never over a file.
func TestWireSave(t *testing.T) {
	t.Chdir(t.TempDir())
	d := onWire(t, recordedLog(), 80, 24, "N", "s")
	d.want("save packets of 10.20.0.7 as PC-0412-10.20.0.7.pcapng", "enter save", "esc save nothing")
	d.keys("enter")
	d.want("packets saved: ")
	const name = "PC-0412-10.20.0.7.pcapng"
	fi, err := os.Stat(name)
	if err != nil || fi.Size() == 0 || os.PathSeparator == '/' && fi.Mode() != 0o600 {
		t.Fatalf("%v, %v", fi, err)
	}
	d.keys("s", "enter")
	d.want("! record packets")
	d.keys("type:x", "esc", "s")
	d.want("save packets of")
	d.keys("esc")
	if d.m.top().Typing() {
		t.Error("esc does not leave the path")
	}
	if after, err := os.Stat(name); err != nil || after.Size() != fi.Size() {
		t.Errorf("the file has changed: %v", err)
	}
	d.keys("s", "type:/no/such", "enter")
	d.want("! record packets")
	if _, err := os.Stat(filepath.Join("no", "such")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a folder was made")
	}
	empty := newDriver(t, options(wiredCase()), 80, 24)
	empty.keys("w", "s").want("there is nothing to save yet")
}

// What is copied is the line, or the hello in hex; hidden names stay hidden in both.
func TestWireCopy(t *testing.T) {
	var out bytes.Buffer
	copied := func(d *driver, keys ...string) string {
		out.Reset()
		d.m.clip.Out = &out
		d.keys(keys...)
		m := regexp.MustCompile(`52;c;([^\a\x1b]+)`).FindStringSubmatch(out.String())
		if m == nil {
			t.Fatalf("nothing was copied: %q", out.String())
		}
		b, err := base64.StdEncoding.DecodeString(m[1])
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	d := onWire(t, recordedLog(), 80, 24, "N")
	if got := copied(d, "y"); got != "10:03:09.134  client  10.20.0.7:16994 → 10.1.0.10:9971  HELLO psk 4KRG65QT, retry 2  "+uuid+"  packet 12 of client.pcapng" {
		t.Errorf("copied %q", got)
	}
	const hex = "01 00 02 00 02 00 00 00 44 45 4c 4c 58 00 10 39 80 59 b7 c0 4f 4b 5a 31 34 4b 52 47 36 35 51 54"
	if got := copied(d, "enter", "y"); got != hex {
		t.Errorf("copied %q", got)
	}
	d.keys("H")
	if got := copied(d, "y"); strings.Contains(got, "44 45 4c") || !strings.HasPrefix(got, "01 00 02 00 02 00 00 00 ..") || !strings.HasSuffix(got, "34 4b 52 47 36 35 51 54") {
		t.Errorf("copied with names hidden %q", got)
	}
	if got := copied(d, "esc", "y"); strings.Contains(got, uuid) || strings.Contains(got, "10.20.0") {
		t.Errorf("copied with names hidden %q", got)
	}
	if got := copied(d, "down", "enter", "y"); !strings.Contains(got, "ended by: ") {
		t.Errorf("copied %q", got)
	}
}

// With names hidden no page of the wire shows an address or the UUID, in letters or bytes.
func TestWirePrivacy(t *testing.T) {
	secret := regexp.MustCompile(`10\.20\.|10\.1\.0|4c4c4544|11111111|44 45 4c|80 59 b7`)
	for _, size := range [][2]int{{60, 15}, {80, 24}, {120, 24}, {200, 50}} {
		d := onWire(t, recordedLog(), size[0], size[1])
		if !secret.MatchString(d.frame()) {
			t.Fatal("there is nothing to hide")
		}
		for _, keys := range [][]string{{"H"}, {"N"}, {"enter"}, {"down", "down", "down"}, {"tab"}, {"right"}, {"esc"}, {"v"}, {"v"}, {"/", "type:ip-"}, {"enter"}, {"s"}} {
			d.keys(keys...)
			d.fits()
			if m := secret.FindString(d.frame()); m != "" {
				t.Errorf("%v after %v: %q:\n%s", size, keys, m, d.frame())
			}
		}
		d.want("save packets of ip-")
	}
}

// The filter looks through what is shown: with names hidden a pseudonym finds its lines, a real
// address none.
func TestWireFilterSeesWhatIsShown(t *testing.T) {
	d := onWire(t, recordedLog(), 80, 24, "/", "type:10.20.0.9", "enter")
	d.want("3 of 12")
	d.keys("H").want("0 of 12", "Nothing fits the filter")
	d.keys("H").want("3 of 12")
	d.keys("H", "esc")
	d.keys("/", "type:"+d.m.hide("10.20.0.9")).want("3 of 12")
}

// Keys lead to the page and back from every page that offers it.
func TestWireFromEveryPage(t *testing.T) {
	for _, first := range [][]string{{"esc"}, {}, {"e"}, {"l"}} {
		o := options(nil)
		o.Walker = wiredFake{wiredCase(), recordedLog()}
		d := newDriver(t, o, 80, 24)
		d.keys(first...)
		from := d.m.top().Name()
		for _, back := range []string{"w", "esc"} {
			d.keys("w")
			if d.m.top().Name() != "wire" {
				t.Errorf("w does not lead from %s to the wire", from)
			}
			d.keys(back)
			if d.m.top().Name() != from {
				t.Errorf("%s leads back to %s, not to %s", back, d.m.top().Name(), from)
			}
		}
		d.keys(":", "type:wire", "enter")
		if d.m.top().Name() != "wire" {
			t.Errorf(":wire does not lead from %s to the wire", from)
		}
	}
}

// The mouse selects lines, fields and bytes; the wheel scrolls.
func TestWireMouse(t *testing.T) {
	d := onWire(t, recordedLog(), 120, 24)
	click := func(text string, dx int) {
		t.Helper()
		for y, l := range strings.Split(d.frame(), "\n") {
			if at := strings.Index(l, text); at >= 0 {
				d.send(tea.MouseMsg{X: len([]rune(l[:at])) + dx, Y: y, Action: tea.MouseActionPress, Button: tea.MouseButtonLeft})
				return
			}
		}
		t.Fatalf("no %q:\n%s", text, d.frame())
	}
	click("HELLO psk", 0)
	if !strings.Contains(d.pointed(), "HELLO psk") {
		t.Error(d.pointed())
	}
	click("PID   ", 0)
	d.want("▸ PID", "▐34 4b")
	click("4c 4c 58", 1)
	d.want("▸ UUID", "▐4c▌4c 58")
	click("DHCP lease", 0)
	d.want("DHCP  packet 1")
	d.send(tea.MouseMsg{Button: tea.MouseButtonWheelDown, Action: tea.MouseActionPress})
	if !strings.Contains(d.pointed(), "SYN, refused") {
		t.Errorf("the wheel leads to %q", d.pointed())
	}
	n := onWire(t, recordedLog(), 80, 24)
	for y, l := range strings.Split(n.frame(), "\n") {
		if strings.Contains(l, "HELLO psk") {
			for range 2 { // select, then take apart
				n.send(tea.MouseMsg{X: 20, Y: y, Action: tea.MouseActionPress, Button: tea.MouseButtonLeft})
			}
			break
		}
	}
	n.want("▸ admin set")
}

// ears is a walk that can listen besides.
type ears struct {
	wiredFake
	began, ended chan struct{}
	err          error
}

func (e ears) Listen(ctx context.Context) error {
	if e.err != nil {
		return e.err
	}
	close(e.began)
	<-ctx.Done()
	close(e.ended)
	return nil
}

// r lets the case listen besides the walk, and ends that; where it cannot, it says so.
func TestWireListens(t *testing.T) {
	e := ears{wiredFake: wiredFake{wiredCase(), recordedLog()}, began: make(chan struct{}), ended: make(chan struct{})}
	o := options(nil)
	o.Walker = e
	d := newDriver(t, o, 80, 24)
	d.keys("w")
	_, cmd := d.m.Update(page.Listen{}) // as r sends it; the driver would wait for its end
	done := make(chan tea.Msg, 1)
	go func() { done <- cmd() }()
	<-e.began
	d.want("listening; r ends it")
	d.keys("r")
	<-e.ended
	d.send(<-done)
	d.want("the listening has ended")
	e.err = errors.New("the right to capture packets is missing")
	d.m.feed.w = e
	d.keys("r").want("not done: the right to capture packets is missing")
	onWire(t, recordedLog(), 80, 24, "r").want("only a walk of a real client listens")
	onWire(t, liveLog(), 80, 24, "r").want("the walk listens already")
}

// A source that cannot be read says why, and the page of another case gets nothing.
func TestWireSays(t *testing.T) {
	log := wire.New(wire.Tap{Side: diag.AtClient, Name: "gone.pcapng", Open: func(bool) (capture.Source, error) { return nil, errors.New("read capture: gone.pcapng: no such file") }})
	go log.Run(t.Context())
	log.Want()
	for end := time.Now().Add(30 * time.Second); !log.Since(0).Sources[0].Read && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	d := onWire(t, log, 80, 24)
	d.want("read capture: gone.pcapng: no such file")
	p := d.m.top().(*wirepage.Page)
	if cmd := d.m.packets(packets{newFeed(t.Context(), wiredCase(), nil), p, recordedLog().Since(0)}); cmd != nil || strings.Contains(d.frame(), "HELLO") {
		t.Error("packets of another case are shown")
	}
}
