package engine

import (
	"strings"
)

// tlsSetting is one instance of AMT_TLSSettingData.
type tlsSetting struct {
	enabled, mutual bool
	plain           bool // AcceptNonSecureConnections
	names           []string
}

// tlsInForce is what CommitChanges put into force.
type tlsInForce struct {
	setting tlsSetting
	cert    []byte // DER
	key     int    // handle
	roots   [][]byte
}

const (
	tlsRemote      = "Intel(r) AMT 802.3 TLS Settings"
	tlsLocal       = "Intel(r) AMT LMS TLS Settings"
	tlsCollection  = "TLSProtocolEndpoint Instances Collection"
	tlsCollection2 = "TLSProtocolEndpointInstances Collection" // as MeshCentral writes it
	certID         = "Intel(r) AMT Certificate: Handle: "
	keyID          = "Intel(r) AMT Key: Handle: "
)

// tlsClasses: TLS settings, and which certificate is shown.
var tlsClasses = []class{
	{name: "AMT_TLSSettingData", since: [2]int{3, 0}, keys: []string{"InstanceID"}, put: putTLSSetting,
		list: func(e *Engine) []instance {
			return []instance{e.st.remote.instance(tlsRemote), e.st.local.instance(tlsLocal)}
		}},
	{name: "AMT_TLSProtocolEndpointCollection", since: [2]int{3, 0}, keys: []string{"ElementName"},
		list: func(e *Engine) []instance { return []instance{{str("ElementName", tlsCollection)}} }},
	{name: "AMT_TLSCredentialContext", since: [2]int{3, 0}, keys: []string{"ElementInContext", "ElementProvidingContext"},
		list: credentialContexts, create: createContext,
		put: func(e *Engine, c *call, _ instance, b *node) int { return e.setContext(c, b) },
		remove: func(e *Engine, c *call, _ instance) int {
			// Only while nothing in force or pending needs it (unverified).
			if e.st.remote.enabled || e.st.force.setting.enabled {
				return ptNotPermitted
			}
			e.st.context = -1
			e.changed(c, ChangeTLS)
			return 0
		}},
}

func (t tlsSetting) instance(id string) instance {
	i := instance{yes("AcceptNonSecureConnections", t.plain), str("ElementName", id), yes("Enabled", t.enabled),
		str("InstanceID", id), yes("MutualAuthentication", t.mutual)}
	for _, n := range t.names {
		i = append(i, str("TrustedCN", n))
	}
	return i
}

func putTLSSetting(e *Engine, c *call, old instance, b *node) int {
	t := &e.st.remote
	if old.get("InstanceID") == tlsLocal {
		t = &e.st.local
	}
	n := *t
	for name, to := range map[string]*bool{"Enabled": &n.enabled, "MutualAuthentication": &n.mutual, "AcceptNonSecureConnections": &n.plain} {
		switch v, ok := b.lookup(name); {
		case !ok:
		case v != "true" && v != "false":
			return ptInvalidParam
		default:
			*to = v == "true"
		}
	}
	n.names = nil
	for _, s := range b.values("TrustedCN") {
		if s != "" {
			n.names = append(n.names, s)
		}
	}
	if len(n.names) > 4 { // as many as firmware keeps (unverified)
		return ptMaxLimit
	}
	if n.enabled && e.st.context < 0 {
		return ptMissingKeys
	}
	*t = n
	e.st.generation++
	if t == &e.st.remote && e.st.force.setting.enabled { // names need no CommitChanges (Intel's guide, TLS)
		e.st.force.setting.names = append([]string(nil), n.names...)
	}
	return 0
}

func (e *Engine) contextInstance() instance {
	return instance{
		to("ElementInContext", byInstance("AMT_PublicKeyCertificate", certID+itoa(e.st.context))),
		to("ElementProvidingContext", reference{class: "AMT_TLSProtocolEndpointCollection", by: []selector{{name: "ElementName", text: tlsCollection}}})}
}

func credentialContexts(e *Engine) []instance {
	if e.st.context < 0 {
		return nil
	}
	return []instance{e.contextInstance()}
}

func createContext(e *Engine, c *call, b *node) (reference, int) {
	if e.st.context >= 0 {
		return reference{}, ptDuplicate
	}
	if pt := e.setContext(c, b); pt != 0 {
		return reference{}, pt
	}
	r := reference{class: "AMT_TLSCredentialContext"}
	for _, f := range e.contextInstance() {
		r.by = append(r.by, selector{name: f.name, ref: f.ref})
	}
	return r, 0
}

// setContext names the certificate for TLS. Its key has to be in the store.
func (e *Engine) setContext(c *call, b *node) int {
	cert, providing := b.kid("ElementInContext"), b.kid("ElementProvidingContext")
	if cert == nil || providing == nil {
		return ptInvalidParam
	}
	r, ok := readReference(cert, 0)
	p, ok2 := readReference(providing, 0)
	name, _ := p.value("ElementName")
	if !ok || !ok2 || r.class != "AMT_PublicKeyCertificate" || p.class != "AMT_TLSProtocolEndpointCollection" ||
		(name != tlsCollection && name != tlsCollection2) {
		return ptInvalidParam
	}
	h := e.certAt(r)
	if h < 0 {
		return ptNotFound
	}
	if e.st.certs[h].root {
		return ptInvalidCert
	}
	if e.keyOf(h) < 0 {
		return ptKeyMismatch
	}
	e.st.context = h
	e.changed(c, ChangeTLS)
	return 0
}

// enforceTLS puts the settings into force, as CommitChanges does.
func (e *Engine) enforceTLS() {
	s := &e.st
	f := tlsInForce{setting: s.remote, key: -1, roots: e.roots()}
	if s.context >= 0 {
		f.cert, f.key = s.certs[s.context].der, e.keyOf(s.context)
	}
	f.setting.names = append([]string(nil), s.remote.names...)
	s.force = f
}

// certAt finds the handle of the certificate that a reference names; -1 for none.
func (e *Engine) certAt(r reference) int {
	id, _ := r.value("InstanceID")
	h := handleIn(id, certID)
	if _, ok := e.st.certs[h]; !ok || r.class != "AMT_PublicKeyCertificate" {
		return -1
	}
	return h
}

// handleIn reads the number after a prefix; -1 when there is none.
func handleIn(id, prefix string) int {
	s, ok := strings.CutPrefix(id, prefix)
	if !ok {
		return -1
	}
	return atoi(s)
}
