package profile

import (
	"slices"

	"amtmedic/amt"
)

// Notes gives advice on a sound profile; none of it makes it unfit. v is the firmware that is meant,
// zero for any.
func Notes(p Profile, v amt.Version) []amt.Problem {
	out := []amt.Problem{}
	note := func(when bool, where, code, text string) {
		if when {
			out = append(out, amt.In(where, code, "%s", text))
		}
	}
	below := func(major, minor int) bool { return !v.IsZero() && !v.AtLeast(major, minor) }
	fixed := p.Network.Rule == Fixed || slices.ContainsFunc(p.ACL, func(e Entry) bool { return e.Password.Rule == Fixed })
	note(fixed, "", "same-password", "a fixed password is the same in all clients: who reads it in one has them all")
	note(p.MEBx.Rule == Keep && p.Method != PSKMethod, "mebx_password", "mebx-factory", "a Remote Configuration client keeps the factory password of its menu: anybody before it can undo the setup, and new firmware refuses the commit")
	note(p.TLS.On() && p.TLS.Plain, "tls.plain", "plain-beside", "connections without TLS stay accepted: passwords are safe in digest, contents are not")
	note(p.TLS.On() && below(3, 0), "tls.mode", "firmware-lacks", "how the services of AMT 2.x set TLS is not public: these clients wait as delayed entries with that reason")
	note(!p.TLS.On() && v.AtLeast(16, 1), "tls.mode", "firmware-lacks", "AMT 16.1 and later has no port without TLS: the client shows a certificate of its own making on 16993")
	note(p.Consent != Keep && below(6, 2), "consent", "firmware-lacks", "user consent came with AMT 6.2: left out, with a note")
	note(len(p.ACL) > 0 && below(3, 0), "acl", "firmware-lacks", "how the services of AMT 2.x set users is not public: left out, with a note")
	note(p.Power != Keep && below(3, 0), "power", "firmware-lacks", "how the services of AMT 2.x set a power policy is not public: left out, with a note")
	note(!p.Wired.IsZero() && below(3, 0), "network", "firmware-lacks", "network settings of AMT 2.x are left as they are, with a note")
	note(p.Wired.RMCP != Leave && below(5, 0), "network.rmcp_ping", "firmware-lacks", "the switch of the presence ping came with AMT 5: left out, with a note")
	note(p.Method == PSKMethod && v.AtLeast(11, 0), "method", "firmware-lacks", "setup with PID and PPS ended with AMT 11: no such client comes")
	note(p.Wired.IP == Static && p.Wired.Address != "", "network.address", "one-client", "this address suits one client; without the field each keeps the one that it said hello from")
	return out
}
