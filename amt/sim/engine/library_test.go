package engine

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// meshScript reads every class with MeshCentral's own library, then calls methods, and prints what the
// library made of the answers.
const meshScript = `const dir = process.argv[2], host = process.argv[3], port = parseInt(process.argv[4]), pass = process.argv[5], classes = process.argv[6].split(',');
const comm = require(dir + '/amt/amt-wsman-comm')(host, port, 'admin', pass, 0, null);
const stack = require(dir + '/amt/amt')(require(dir + '/amt/amt-wsman')(comm));
const out = { classes: {}, calls: {} };
const calls = [
  ['GetUuid', done => stack.AMT_SetupAndConfigurationService_GetUuid(done)],
  ['Users', done => stack.AMT_AuthorizationService_EnumerateUserAclEntries(1, done)],
  ['AddUser', done => stack.AMT_AuthorizationService_AddUserAclEntryEx('third', '/XiYeOgM0Edl+SStYe2Wvw==', null, 2, [3, 5], done)],
  ['User', done => stack.AMT_AuthorizationService_GetUserAclEntryEx(3, done)],
  ['First', done => stack.AMT_MessageLog_PositionToFirstRecord(done)],
  ['Records', done => stack.AMT_MessageLog_GetRecords(1, 390, done)],
  ['PowerOff', done => stack.RequestPowerStateChange(8, done)],
  ['Redirection', done => stack.AMT_RedirectionService_RequestStateChange(32769, done)],
  ['Extend', done => stack.AMT_SetupAndConfigurationService_ExtendProvisioningPeriod(3, done)],
  ['Unprovision', done => stack.AMT_SetupAndConfigurationService_Unprovision(1, done)],
];
function next() {
  const c = calls.shift();
  if (!c) { console.log(JSON.stringify(out)); process.exit(0); }
  c[1]((stack, name, response, status) => { out.calls[c[0]] = { status: status, body: response == null ? null : response.Body }; next(); });
}
function read() {
  const c = classes.shift();
  if (!c) return next();
  stack.Enum(c, (stack, name, responses, status) => { out.classes[c] = { status: status, items: responses }; read(); });
}
read();
`

// TestMeshCentralLibrary: the library in which MeshCentral speaks WS-Man reads every class that is answered.
func TestMeshCentralLibrary(t *testing.T) {
	dir := os.Getenv("AMTMEDIC_MESHCENTRAL")
	if os.Getenv("AMTMEDIC_LONG") != "1" || dir == "" || dir == "none" {
		t.Skip("a long test with MeshCentral: AMTMEDIC_LONG=1, and its folder in AMTMEDIC_MESHCENTRAL")
	}
	node := peer(t, "node")
	e := postClient(t, "16.0.15")
	fillStore(newAsker(t, e))
	host, port, err := net.SplitHostPort(plainServer(t, e))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	want := map[string]int{}
	for name, c := range classes {
		names = append(names, name)
		want[name] = len(c.list(e))
	}
	slices.Sort(names)
	script := filepath.Join(t.TempDir(), "read.js")
	if err := os.WriteFile(script, []byte(meshScript), 0o600); err != nil {
		t.Fatal(err)
	}
	out := runPeer(t, filepath.Dir(script), nil, "", node, script, filepath.Join(dir, "node_modules", "meshcentral"), host, port, testPassword, strings.Join(names, ","))
	var got struct {
		Classes map[string]struct {
			Status int
			Items  []map[string]any
		}
		Calls map[string]struct {
			Status int
			Body   map[string]any
		}
	}
	if err := json.Unmarshal([]byte(out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:]), &got); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range names {
		c := got.Classes[name]
		if c.Status != 200 || len(c.Items) != want[name] {
			t.Errorf("%s: status %d, %d instances, not %d", name, c.Status, len(c.Items), want[name])
		}
	}
	if v := got.Classes["AMT_GeneralSettings"].Items; len(v) != 1 || v[0]["HostName"] != "pc17" {
		t.Errorf("general settings %v", v)
	}
	for name, value := range map[string]float64{"GetUuid": 0, "Users": 0, "AddUser": 0, "User": 0, "First": 0, "Records": 0, "PowerOff": 0, "Redirection": 0, "Extend": 16, "Unprovision": 0} {
		if c := got.Calls[name]; c.Status != 200 || c.Body["ReturnValue"] != value {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if s := e.State(); s.Stage != Pre {
		t.Errorf("not taken back: %s", s.Stage)
	}
}
