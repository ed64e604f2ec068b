package device

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/wsman"
)

// HA1 gives the value that the firmware keeps in place of a password: MD5 of user, realm and
// password (RFC 2617 3.2.2.2).
func HA1(realm string, l Login) [16]byte {
	return md5.Sum([]byte(l.User + ":" + realm + ":" + l.Password.Reveal()))
}

// digestOf gives the HA1 of a log-in as SetAdminAclEntryEx takes it: base64 of its 16 bytes
// (provisioning-protocol 3.4), with the realm that the client logs in with.
func (d *wsmanDevice) digestOf(ctx context.Context, l Login) (string, error) {
	realm := d.Realm()
	if realm == "" && d.realm == "" {
		if err := d.readGeneral(ctx); err != nil {
			return "", err
		}
	}
	if realm == "" {
		realm = d.realm
	}
	if realm == "" {
		return "", d.unreadable(wsman.ClassGeneral, errors.New("the client names no realm for its log-in"))
	}
	sum := HA1(realm, l)
	d.hide(hex.EncodeToString(sum[:]))
	text := base64.StdEncoding.EncodeToString(sum[:])
	d.hide(text)
	return text, nil
}

// SetMEBxPassword sets the password of the local menu.
func (d *wsmanDevice) SetMEBxPassword(ctx context.Context, password amt.Secret) error {
	d.hide(password.Reveal())
	const method = "SetMEBxPassword"
	_, err := d.result(ctx, wsman.Invoke(wsman.ClassSetup, method, []wsman.Node{wsman.Param("Password", password.Reveal())}), wsman.ClassSetup, method, true)
	return err
}

// SetAdmin sets the administrator. It is not sent twice with one log-in: the first may have changed
// it. Also when its answer was lost, both log-ins are tried afterwards.
func (d *wsmanDevice) SetAdmin(ctx context.Context, l Login) error {
	text, err := d.digestOf(ctx, l)
	if err != nil {
		return err
	}
	const method = "SetAdminAclEntryEx"
	params := []wsman.Node{wsman.Param("Username", l.User), wsman.Param("DigestPassword", text)}
	_, err = d.result(ctx, wsman.Invoke(wsman.ClassAuthority, method, params), wsman.ClassAuthority, method, true)
	if err != nil && !AfterSend(err) {
		return err
	}
	d.LogIn(append([]Login{l}, without(d.logins, l)...)...)
	return err
}

// without gives the log-ins that are not l.
func without(logins []Login, l Login) []Login {
	return slices.DeleteFunc(slices.Clone(logins), func(o Login) bool { return o.User == l.User && o.Password.Equal(l.Password) })
}

// SetPair replaces PID and PPS.
func (d *wsmanDevice) SetPair(ctx context.Context, pid amt.PID, pps amt.Secret) error {
	key := strings.ToUpper(strings.ReplaceAll(pps.Reveal(), "-", ""))
	d.hide(key)
	_, err := d.invoke(ctx, wsman.ClassSetup, "SetTLSPSK", wsman.Param("PID", string(pid)), wsman.Param("PPS", key))
	return err
}

// ExtendWindow sets how long setup may still take.
func (d *wsmanDevice) ExtendWindow(ctx context.Context, hours int) error {
	_, err := d.invoke(ctx, wsman.ClassSetup, "ExtendProvisioningPeriod", wsman.ParamInt("Duration", int64(hours)))
	return err
}

// Commit ends the setup. It is never sent twice.
func (d *wsmanDevice) Commit(ctx context.Context) error {
	_, err := d.result(ctx, wsman.Invoke(wsman.ClassSetup, "CommitChanges", nil), wsman.ClassSetup, "CommitChanges", true)
	return err
}

// modeEnterprise is the only mode of Unprovision that has an effect from 6.0 on.
const modeEnterprise = 1

// Unprovision undoes the setup. It is never sent twice.
func (d *wsmanDevice) Unprovision(ctx context.Context, full bool) error {
	method, params := "PartialUnprovision", []wsman.Node(nil)
	if full {
		method, params = "Unprovision", []wsman.Node{wsman.ParamInt("ProvisioningMode", modeEnterprise)}
	}
	_, err := d.result(ctx, wsman.Invoke(wsman.ClassSetup, method, params), wsman.ClassSetup, method, true)
	return err
}

// Users reads the access list by its handles.
func (d *wsmanDevice) Users(ctx context.Context) ([]User, error) {
	entries, err := d.entries(ctx)
	var out []User
	for _, e := range entries {
		// Names that begin so are the firmware's own.
		if !strings.HasPrefix(e.user.Name, "$$") {
			out = append(out, e.user)
		}
	}
	return out, err
}

