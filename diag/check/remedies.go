package check

import (
	"fmt"
	"slices"
	"strings"

	"amtmedic/diag"
)

// restartHello is the last harmless remedy of everything that keeps a hello from its server.
const restartHello = "rm-restart-hello"

// restartsOfStageOne are the causes of stage 1 after which the hello is restarted.
var restartsOfStageOne = []string{"rc-hello-expired", "rc-rcfg-timer-zero", "rc-wrong-nic", "rc-wlan-off-path", "rc-client-no-dhcp",
	"rc-no-dns-suffix", "rc-static-ip-mismatch", "rc-me-power-policy"}

// remediesOf numbers the remedies of causes in the order in which to do them: the harmless ones,
// the restart of the hello, then the destructive ones.
func remediesOf(c *caseView, ids []string) []diag.Remedy {
	harmless, destructive := []diag.Remedy{}, []diag.Remedy{}
	restart, drain := false, false
	for _, id := range ids {
		for _, r := range numbered(c, id) {
			if r.Destructive {
				destructive = append(destructive, r)
			} else {
				harmless = append(harmless, r)
			}
		}
		restart = restart || restarts(c, id)
		drain = drain || id == "rc-me-power-policy" // which goes by R-drain only
	}
	if restart {
		harmless = append(harmless, restartRemedy(c.Has("client.mei", "ok") && !drain))
	}
	return append(harmless, destructive...)
}

// numbered gives a cause's own remedies: automatic, by hand, destructive, each as they stand,
// without those whose condition is known not to hold.
func numbered(c *caseView, id string) []diag.Remedy {
	var sorted []repair
	repairs := slices.DeleteFunc(slices.Clone(mustCause(id).repairs), func(r repair) bool { return r.unless != nil && r.unless(c) })
	for _, pick := range []func(repair) bool{
		func(r repair) bool { return r.automatic && !r.destructive },
		func(r repair) bool { return !r.automatic && !r.destructive },
		func(r repair) bool { return r.destructive },
	} {
		for _, r := range repairs {
			if pick(r) {
				sorted = append(sorted, r)
			}
		}
	}
	base := "rm-" + strings.TrimPrefix(id, "rc-")
	out := make([]diag.Remedy, len(sorted))
	for i, r := range sorted {
		out[i] = diag.Remedy{ID: base, Kind: kind(r.automatic), Destructive: r.destructive, Text: r.text}
		if i > 0 {
			out[i].ID = fmt.Sprintf("%s-%d", base, i+1)
		}
	}
	return out
}

func kind(automatic bool) string {
	if automatic {
		return "automatic"
	}
	return "manual"
}

// restarts: the hello is restarted after this cause is repaired.
func restarts(c *caseView, id string) bool {
	if id == "ok-waiting-retry" {
		return true
	}
	if c.post() || c.localOrManual() || consoleOnly(id) || !strings.HasPrefix(id, "rc-") {
		return false
	}
	return slices.Contains(restartsOfStageOne, id) || slices.ContainsFunc(stagesOf(id), func(n int) bool { return n >= 2 && n <= 8 })
}

func restartRemedy(local bool) diag.Remedy {
	r := diag.Remedy{ID: restartHello, Kind: "manual",
		Text: "Restart the hello: switch the PC off, unplug it, hold the power button until its light has lit and faded, plug it in"}
	if local {
		r.Kind, r.Text = "automatic", "Restart the hello by a local start call"
	}
	return r
}
