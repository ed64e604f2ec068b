package engine

import (
	"encoding/base64"
	"encoding/hex"
	"sort"
	"strings"
)

// user is somebody who may log in by digest.
type user struct {
	name    string
	ha1     string // MD5(name:realm:password), lower-case hexadecimal
	sid     string // of a Kerberos user, base64; such a user cannot log in here
	access  int    // 0 local, 1 network, 2 any
	realms  []int
	enabled bool
}

// Realms that give rights here (Intel's MOF of AMT_AuthorizationService).
const (
	realmRedirection   = 2
	realmAdministrator = 3
	realmRemoteControl = 5
	realmNetworkTime   = 12
	maxRealm           = 24
)

// maxUsers bounds the digest users beside admin (unverified).
const maxUsers = 16

// userNamed finds a user who may log in. The lock is held.
func (e *Engine) userNamed(name string) *user {
	if name == e.st.admin.name {
		return &e.st.admin
	}
	for _, u := range e.st.users {
		if u.name == name && name != "" && u.access != 0 {
			return u
		}
	}
	return nil
}

// has reports whether the caller has a realm. Nobody is logged in only where none has to be: those
// sessions may do everything.
func (c *call) has(e *Engine, realm int) bool {
	if c.user == nil || c.user == &e.st.admin {
		return true
	}
	for _, r := range c.user.realms {
		if r == realm || r == realmAdministrator {
			return true
		}
	}
	return false
}

// may reports whether the caller may do what the message asks. Users without the realm of
// administrators may read, and do what their realms name. Which realm each class really needs is not
// known to us in full (unverified).
func (c *call) may(k *class, r *request) bool {
	switch r.action {
	case actGet, actEnumerate, actPull, actRelease:
		return true
	}
	e := c.engine
	switch k.name {
	case "CIM_PowerManagementService", "AMT_BootSettingData", "CIM_BootConfigSetting", "CIM_BootService":
		return c.has(e, realmRemoteControl)
	case "AMT_RedirectionService":
		return c.has(e, realmRedirection)
	case "AMT_TimeSynchronizationService":
		return c.has(e, realmNetworkTime)
	}
	return c.has(e, realmAdministrator)
}

// handles lists the users' handles in order.
func (e *Engine) handles() []int {
	out := make([]int, 0, len(e.st.users))
	for h := range e.st.users {
		out = append(out, h)
	}
	sort.Ints(out)
	return out
}

// readDigest reads a DigestPassword: base64 of the 16 bytes, or 32 hexadecimal digits as MeshCentral
// sends them (provisioning-protocol 3.4).
func readDigest(s string) (ha1 string, ok bool) {
	if len(s) == 32 {
		if _, err := hex.DecodeString(s); err == nil {
			return strings.ToLower(s), true
		}
	}
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil || len(b) != 16 {
		return "", false
	}
	return hex.EncodeToString(b), true
}

// setAdmin gives admin another name or password.
func (e *Engine) setAdmin(c *call, name, digest string) int {
	ha1, ok := readDigest(digest)
	if !ok || !soundName(name) || strings.HasPrefix(name, "$$") {
		return ptInvalidParam
	}
	for _, u := range e.st.users {
		if u.name == name {
			return ptDuplicate
		}
	}
	e.st.admin.name, e.st.admin.ha1 = name, ha1
	e.st.changed = ha1 != digestOf(name, e.Realm(), FactoryPassword)
	e.changed(c, ChangePassword)
	return 0
}

// soundName: 1 to 16 characters that digest can carry (setup-bin-and-keys and Intel's MOF give 16).
func soundName(s string) bool {
	if len(s) < 1 || len(s) > 16 {
		return false
	}
	for _, c := range s {
		if c < 0x21 || c > 0x7e || strings.ContainsRune(`(),:;"&<>`, c) {
			return false
		}
	}
	return true
}

// strong is the rule for passwords: 8 to 32 characters with an upper-case and a lower-case letter, a
// digit and a special character; not : , or " (setup-bin-and-keys 4).
func strong(s string) bool {
	if len(s) < 8 || len(s) > 32 {
		return false
	}
	var upper, lower, digit, special bool
	for _, c := range s {
		switch {
		case c >= 'A' && c <= 'Z':
			upper = true
		case c >= 'a' && c <= 'z':
			lower = true
		case c >= '0' && c <= '9':
			digit = true
		case strings.ContainsRune(`:,"`, c) || c < 0x20 || c > 0x7e:
			return false
		case c != '_' && c != ' ': // taken, but do not count
			special = true
		}
	}
	return upper && lower && digit && special
}