// entry is a user with its handle.
type entry struct {
	handle int
	user   User
}

const maxUsers = 64 // firmware has room for far fewer

func (d *wsmanDevice) entries(ctx context.Context) ([]entry, error) {
	handles, err := d.handles(ctx)
	if err != nil {
		return nil, err
	}
	var out []entry
	for _, h := range handles {
		n, err := d.invoke(ctx, wsman.ClassAuthority, "GetUserAclEntryEx", wsman.ParamInt("Handle", int64(h)))
		if err != nil {
			return nil, err
		}
		e, err := wsman.ReadACLEntry(n)
		if err != nil {
			return nil, d.unreadable(wsman.ClassAuthority+".GetUserAclEntryEx", err)
		}
		out = append(out, entry{h, User{Name: e.User, Access: Access(e.Access), Realms: e.Realms}})
	}
	return out, nil
}

func (d *wsmanDevice) handles(ctx context.Context) ([]int, error) {
	const method = "EnumerateUserAclEntries"
	var out []int
	for start := 1; ; {
		n, err := d.invoke(ctx, wsman.ClassAuthority, method, wsman.ParamInt("StartIndex", int64(start)))
		if err != nil {
			return nil, err
		}
		total, err := n.Int("TotalCount")
		if err != nil {
			return nil, d.unreadable(wsman.ClassAuthority+"."+method, err)
		}
		some := n.All("Handles")
		for _, h := range some {
			v, err := h.Int()
			if err != nil {
				return nil, d.unreadable(wsman.ClassAuthority+"."+method, err)
			}
			out = append(out, v)
		}
		if start += len(some); len(some) == 0 || start > total || len(out) >= maxUsers {
			return out, nil
		}
	}
}

func (d *wsmanDevice) handleOf(ctx context.Context, name string) (int, bool, error) {
	entries, err := d.entries(ctx)
	i := slices.IndexFunc(entries, func(e entry) bool { return e.user.Name == name })
	if err != nil || i < 0 {
		return 0, false, err
	}
	return entries[i].handle, true, nil
}

// SetUser adds or changes a user.
func (d *wsmanDevice) SetUser(ctx context.Context, u User) error {
	handle, exists, err := d.handleOf(ctx, u.Name)
	if err != nil {
		return err
	}
	text, err := d.digestOf(ctx, Login{User: u.Name, Password: u.Password})
	if err != nil {
		return err
	}
	params := []wsman.Node{wsman.Param("DigestUsername", u.Name), wsman.Param("DigestPassword", text), wsman.ParamInt("AccessPermission", int64(u.Access))}
	for _, r := range u.Realms {
		params = append(params, wsman.Param("Realms", strconv.Itoa(r)))
	}
	method := "AddUserAclEntryEx"
	if exists {
		method, params = "UpdateUserAclEntryEx", append([]wsman.Node{wsman.ParamInt("Handle", int64(handle))}, params...)
	}
	_, err = d.result(ctx, wsman.Invoke(wsman.ClassAuthority, method, params), wsman.ClassAuthority, method, !exists)
	return err
}

// RemoveUser removes a user.
func (d *wsmanDevice) RemoveUser(ctx context.Context, name string) error {
	handle, exists, err := d.handleOf(ctx, name)
	if err != nil || !exists {
		return err
	}
	_, err = d.invoke(ctx, wsman.ClassAuthority, "RemoveUserAclEntry", wsman.ParamInt("Handle", int64(handle)))
	return err
}

// PowerPolicies reads the power schemes.
func (d *wsmanDevice) PowerPolicies(ctx context.Context) ([]PowerPolicy, error) {
	items, err := d.list(ctx, wsman.ClassPower)
	var out []PowerPolicy
	for i := range items {
		out = append(out, PowerPolicy(wsman.ReadPower(&items[i])))
	}
	return out, err
}

// SetPowerPolicy calls the method of the scheme itself.
func (d *wsmanDevice) SetPowerPolicy(ctx context.Context, id string) error {
	const method = "SetPowerScheme"
	_, err := d.result(ctx, wsman.Invoke(wsman.ClassPower, method, nil, wsman.Selector{Name: "InstanceID", Value: id}), wsman.ClassPower, method, false)
	if ret := (*wsman.ReturnError)(nil); errors.As(err, &ret) && ret.Code == wsman.CodeNotFound {
		return fmt.Errorf("power policy %q: %w", id, err)
	}
	return err
}
