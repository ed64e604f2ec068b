package device_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/device"
	"amtmedic/amt/sim/engine"
	"amtmedic/amt/tlspsk"
	"amtmedic/amt/wsman"
)

const (
	commit = "AMT_SetupAndConfigurationService.CommitChanges"
	state  = "AMT_SetupAndConfigurationService.Get"
	clock  = "AMT_TimeSynchronizationService.SetHighAccuracyTimeSynch"
	mebx   = "AMT_SetupAndConfigurationService.SetMEBxPassword"
	admin  = "AMT_AuthorizationService.SetAdminAclEntryEx"
)

// Each fault of a simulated client ends in an error of its own kind, at its own step, or is overcome.
func TestFaultsOfSimulatedClients(t *testing.T) {
	cases := map[string]struct {
		kind    device.Kind // empty: the client is configured all the same
		step    string
		outcome device.Outcome
	}{
		"connect=refuse":                    {device.KindReset, device.StepIdentify, ""},
		"tls=refuse":                        {device.KindReset, device.StepIdentify, ""},
		"tls=garbage":                       {device.KindTLS, device.StepIdentify, ""},
		"tls=drop-before":                   {device.KindReset, device.StepIdentify, ""},
		"http=garbage":                      {device.KindAnswer, device.StepIdentify, ""},
		"http=drop-before":                  {device.KindDropped, device.StepIdentify, ""},
		"http=refuse":                       {device.KindHTTP, device.StepIdentify, ""},
		"*=http:503":                        {device.KindHTTP, device.StepIdentify, ""},
		"AMT_GeneralSettings.Get=slow:6s":   {device.KindTimeout, device.StepIdentify, ""},
		"AMT_GeneralSettings.Get=soap":      {device.KindFault, device.StepIdentify, ""},
		"AMT_GeneralSettings.Get=garbage":   {device.KindAnswer, device.StepIdentify, ""},
		"CIM_SoftwareIdentity.Pull=garbage": {device.KindAnswer, device.StepIdentify, ""},
		"CIM_SoftwareIdentity.Pull=missing:VersionString": {device.KindAnswer, device.StepIdentify, ""},
		state + "=missing:ProvisioningState":              {device.KindAnswer, device.StepIdentify, ""},
		state + "=cut@1":                                  {device.KindAnswer, device.StepIdentify, ""},
		clock + "=refuse:34":                              {device.KindReturn, device.StepClock, ""},
		clock + "=missing:ReturnValue":                    {device.KindAnswer, device.StepClock, ""},
		"AMT_GeneralSettings.Put=refuse:28":               {device.KindFault, device.StepNames, ""},
		mebx + "=refuse:2054":                             {device.KindReturn, device.StepMEBx, ""},
		mebx + "=refuse:16":                               {device.KindReturn, device.StepCommit, device.NotCommitted},
		mebx + "=http:500":                                {device.KindHTTP, device.StepMEBx, ""},
		admin + "=refuse:16":                              {device.KindReturn, device.StepAdmin, ""},
		admin + "=drop-done@1":                            {"", "", device.Committed},
		admin + "=drop-before":                            {device.KindDropped, device.StepAdmin, ""},
		admin + "=drop-after":                             {"", "", device.Committed},
		commit + "=refuse:38":                             {device.KindReturn, device.StepCommit, device.NotCommitted},
		commit + "=soap":                                  {device.KindFault, device.StepCommit, device.NotCommitted},
		commit + "=drop-done@1":                           {"", "", device.Committed},
		commit + "=drop-after":                            {"", "", device.Committed},
		commit + "=drop-before@1":                         {"", "", device.Committed},
		commit + "=drop-before":                           {device.KindDropped, device.StepCommit, device.NotCommitted},
		commit + "=garbage@1":                             {"", "", device.Committed},
		commit + "=slow:6s@1":                             {"", "", device.Committed},
		"AMT_SetupAndConfigurationService.ExtendProvisioningPeriod=refuse:36": {"", "", device.Committed},
	}
	for fault, c := range cases {
		t.Run(fault, func(t *testing.T) {
			method, version := amt.PSK, "3.2.1"
			if strings.HasPrefix(fault, "tls=") || strings.HasPrefix(fault, mebx) {
				method, version = amt.PKI, "9.0.0" // the others need not wait for RSA keys
			}
			b := simulate(t, method, version, fault)
			b.quick = strings.Contains(fault, "slow")
			m := b.first()
			s := b.settings(m, false)
			r, err := device.Configure(context30(t), device.NewWSMan(b.setup(m)), s, &notes{})
			if c.kind == "" {
				if err != nil || r.Commit != c.outcome || b.client.Line().State != engine.Post {
					t.Errorf("%s, state %s: %v\n%s", r.Commit, b.client.Line().State, err, strings.Join(b.asked, "\n"))
				}
				return
			}
			var e *device.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v\n%s", err, strings.Join(b.asked, "\n"))
			}
			if e.Kind != c.kind || e.Step != c.step || r.Commit != c.outcome {
				t.Errorf("kind %s at %s, commit %q; want %s at %s, %q\n%v\n%s", e.Kind, e.Step, r.Commit, c.kind, c.step, c.outcome, err, strings.Join(b.asked, "\n"))
			}
			if e.Hint == "" {
				t.Errorf("no hint for %v", err)
			}
			for _, secret := range []string{"Passw0rd", b.client.Password.Reveal() + "\""} {
				if strings.Contains(string(e.Evidence)+err.Error(), secret) {
					t.Errorf("a secret is told: %v, %s", err, e.Evidence)
				}
			}
			if e.Kind == device.KindReturn {
				var ret *wsman.ReturnError
				if !errors.As(err, &ret) || ret.Status().Name == "" {
					t.Errorf("return value: %v", err)
				}
			}
			if b.client.Line().State == engine.Post && r.Commit != device.Committed && r.Commit != device.UnknownCommit {
				t.Errorf("the client is provisioned, and we say %q", r.Commit)
			}
		})
	}
}

