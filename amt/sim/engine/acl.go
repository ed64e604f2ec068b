package engine

import (
	"encoding/base64"
	"strconv"
)

// aclClasses: who may log in.
var aclClasses = []class{
	{name: "AMT_AuthorizationService", since: [2]int{3, 0}, keys: serviceKeys, common: true,
		list: func(e *Engine) []instance {
			i := service("AMT_AuthorizationService", "Intel(r) AMT Authorization Service", "Intel(r) AMT Authorization Service")
			if e.cfg.Version.AtLeast(6, 0) {
				i = append(instance{str("AllowHttpQopAuthOnly", "1")}, i...)
			}
			return []instance{i}
		},
		does: map[string]method{
			"SetAdminAclEntryEx": {do: func(e *Engine, c *call) result {
				return ret(e.setAdmin(c, c.in.value("Username"), c.in.value("DigestPassword")))
			}},
			"GetAdminAclEntry": {do: func(e *Engine, c *call) result {
				return result{fields: []field{str("Username", e.st.admin.name)}}
			}},
			// Of the password that MEBx and network share until one is changed over the network.
			"GetAdminAclEntryStatus":    {do: func(e *Engine, c *call) result { return result{fields: []field{yes("IsDefault", !e.st.mebx)}} }},
			"GetAdminNetAclEntryStatus": {do: func(e *Engine, c *call) result { return result{fields: []field{yes("IsDefault", !e.st.changed)}} }},
			"EnumerateUserAclEntries": {do: func(e *Engine, c *call) result {
				return enumerateUsers(e, c.in.value("StartIndex"))
			}},
			"GetUserAclEntryEx": {do: func(e *Engine, c *call) result {
				u, _ := e.userAt(c.in.value("Handle"))
				if u == nil {
					return ret(ptInvalidHandle)
				}
				return result{fields: u.fields()}
			}},
			"AddUserAclEntryEx": {do: func(e *Engine, c *call) result {
				h, pt := e.addUser(c, c.in)
				if pt != 0 {
					return ret(pt)
				}
				return result{fields: []field{num("Handle", h)}}
			}},
			"UpdateUserAclEntryEx": {do: func(e *Engine, c *call) result { return ret(e.updateUser(c, c.in.value("Handle"), c.in)) }},
			"RemoveUserAclEntry":   {do: func(e *Engine, c *call) result { return ret(e.removeUser(c, c.in.value("Handle"))) }},
			"GetAclEnabledState": {do: func(e *Engine, c *call) result {
				u, _ := e.userAt(c.in.value("Handle"))
				if u == nil {
					return ret(ptInvalidHandle)
				}
				return result{fields: []field{yes("Enabled", u.enabled)}}
			}},
			"SetAclEnabledState": {do: func(e *Engine, c *call) result {
				u, _ := e.userAt(c.in.value("Handle"))
				on := c.in.value("Enabled")
				switch {
				case u == nil:
					return ret(ptInvalidHandle)
				case on != "true" && on != "false":
					return ret(ptInvalidParam)
				}
				u.enabled = on == "true"
				e.changed(c, ChangePassword)
				return ret(0)
			}},
		}},
}

func enumerateUsers(e *Engine, start string) result {
	from, err := strconv.Atoi(start)
	all := e.handles()
	if err != nil || from < 1 || from > max(len(all), 1) {
		return ret(ptInvalidIndex)
	}
	rest := all[from-1:]
	rest = rest[:min(len(rest), 50)]
	out := result{fields: []field{num("TotalCount", len(all)), num("HandlesCount", len(rest))}}
	for _, h := range rest {
		out.fields = append(out.fields, num("Handles", h))
	}
	return out
}

func (u *user) fields() []field {
	f := []field{str("DigestUsername", u.name)}
	if u.sid != "" {
		f = []field{str("KerberosUserSid", u.sid)}
	}
	f = append(f, num("AccessPermission", u.access))
	for _, r := range u.realms {
		f = append(f, num("Realms", r))
	}
	return f
}

// userAt finds an entry by its handle.
func (e *Engine) userAt(handle string) (*user, int) {
	h, err := strconv.Atoi(handle)
	if err != nil {
		return nil, 0
	}
	return e.st.users[h], h
}

// readUser reads the fields of an entry. old is what it was, nil for a new one: its password may stay.
func (e *Engine) readUser(in *node, old *user) (*user, int) {
	u := &user{enabled: true}
	if old != nil {
		*u = *old
		u.realms = nil
	}
	name, hasName := in.lookup("DigestUsername")
	sid, hasSID := in.lookup("KerberosUserSid")
	if hasName == hasSID {
		return nil, ptInvalidParam
	}
	if hasSID {
		raw, err := base64.StdEncoding.DecodeString(sid)
		if err != nil || len(raw) < 8 || len(raw) > 40 {
			return nil, ptInvalidParam
		}
		u.sid, u.name, u.ha1 = sid, "", ""
	} else {
		ha1, ok := readDigest(in.value("DigestPassword"))
		if !ok || !soundName(name) {
			return nil, ptInvalidParam
		}
		u.sid, u.name, u.ha1 = "", name, ha1
	}
	var err error
	if u.access, err = strconv.Atoi(in.value("AccessPermission")); err != nil || u.access < 0 || u.access > 2 {
		return nil, ptInvalidParam
	}
	for _, s := range in.values("Realms") {
		r, err := strconv.Atoi(s)
		if err != nil || r < realmRedirection || r > maxRealm {
			return nil, ptInvalidParam
		}
		u.realms = append(u.realms, r)
	}
	return u, 0
}

func (e *Engine) addUser(c *call, in *node) (handle, pt int) {
	u, pt := e.readUser(in, nil)
	if pt != 0 {
		return 0, pt
	}
	if pt := e.duplicate(u, 0); pt != 0 {
		return 0, pt
	}
	if len(e.st.users) >= maxUsers {
		return 0, ptMaxLimit
	}
	if e.st.users == nil {
		e.st.users = map[int]*user{}
	}
	for handle = 1; e.st.users[handle] != nil; handle++ {
	}
	e.st.users[handle] = u
	e.changed(c, ChangePassword)
	return handle, 0
}

func (e *Engine) duplicate(u *user, except int) int {
	if u.name == e.st.admin.name {
		return ptDuplicate
	}
	for h, o := range e.st.users {
		if h != except && o.name == u.name && o.sid == u.sid {
			return ptDuplicate
		}
	}
	return 0
}

func (e *Engine) updateUser(c *call, handle string, in *node) int {
	old, h := e.userAt(handle)
	if old == nil {
		return ptInvalidHandle
	}
	u, pt := e.readUser(in, old)
	if pt == 0 {
		pt = e.duplicate(u, h)
	}
	if pt != 0 {
		return pt
	}
	e.st.users[h] = u
	e.changed(c, ChangePassword)
	return 0
}

func (e *Engine) removeUser(c *call, handle string) int {
	u, h := e.userAt(handle)
	if u == nil {
		return ptInvalidHandle
	}
	delete(e.st.users, h)
	e.changed(c, ChangePassword)
	return 0
}
