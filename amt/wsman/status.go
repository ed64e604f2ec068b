package wsman

import (
	"fmt"
	"strconv"
)

// Status explains a return value.
type Status struct {
	Name    string // "PT_STATUS_DATA_MISSING"; empty for a number that no source explains
	Meaning string
	Next    string // what to do; empty when nothing general can be said
}

// ReturnError says that a method answered with another return value than success.
type ReturnError struct {
	Class  string // "AMT_SetupAndConfigurationService"
	Method string // "CommitChanges"
	Code   int
}

// Status explains the code in the meaning that its method gives it.
func (e *ReturnError) Status() Status {
	table := status
	switch {
	case e.Class == "IPS_HostBasedSetupService" && e.Method == "AddNextCertInChain":
		table = chainStatus
	case e.Class == "IPS_HostBasedSetupService":
		table = hostStatus
	}
	if s, ok := table[e.Code]; ok {
		return s
	}
	return Status{Meaning: "no source explains this number", Next: "keep the number and the firmware version for the maker"}
}

// Error gives code, name and meaning.
func (e *ReturnError) Error() string {
	s := e.Status()
	if s.Name == "" {
		return fmt.Sprintf("return value %d: %s", e.Code, s.Meaning)
	}
	return fmt.Sprintf("return value %d %s: %s", e.Code, s.Name, s.Meaning)
}

// StatusName gives the name of a PT_STATUS number, the number itself when no source names it.
func StatusName(code int) string {
	if s, ok := status[code]; ok {
		return s.Name
	}
	return strconv.Itoa(code)
}

// NotReady reports whether a code says that the firmware is still at something and may be asked
// again: key pairs need random numbers and time.
func NotReady(code int) bool {
	switch code {
	case 2, 47, 48, 49, 2061:
		return true
	}
	return false
}

// The codes that the steps of a setup decide on.
const (
	CodeNotPermitted = 16
	CodeDataMissing  = 2057
	CodeDuplicate    = 2058
	CodeNotFound     = 2068
)