// What the credentials and the transport can be wrong about.
func TestWrongCredentialsAtSimulatedClients(t *testing.T) {
	t.Run("wrong PPS", func(t *testing.T) {
		b := simulate(t, amt.PSK, "3.2.1")
		m := b.first()
		id, key := tlspsk.PlainPair(string(m.PID), "WRONGWRONGWRONGWRONGWRONGWRONGWR")
		sess := b.open(true, device.Options{PSK: &tlspsk.Config{Identity: id, Key: func(string) ([]byte, bool) { return key, true }}})
		_, err := device.Configure(context30(t), device.NewWSMan(sess), b.settings(m, false), &notes{})
		if device.KindOf(err) != device.KindKey || len(b.asked) != 0 {
			t.Errorf("got %v, asked %v", err, b.asked)
		}
	})
	t.Run("wrong password", func(t *testing.T) {
		b := simulate(t, amt.PSK, "3.2.1")
		m := b.first()
		s := b.settings(m, false)
		s.Known = []device.Login{{User: "admin", Password: amt.NewSecret("not this one")}, {User: "admin", Password: amt.NewSecret("nor this")}}
		_, err := device.Configure(context30(t), device.NewWSMan(b.setup(m)), s, &notes{})
		if device.KindOf(err) != device.KindLogin || len(b.asked) != 3 {
			t.Errorf("got %v, asked %v", err, b.asked)
		}
	})
	t.Run("second password", func(t *testing.T) {
		b := simulate(t, amt.PSK, "3.2.1")
		m := b.first()
		s := b.settings(m, false)
		s.Known = append([]device.Login{s.Admin}, s.Known...)
		r, err := device.Configure(context30(t), device.NewWSMan(b.setup(m)), s, &notes{})
		if err != nil || r.Commit != device.Committed {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("no certificate", func(t *testing.T) {
		b := simulate(t, amt.PKI, "9.0.0")
		m := b.first()
		sess := b.open(true, device.Options{TLS: legacy()})
		_, err := device.Configure(context30(t), device.NewWSMan(sess), b.settings(m, false), &notes{})
		if device.KindOf(err) != device.KindCertificate {
			t.Errorf("got %v", err)
		}
	})
	t.Run("another client's UUID", func(t *testing.T) {
		b := simulate(t, amt.PKI, "9.0.0")
		m := b.first()
		s := b.settings(m, false)
		s.UUID[3] ^= 1
		_, err := device.Configure(context30(t), device.NewWSMan(b.setup(m)), s, &notes{})
		if device.KindOf(err) != device.KindClient {
			t.Errorf("got %v", err)
		}
		for _, op := range b.asked {
			if strings.Contains(op, ".Set") || strings.Contains(op, ".Put") {
				t.Errorf("asked %v", b.asked)
			}
		}
	})
}

// A session that ends at any exchange is gone on with by the next one, and the client ends up
// provisioned with the settings, its answer lost or never made.
func TestSimulatedClientIsResumed(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	b := simulate(t, amt.PSK, "3.2.1")
	m := b.first()
	if _, err := device.Configure(context30(t), device.NewWSMan(b.setup(m)), b.settings(m, false), &notes{}); err != nil {
		t.Fatal(err)
	}
	var ops []string
	for _, op := range b.asked {
		op, status, _ := strings.Cut(op, " ")
		if status == "200" && !strings.HasSuffix(op, ".Enumerate") && (len(ops) == 0 || ops[len(ops)-1] != op) {
			ops = append(ops, op)
		}
		if op == commit {
			break
		}
	}
	for _, op := range ops {
		for _, kind := range []string{"drop-before@1", "drop-done@1"} {
			t.Run(op+"="+kind, func(t *testing.T) {
				b := simulate(t, amt.PSK, "3.2.1", op+"="+kind)
				m := b.first()
				p := &notes{}
				s := b.settings(m, false)
				for try := 1; ; try++ {
					// What is known at the next try: the password that may have been set comes first.
					r, err := device.Configure(context30(t), device.NewWSMan(b.setup(m)), s, p)
					if err == nil {
						if r.Commit != device.Committed || b.client.Line().State != engine.Post {
							t.Errorf("%+v", r)
						}
						return
					}
					if try == 3 {
						t.Fatalf("%v\n%s", err, strings.Join(b.asked, "\n"))
					}
					s.Known = append([]device.Login{s.Admin}, s.Known...)
					time.Sleep(10 * time.Millisecond)
				}
			})
		}
	}
}
