package tools

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/cert"
	"amtmedic/amt/discover"
	"amtmedic/amt/store"
	"amtmedic/amt/store/storetest"
)

// firmware answers on a port of its own as the web server of AMT does.
func firmware(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_ = c.SetDeadline(time.Now().Add(10 * time.Second))
				_, _ = bufio.NewReader(c).ReadString('\n')
				_, _ = c.Write([]byte("HTTP/1.1 303 See Other\r\nServer: Intel(R) Active Management Technology 3.2.1\r\n\r\n"))
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func TestDiscover(t *testing.T) {
	port := firmware(t)
	w := &World{Discover: discover.Options{Timeout: 5 * time.Second, Ports: discover.Ports{Plain: port, TLS: 1, Ping: 1}}}
	d := drive(t, "discover", w)
	d.choose("Look through").keys("type:10.0.0.0/33", "enter").want("! ").keys("ctrl+u", "type:127.0.0.1", "enter")
	d.want("✓ 1 host asked, 1 with AMT", "3.2.1", "127.0.0.1").fits()
	path := filepath.Join(d.dir, "hosts.csv")
	d.choose("Save what was found").keys("type:"+path, "enter").want("1 host of 127.0.0.1", "Type yes").keys("type:yes", "enter").want("✓ 1 host written")
	b, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(b), strings.Join(discover.CSVHeader(), ",")+"\n127.0.0.1,3.2.1,") {
		t.Errorf("the file holds %q, %v", b, err)
	}
	d.choose("Save what was found").keys("type:"+path, "enter").want("it exists already").keys("esc")
}

// A scan that is stopped shows how far it came.
func TestDiscoverStopped(t *testing.T) {
	w := &World{Discover: discover.Options{Rate: 1, Timeout: time.Second, Ports: discover.Ports{Plain: 1, TLS: 1, Ping: 1}}}
	d := drive(t, "discover", w)
	d.choose("Look through")
	d.p.ask.in.Set("127.0.3.0/24")
	a := d.p.ask
	cmd := a.start("127.0.3.0/24")
	d.want("◐ ").keys("esc").want("stopping")
	d.run(cmd)
	if d.p.ask != nil {
		t.Errorf("the scan goes on:\n%s", d.frame())
	}
}

func TestImportNames(t *testing.T) {
	d := drive(t, "discover", nil)
	u := storetest.UUID(3)
	path := d.file("names.csv", store.MapHeader+"\n"+u.String()+",other.corp.example,\nnonsense,x\n")
	d.choose("Import names").keys("type:"+path, "enter").want("no provisioning core here", "start amtmedic with --db").keys("esc")
	db := filepath.Join(d.dir, "core.db")
	if err := storetest.Fill(t.Context(), db, 10); err != nil {
		t.Fatal(err)
	}
	use := func(ctx context.Context, do func(context.Context, *store.Store) error) error {
		st, err := store.Open(ctx, db, store.Options{})
		if err != nil {
			return err
		}
		return errors.Join(do(ctx, st), st.Close())
	}
	d.p.world.Read, d.p.world.Change, d.p.world.Database = use, use, "core.db"
	d.p.SetSize(120, 40)
	d.choose("Import names").keys("type:"+path, "enter").want("core.db", "other.corp.example instead of", "left out", "line 3", "Type yes").fits()
	d.p.SetSize(120, 40)
	d.keys("type:yes", "enter").want("✓ 1 name imported, 0 conflicts")
	if err := use(t.Context(), func(ctx context.Context, st *store.Store) error {
		r, ok, err := st.MapRow(ctx, u)
		if err != nil || !ok || r.FQDN != "other.corp.example" {
			t.Errorf("%+v %v", r, ok)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// This computer: with an ME, and honest without one.
func TestThisPC(t *testing.T) {
	d := drive(t, "thispc", nil)
	d.choose("Look at this").want("it cannot be done here").keys("esc")
	d.p.world.Here = func(context.Context) (Here, error) {
		return Here{FQDN: "pc-1.corp.example", Hint: "is the driver mei_me loaded?", Fields: [][2]string{{"name", "pc-1.corp.example"}}}, errors.New("there is no Management Engine")
	}
	d.choose("Look at this").want("? the Management Engine tells nothing: there is no Management Engine", "what to do    is the driver", "pc-1.corp.example").lacks("Save its row").fits()
	u := storetest.UUID(1).String()
	d.p.world.Here = func(context.Context) (Here, error) {
		return Here{FQDN: "pc-1.corp.example", UUID: u, Fields: [][2]string{{"UUID", u}, {"AMT version", "3.2.1"}, {"state", ""}}, Notes: []amt.Problem{amt.In("mode", "password", "mode 2 or 3")}}, nil
	}
	d.choose("Look at this").want("✓ this computer has a Management Engine", u, "3.2.1", "mode 2 or 3").lacks(" state ").fits()
	path := filepath.Join(d.dir, "row.csv")
	d.choose("Save its row").keys("type:"+path, "enter", "type:yes", "enter").want("✓ written")
	b, _ := os.ReadFile(path)
	if rows, problems, err := store.ReadMap(b); err != nil || len(problems) > 0 || len(rows) != 1 || rows[0].FQDN != "pc-1.corp.example" {
		t.Errorf("%v %v %v", rows, problems, err)
	}
	d.choose("Import its row").want("no provisioning core here").keys("esc").want("Import its row")
}

func TestCertificate(t *testing.T) {
	d := drive(t, "certificate", nil)
	made, err := cert.Make(cert.Spec{Suffix: "corp.example", Now: d.p.world.Now()})
	if err != nil {
		t.Fatal(err)
	}
	pem, err := made.ServerPEM()
	if err != nil {
		t.Fatal(err)
	}
	path := d.file("server.pem", string(pem))
	d.choose("Check a prov").keys("type:"+path, "enter").want("domain of the client").keys("type:corp.example", "enter").want("✓ sound", "subject", "root SHA256"[:4]).fits()
	d.choose("Check a prov").keys("type:"+path, "enter", "type:other.example", "enter").want("! unfit")
	d.choose("Check a prov").keys("type:"+d.file("no.pem", "nothing"), "enter").want("give a PEM file").keys("esc")
	if strings.Contains(d.frame(), "PRIVATE") {
		t.Error("a private key is shown")
	}
}
