package lme_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/apf"
	"amtmedic/amt/sim/lme"
)

// mpsScript runs MeshCentral's management presence server, which has the PC's part in the same protocol:
// it grants services, takes offers of ports and opens channels. It sends 200,000 bytes through one and
// wants them back, closes it, and opens another that must be refused.
const mpsScript = `
const mesh = process.argv[2], net = require('net');
const parent = {
  debug: (s, ...a) => console.log('debug', s, ...a), authLog: () => {}, updateServerState: () => {}, config: { domains: {} },
  webserver: { meshes: { 'mesh//x': {} }, trafficStats: { CIRAIn: 0, CIRAOut: 0 } }, SetConnectivityState: () => {}, ClearConnectivityState: () => {},
  decodeCookie: p => p == 'cookie' ? { a: 'apf', n: 'node//x', m: 'mesh//x' } : null };
const free = net.createServer().listen(0, '127.0.0.1', () => { const port = free.address().port; free.close(() => {
  const mps = require(mesh + '/mpsserver.js').CreateMpsServer(parent, {}, { mpsport: port, mpsportbind: '127.0.0.1', mpstlsoffload: true }, { AmtMpsName: 'x' });
  mps.server.on('listening', () => console.log('PORT ' + port));
  const wait = setInterval(() => {
    const c = (mps.ciraConnections['node//x'] || [])[0];
    if (!c || c.tag.boundPorts.length < 2) return;
    clearInterval(wait);
    c.tag.host = '127.0.0.1';
    const sent = Buffer.alloc(200000, 'MeshCentral speaks to AMT. '), got = [];
    let n = 0;
    const ch = mps.SetupChannel(c, 16992);
    ch.onStateChange = (x, state) => { console.log('STATE ' + state); if (state == 2) ch.write(sent); if (state == 0) refused(mps, c); };
    ch.onData = (x, d) => { d = Buffer.from(d, 'binary'); got.push(d); n += d.length; if (n >= sent.length) { console.log('ECHO ' + Buffer.concat(got).equals(sent)); ch.close(); } };
  }, 10);
}); });
function refused(mps, c) {
  const ch = mps.SetupChannel(c, 16993);
  ch.onStateChange = (x, state) => { console.log('REFUSED ' + state); };
}
`

// TestMeshCentralAtTheFirmware: what this firmware says and expects is what a program of others says and
// expects on the PC's part.
func TestMeshCentralAtTheFirmware(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") != "1" {
		t.Skip("a long test: AMTMEDIC_LONG=1")
	}
	dir := os.Getenv("AMTMEDIC_MESHCENTRAL")
	if _, err := exec.LookPath("node"); err != nil || dir == "none" || dir == "" {
		if os.Getenv("CI") != "" && dir != "none" {
			t.Fatal("node and AMTMEDIC_MESHCENTRAL, a folder with npm's meshcentral@1.1.55, are missing")
		}
		t.Skip("needs node and AMTMEDIC_MESHCENTRAL, a folder with npm's meshcentral@1.1.55")
	}
	script := filepath.Join(t.TempDir(), "mps.js")
	if err := os.WriteFile(script, []byte(mpsScript), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", script, filepath.Join(dir, "node_modules", "meshcentral"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	var told strings.Builder
	lines := make(chan string)
	go func() {
		defer close(lines)
		b := make([]byte, 1)
		var line []byte
		for {
			if _, err := out.Read(b); err != nil {
				return
			}
			if b[0] != '\n' {
				line = append(line, b[0])
				continue
			}
			lines <- string(line)
			line = nil
		}
	}()
	until := func(prefix string) string {
		for {
			select {
			case l, ok := <-lines:
				told.WriteString(l + "\n")
				if !ok {
					t.Fatalf("MeshCentral ended before %s:\n%s", prefix, told.String())
				}
				if rest, found := strings.CutPrefix(l, prefix); found {
					return rest
				}
			case <-ctx.Done():
				t.Fatalf("MeshCentral does not say %s:\n%s", prefix, told.String())
			}
		}
	}
	conn, err := net.Dial("tcp", "127.0.0.1:"+until("PORT "))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	carry(t, ctx, conn)
	if s := until("STATE "); s != "2" {
		t.Errorf("the channel is in state %s", s)
	}
	if s := until("ECHO "); s != "true" {
		t.Errorf("the bytes came back as others: %s", told.String())
	}
	if s := until("REFUSED "); s != "0" {
		t.Errorf("the other channel is in state %s", s)
	}
	for _, want := range []string{"--> PROTOCOLVERSION 1 0", "--> GLOBAL_REQUEST tcpip-forward", "--> CHANNEL_OPEN_CONFIRMATION", "--> CHANNEL_WINDOW_ADJUST", "--> CHANNEL_OPEN_FAILURE"} {
		if !strings.Contains(told.String(), want) {
			t.Errorf("MeshCentral did not read %q", want)
		}
	}
}

// carry joins a simulated firmware with a stream: whole messages on the one side, bytes on the other.
// The log-in is the one that MeshCentral wants.
func carry(t *testing.T, ctx context.Context, conn net.Conn) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = echo.Close() })
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	pc := lme.Firmware{Dial: func(ctx context.Context, port int) (net.Conn, error) {
		if port != apf.PlainPort {
			return nil, errors.New("nothing there")
		}
		return (&net.Dialer{}).DialContext(ctx, "tcp", echo.Addr().String())
	}}.Connect()
	t.Cleanup(func() { _ = pc.Close() })
	go func() { // what the firmware says
		b := make([]byte, pc.MaxMessage())
		for {
			n, err := pc.Read(ctx, b)
			if err != nil {
				return
			}
			out := b[:n]
			if m, err := apf.Decode(out); err == nil && m.Type() == apf.TypeUserAuthRequest {
				out = apf.Encode(apf.UserAuthRequest{User: "**MeshAgentApfTunnel**", Service: apf.ServiceForward, Method: apf.MethodPassword, Password: amt.NewSecret("cookie")})
			}
			if _, err := conn.Write(out); err != nil {
				return
			}
		}
	}()
	go func() { // what MeshCentral says
		var in bytes.Buffer
		b := make([]byte, 64<<10)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			in.Write(b[:n])
			for in.Len() > 0 {
				m, err := apf.Decode(in.Bytes())
				if err != nil {
					break // the rest comes with the next bytes
				}
				whole := in.Next(min(in.Len(), len(apf.Encode(m))))
				for len(whole) > pc.MaxMessage() { // a stream knows no longest message
					d := m.(apf.ChannelData)
					part := apf.ChannelData{Recipient: d.Recipient, Data: d.Data[:1000]}
					_ = pc.Write(ctx, apf.Encode(part))
					m = apf.ChannelData{Recipient: d.Recipient, Data: d.Data[1000:]}
					whole = apf.Encode(m)
				}
				if pc.Write(ctx, whole) != nil {
					return
				}
			}
		}
	}()
	// A device that calls in speaks first: MeshCentral sends no version of its own.
	if err := pc.Write(ctx, apf.Encode(apf.ProtocolVersion{Major: 1, Trigger: apf.TriggerLME})); err != nil {
		t.Fatal(err)
	}
}