// status holds the PT_STATUS numbers (provisioning-protocol 3.4; the low ones also stand in the
// headers of the storage library that Intel published).
var status = map[int]Status{
	0:  {"PT_STATUS_SUCCESS", "done", ""},
	1:  {"PT_STATUS_INTERNAL_ERROR", "the firmware met a fault of its own", "try again; when it stays, take AC power from the PC for half a minute, then update the firmware"},
	2:  {"PT_STATUS_NOT_READY", "the firmware is still starting", "try again in a minute"},
	3:  {"PT_STATUS_INVALID_PT_MODE", "not in this mode of the firmware", "read the provisioning state: the client may be provisioned already, or not in Setup Mode"},
	4:  {"PT_STATUS_INVALID_MESSAGE_LENGTH", "a value is too long", "shorten the value that was to be set"},
	12: {"PT_STATUS_INVALID_NAME", "a name is not accepted", "use letters, digits and hyphens"},
	16: {"PT_STATUS_NOT_PERMITTED", "this log-in, or this state of the client, does not permit it", "log in as the administrator; a MEBx password may often be set over the network only while it is the factory one"},
	17: {"PT_STATUS_NOT_OWNER", "it belongs to another user", "log in as its owner"},
	23: {"PT_STATUS_MAX_LIMIT_REACHED", "there is no room for one more", "remove entries that are not used: users, keys, certificates"},
	24: {"PT_STATUS_INVALID_AUTH_TYPE", "this kind of log-in is not accepted", "use HTTP digest"},
	25: {"PT_STATUS_AUTHENTICATION_FAILED", "the log-in failed", "use the password that the client has"},
	26: {"PT_STATUS_INVALID_DHCP_MODE", "the DHCP setting does not permit it", "set host name and DHCP mode to fit each other"},
	27: {"PT_STATUS_INVALID_IP_ADDRESS", "an address is not accepted", "check address, mask and gateway"},
	28: {"PT_STATUS_INVALID_DOMAIN_NAME", "the domain name is not accepted", "check the domain part of the FQDN that the map or the script gave"},
	30: {"PT_STATUS_REQUEST_UNEXPECTED", "not at this moment", "begin the setup again"},
	32: {"PT_STATUS_INVALID_PROVISIONING_STATE", "not in this provisioning state", "read the provisioning state: the setup window may be over, or the client is provisioned"},
	33: {"PT_STATUS_UNSUPPORTED_OBJECT", "this firmware does not have it", "leave the setting out of the profile for this version"},
	34: {"PT_STATUS_INVALID_TIME", "the time is not accepted", "check the clock of the server"},
	35: {"PT_STATUS_INVALID_INDEX", "there is no entry of this number", "read the list again"},
	36: {"PT_STATUS_INVALID_PARAMETER", "a value is not accepted", "check the profile: passwords, names, realms"},
	37: {"PT_STATUS_INVALID_NETMASK", "the network mask is not accepted", "check address, mask and gateway"},
	38: {"PT_STATUS_FLASH_WRITE_LIMIT_EXCEEDED", "too much was written to the flash memory in a short time", "wait; the firmware raises the limit with time, at the latest after a restart of the ME"},
	42: {"PT_STATUS_INVALID_PID_FORMAT", "the PID is not of the form that the firmware wants", "make the pair with a generator that sets the check characters"},
	43: {"PT_STATUS_INVALID_PPS_FORMAT", "the PPS is not of the form that the firmware wants", "make the pair with a generator that sets the check characters"},
	47: {"PT_STATUS_RNG_GENERATION_IN_PROGRESS", "the firmware is still gathering random numbers", "try again in a minute"},
	48: {"PT_STATUS_RNG_NOT_READY", "the firmware has no random numbers yet", "try again in a few minutes"},
	49: {"PT_STATUS_CERTIFICATE_NOT_READY", "the firmware has not made its own certificate yet", "try again in a few minutes"},

	2053: {"PT_STATUS_INVALID_HANDLE", "there is no entry of this handle", "read the list again"},
	2054: {"PT_STATUS_INVALID_PASSWORD", "the password is not strong enough or has a character that is not permitted", "8 to 32 characters with an upper-case and a lower-case letter, a digit and one other, but no colon, comma or double quote"},
	2055: {"PT_STATUS_INVALID_REALM", "a realm is not accepted", "check the realms of the user; some exist only in later versions"},
	2056: {"PT_STATUS_STORAGE_ACL_ENTRY_IN_USE", "the entry is in use", "log the user off first"},
	2057: {"PT_STATUS_DATA_MISSING", "a setting that must be there is missing", "set host name, clock and, on newer firmware, the MEBx password; with TLS also key and certificate"},
	2058: {"PT_STATUS_DUPLICATE", "it is there already", ""},
	2059: {"PT_STATUS_EVENTLOG_FROZEN", "the event log is frozen", ""},
	2060: {"PT_STATUS_PKI_MISSING_KEYS", "there is no key for it", "make the key pair first"},
	2061: {"PT_STATUS_PKI_GENERATING_KEYS", "the firmware is still making a key", "try again in a minute"},
	2062: {"PT_STATUS_INVALID_KEY", "the key is not accepted", "use RSA with 2048 bits"},
	2063: {"PT_STATUS_INVALID_CERT", "the certificate is not accepted", "check its form and its dates against the client's clock"},
	2064: {"PT_STATUS_CERT_KEY_NOT_MATCH", "certificate and key do not belong together", "sign the key that the firmware made"},
	2065: {"PT_STATUS_MAX_KERB_DOMAIN_REACHED", "there is no room for one more Kerberos domain", "remove entries that are not used"},
	2066: {"PT_STATUS_UNSUPPORTED", "this firmware does not have it", "leave the setting out of the profile for this version"},
	2067: {"PT_STATUS_INVALID_PRIORITY", "the priority is not accepted", ""},
	2068: {"PT_STATUS_NOT_FOUND", "it is not there", "read the list again"},
	2069: {"PT_STATUS_INVALID_CREDENTIALS", "the log-in is not accepted", "use the password that the client has"},
	2070: {"PT_STATUS_INVALID_PASSPHRASE", "the pass phrase is not accepted", ""},
	2072: {"PT_STATUS_NO_ASSOCIATION", "the parts are not linked to each other", ""},
	2075: {"PT_STATUS_AUDIT_FAIL", "it could not be written to the audit log", "let the auditor export and clear the audit log"},
	2076: {"PT_STATUS_BLOCKING_COMPONENT", "another part of the firmware blocks it", "let the auditor release it, or wait until the BIOS has finished its start"},
	2081: {"PT_STATUS_USER_CONSENT_REQUIRED", "the user at the PC has to agree first", "get the code from the user's screen"},
}

// hostStatus holds the return values of IPS_HostBasedSetupService (provisioning-protocol 3.4).
var hostStatus = map[int]Status{
	0: {"PT_STATUS_SUCCESS", "done", ""},
	1: {"INTERNAL_ERROR", "the firmware met a fault of its own", "try again; when it stays, restart the PC"},
	2: {"INVALID_STATE", "not in this state: the client may be set up already", "read the provisioning state and the control mode"},
	3: {"INVALID_PARAM", "a value is not accepted", "check the password and, for admin control, chain, nonce and signature"},
	4: {"METHOD_DISABLED", "the BIOS or the maker has switched this way of setup off", "set the client up over the network"},
	5: {"AUTH_FAILED", "the signature or the certificate chain is not accepted", "check the provisioning certificate: usage, suffix, root hash"},
	6: {"FLASH_WRITE_LIMIT_EXCEEDED", "too much was written to the flash memory in a short time", "wait, then try again"},
}

// chainStatus holds the return values of AddNextCertInChain (provisioning-protocol 3.4).
var chainStatus = map[int]Status{
	0: {"PT_STATUS_SUCCESS", "done", ""},
	1: {"INVALID_PARAM", "the certificate is not accepted", "check its form: DER, RSA"},
	2: {"INTERNAL_ERROR", "the firmware met a fault of its own", "try again; when it stays, restart the PC"},
	3: {"INVALID_STATE", "not in this state: a chain was begun, or the client is set up", "restart the setup service of the firmware by a restart of the PC"},
	4: {"CERT_VERIFY_FAILED", "the chain does not hold: signature, order, or a hash algorithm that this version refuses", "send leaf, intermediates, root in this order; from 16.0 none may use SHA-1"},
	5: {"CERT_CHAIN_TOO_LONG", "the chain has too many certificates", "leave out cross certificates"},
}
