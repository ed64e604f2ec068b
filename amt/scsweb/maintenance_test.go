package scsweb

import (
	"strings"
	"testing"
	"time"

	"amtmedic/amt/store"
)

// Maintenance is asked for, listed and cancelled; what cannot be is told, what undoes a setup is for admins.
func TestMaintenance(t *testing.T) {
	b := newBench(t, Options{})
	u := b.hello(1, "")
	path := "/amts/" + u.String() + "/maintenance"
	b.want(409, "operate", "POST", path, `{"kind":"clock"}`, "not provisioned")
	jobs, err := b.st.Claim(t.Context(), "w", 1, time.Minute)
	if err != nil || len(jobs) != 1 {
		t.Fatal(jobs, err)
	}
	if err := b.st.Finish(t.Context(), jobs[0], store.Done{FQDN: "pc1.corp.example", Text: "done"}); err != nil {
		t.Fatal(err)
	}
	b.want(404, "operate", "POST", "/amts/"+testUUID(t, 9).String()+"/maintenance", `{"kind":"clock"}`, "never said hello")
	b.want(422, "operate", "POST", path, `{"kind":"paint"}`)
	b.want(422, "operate", "POST", path, `{}`)
	b.want(404, "operate", "DELETE", path, "", "no maintenance waits")
	b.want(403, "operate", "POST", path, `{"kind":"unprovision-full"}`, "admin")
	b.want(204, "operate", "POST", path, `{"kind":"clock","why":"ticket 12"}`)
	b.want(409, "operate", "POST", path, `{"kind":"password"}`, "an entry")
	b.want(200, "read", "GET", "/maintenance", "", u.String(), `"kind":"clock"`, `"state":"queued"`, `"due":null`, `"fqdn":"pc1.corp.example"`, `"next":""`)
	b.want(204, "operate", "DELETE", path, "")
	b.want(200, "read", "GET", "/maintenance", "", `"items":[]`)
	b.want(200, "read", "GET", "/log?uuid="+u.String(), "", "clock: queued, asked for by operate, ticket 12", "clock: cancelled, asked for by operate")
	b.want(204, "admin", "POST", path, `{"kind":"unprovision"}`)
	if jobs, err = b.st.Claim(t.Context(), "w", 1, time.Minute); err != nil || len(jobs) != 1 {
		t.Fatal(jobs, err)
	}
	b.want(200, "read", "GET", "/maintenance", "", `"state":"in-progress"`)
	b.want(409, "operate", "DELETE", path, "", "a worker is at it")
	if err := b.st.Delay(t.Context(), jobs[0], "rc-host-unreachable: no answer", "no answer", time.Hour); err != nil {
		t.Fatal(err)
	}
	b.want(200, "read", "GET", "/maintenance?search=pc1", "", `"state":"delayed"`, `"kind":"unprovision"`, "rc-host-unreachable")
	audit := b.want(200, "admin", "GET", "/audit", "", `"action":"ask-maintenance"`, `"becomes":"clock"`, `"action":"cancel-maintenance"`, "refused: it is not provisioned")
	if strings.Count(audit, `"becomes":"unprovision-full"`) != 0 {
		t.Error("a request that its role does not allow stands in the audit as a change")
	}
	b.want(204, "operate", "DELETE", path, "")
	b.want(200, "read", "GET", "/amts/"+u.String(), "", `"retired":null`, `"replaced_by":""`)
	if err := b.st.Retire(t.Context(), u, false, ""); err != nil {
		t.Fatal(err)
	}
	b.want(409, "operate", "POST", path, `{"kind":"clock"}`, "retired")
	b.want(200, "read", "GET", "/amts/"+u.String(), "", `"retired":"20`)
}
