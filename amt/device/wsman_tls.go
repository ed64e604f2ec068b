package device

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"amtmedic/amt/wsman"
)

// Waiting for a key: firmware makes it from random numbers that it has to gather first.
const (
	keyWait     = time.Second // before the second attempt; doubled up to keyWaitMost
	keyWaitMost = 10 * time.Second
	keyTries    = 24 // about three and a half minutes
)

// keepFor is how long a certificate has to be valid for it to be kept.
const keepFor = 24 * time.Hour

// store is what a client has of keys and certificates.
type store struct {
	settings []wsman.TLSSetting
	inUse    string // InstanceID of the certificate in use; empty when there is none
	certs    []wsman.Certificate
	keys     []wsman.KeyPair
}

func (d *wsmanDevice) readStore(ctx context.Context) (*store, error) {
	s, err := d.readSwitches(ctx)
	if err != nil {
		return nil, err
	}
	return s, d.readCertificates(ctx, s)
}

// readSwitches reads whether TLS is on.
func (d *wsmanDevice) readSwitches(ctx context.Context) (*store, error) {
	s := &store{}
	return s, each(ctx, d, wsman.ClassTLS, func(n *wsman.Node) error {
		v, err := wsman.ReadTLSSetting(n)
		s.settings = append(s.settings, v)
		return err
	})
}

func (d *wsmanDevice) readCertificates(ctx context.Context, s *store) error {
	if err := d.readContext(ctx, s); err != nil {
		return err
	}
	return each(ctx, d, wsman.ClassCertificate, func(n *wsman.Node) error {
		v, err := wsman.ReadCertificate(n)
		s.certs = append(s.certs, v)
		return err
	})
}

// readContext reads which certificate is in use.
func (d *wsmanDevice) readContext(ctx context.Context, s *store) error {
	return each(ctx, d, wsman.ClassTLSContext, func(n *wsman.Node) (err error) {
		s.inUse, err = wsman.ContextCertificate(n)
		return err
	})
}

func (d *wsmanDevice) readKeys(ctx context.Context, s *store) error {
	return each(ctx, d, wsman.ClassKeyPair, func(n *wsman.Node) error {
		v, err := wsman.ReadKeyPair(n)
		s.keys = append(s.keys, v)
		return err
	})
}

// each reads the instances of a class.
func each(ctx context.Context, d *wsmanDevice, class string, read func(*wsman.Node) error) error {
	items, err := d.list(ctx, class)
	if err != nil {
		return err
	}
	for i := range items {
		if err := read(&items[i]); err != nil {
			return d.unreadable(class, err)
		}
	}
	return nil
}

// used gives the certificate in use, nil when there is none or it cannot be read.
func (s *store) used() *x509.Certificate {
	for _, c := range s.certs {
		if s.inUse != "" && c.ID == s.inUse {
			cert, err := x509.ParseCertificate(c.DER)
			if err != nil {
				return nil
			}
			return cert
		}
	}
	return nil
}

func (s *store) setting(id string) (wsman.TLSSetting, bool) {
	for _, v := range s.settings {
		if v.ID == id {
			return v, true
		}
	}
	return wsman.TLSSetting{}, false
}

// TLS reads how TLS is set.
func (d *wsmanDevice) TLS(ctx context.Context) (TLSState, error) {
	s, err := d.readSwitches(ctx)
	if err != nil {
		return TLSState{}, err
	}
	remote, _ := s.setting(wsman.TLSRemote)
	local, _ := s.setting(wsman.TLSLocal)
	if remote.Enabled || local.Enabled { // else none is in use
		if err := d.readCertificates(ctx, s); err != nil {
			return TLSState{}, err
		}
	}
	return TLSState{Remote: remote.Enabled, Local: local.Enabled, Plain: remote.Plain, Mutual: remote.Mutual, Names: remote.Names, Certificate: s.used()}, nil
}

// SetTLS makes key and certificate where there are none that will do, and switches TLS.
func (d *wsmanDevice) SetTLS(ctx context.Context, t TLS) error {
	s, err := d.readSwitches(ctx)
	if err == nil && t.On {
		err = d.readCertificates(ctx, s)
	}
	if err != nil {
		return err
	}
	if t.On && !d.fits(s.used(), t) {
		if t.Sign == nil || t.Root == nil {
			return d.failure("TLS", KindLocal, errors.New("a certificate is needed, and nobody signs it"))
		}
		if err := d.certify(ctx, s, t); err != nil {
			return err
		}
	}
	if t.On && t.TrustRoot {
		if err := d.trust(ctx, s, t.Root); err != nil {
			return err
		}
	}
	if t.On {
		for _, root := range t.Roots {
			if err := d.trust(ctx, s, root); err != nil {
				return err
			}
		}
	}
	if err := d.switchTLS(ctx, s, wsman.TLSRemote, tlsSwitch{on: t.On, mutual: t.On && t.Mutual, plain: !t.On || t.Plain, names: t.Names}); err != nil {
		return err
	}
	if _, ok := s.setting(wsman.TLSLocal); !ok {
		return nil
	}
	return d.switchTLS(ctx, s, wsman.TLSLocal, tlsSwitch{on: t.On && t.Local, plain: true})
}

// fits reports whether the certificate in use can stay.
func (d *wsmanDevice) fits(c *x509.Certificate, t TLS) bool {
	keep := t.KeepFor
	if keep == 0 {
		keep = keepFor
	}
	if c == nil || t.Root == nil || c.CheckSignatureFrom(t.Root) != nil || !c.NotAfter.After(d.o.Now().Add(keep)) ||
		t.Name != "" && c.VerifyHostname(t.Name) != nil {
		return false
	}
	good, _ := t.standing(c)
	return good
}

func (t *TLS) standing(c *x509.Certificate) (good, leaked bool) {
	if t.Standing == nil {
		return true, false
	}
	return t.Standing(c)
}

// certify has a key made, signed and put to use, or puts to use what an earlier session left.
func (d *wsmanDevice) certify(ctx context.Context, s *store, t TLS) error {
	if err := d.readKeys(ctx, s); err != nil {
		return err
	}
	for _, c := range s.certs {
		if cert, err := x509.ParseCertificate(c.DER); err == nil && !c.Root && s.hasKey(cert) && d.fits(cert, t) {
			return d.use(ctx, s, c.ID)
		}
	}
	pair, err := d.keyFor(ctx, s, t)
	if err != nil {
		return err
	}
	key, err := x509.ParsePKCS1PublicKey(pair.Key)
	if err != nil {
		return d.unreadable(wsman.ClassKeyPair, fmt.Errorf("key of %q: %w", pair.ID, err))
	}
	der, err := t.Sign(ctx, key)
	if err != nil {
		return d.failure("sign the client's certificate", KindLocal, err)
	}
	id, err := d.addCertificate(ctx, "AddCertificate", der)
	if err != nil {
		return err
	}
	return d.use(ctx, s, id)
}

// keyFor gives the key of a certificate in use that the same authority signed for the same name and that
// only runs out or was revoked: it is renewed. Else it gives a free key.
func (d *wsmanDevice) keyFor(ctx context.Context, s *store, t TLS) (wsman.KeyPair, error) {
	if used := s.used(); used != nil && used.CheckSignatureFrom(t.Root) == nil && (t.Name == "" || used.VerifyHostname(t.Name) == nil) {
		_, leaked := t.standing(used)
		for _, k := range s.keys {
			if !leaked && len(k.Key) > 0 && bytes.Contains(used.RawSubjectPublicKeyInfo, k.Key) {
				return k, nil
			}
		}
	}
	return d.freeKey(ctx, s, t)
}

// freeKey gives a key pair that no certificate belongs to: one that an earlier session had made, or a
// new one.
func (d *wsmanDevice) freeKey(ctx context.Context, s *store, t TLS) (wsman.KeyPair, error) {
	for _, k := range s.keys {
		if !s.bound(k.Key) {
			return k, nil
		}
	}
	pair, err := d.generate(ctx)
	if KindOf(err) == KindMissing {
		return d.addKey(ctx, t)
	}
	return pair, err
}

// addKey makes a key here, for firmware that makes none itself, and stores it in the client. Nothing
// of it is kept on this side.
func (d *wsmanDevice) addKey(ctx context.Context, t TLS) (wsman.KeyPair, error) {
	const method = "AddKey"
	make2048 := t.NewKey
	if make2048 == nil {
		make2048 = func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }
	}
	key, err := make2048()
	if err != nil {
		return wsman.KeyPair{}, d.failure("make a key", KindLocal, err)
	}
	blob := base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(key))
	d.hide(blob)
	n, err := d.result(ctx, wsman.Invoke(wsman.ClassKeys, method, []wsman.Node{wsman.Param("KeyBlob", blob)}), wsman.ClassKeys, method, true)
	if err != nil {
		return wsman.KeyPair{}, err
	}
	ref, ok := wsman.ReadReference(n.Child("CreatedKey"))
	if !ok {
		return wsman.KeyPair{}, d.unreadable(wsman.ClassKeys+"."+method, errors.New("the answer names no key"))
	}
	return wsman.KeyPair{ID: ref.Key("InstanceID"), Key: x509.MarshalPKCS1PublicKey(&key.PublicKey)}, nil
}

// hasKey reports whether the key of a certificate is one of the client's.
func (s *store) hasKey(c *x509.Certificate) bool {
	return slices.ContainsFunc(s.keys, func(k wsman.KeyPair) bool {
		return len(k.Key) > 0 && bytes.Contains(c.RawSubjectPublicKeyInfo, k.Key)
	})
}

// bound reports whether a certificate holds the key.
func (s *store) bound(pkcs1 []byte) bool {
	for _, c := range s.certs {
		if bytes.Contains(c.DER, pkcs1) { // SubjectPublicKeyInfo holds RSAPublicKey as it is
			return true
		}
	}
	return false
}

// generate lets the firmware make a key, for as long as it is not ready.
func (d *wsmanDevice) generate(ctx context.Context) (wsman.KeyPair, error) {
	const method = "GenerateKeyPair"
	wait := keyWait
	for try := 1; ; try++ {
		n, err := d.result(ctx, wsman.Invoke(wsman.ClassKeys, method, []wsman.Node{wsman.ParamInt("KeyAlgorithm", 0), wsman.ParamInt("KeyLength", 2048)}), wsman.ClassKeys, method, true)
		if err == nil {
			return d.readKey(ctx, n)
		}
		if !busy(err) || try == keyTries {
			return wsman.KeyPair{}, err
		}
		if ended := d.o.Wait(ctx, wait); ended != nil {
			return wsman.KeyPair{}, d.failure(wsman.ClassKeys+"."+method, contextKind(ended), fmt.Errorf("still not ready: %w", err))
		}
		wait = min(2*wait, keyWaitMost)
	}
}

// busy reports whether firmware may make a key a little later: its return value says so, or it gives
// up with a fault of its own side. MeshCentral asks again after both, up to 20 times.
func busy(err error) bool {
	var ret *wsman.ReturnError
	var f *wsman.Fault
	switch {
	case errors.As(err, &ret):
		return wsman.NotReady(ret.Code)
	case errors.As(err, &f):
		return f.Code == "Receiver"
	}
	return false
}

func (d *wsmanDevice) readKey(ctx context.Context, n *wsman.Node) (wsman.KeyPair, error) {
	op := wsman.ClassKeys + ".GenerateKeyPair"
	ref, ok := wsman.ReadReference(n.Child("KeyPair"))
	if !ok || ref.Key("InstanceID") == "" {
		return wsman.KeyPair{}, d.unreadable(op, errors.New("the answer names no key pair"))
	}
	inst, err := d.get(ctx, wsman.ClassKeyPair, ref.Selectors...)
	if err != nil {
		return wsman.KeyPair{}, err
	}
	k, err := wsman.ReadKeyPair(inst)
	if err != nil {
		return k, d.unreadable(wsman.ClassKeyPair, err)
	}
	return k, nil
}

// addCertificate stores a certificate and gives its InstanceID. One that is there already is found.
func (d *wsmanDevice) addCertificate(ctx context.Context, method string, der []byte) (string, error) {
	n, err := d.invoke(ctx, wsman.ClassKeys, method, wsman.Param("CertificateBlob", base64.StdEncoding.EncodeToString(der)))
	var ret *wsman.ReturnError
	if errors.As(err, &ret) && ret.Code == wsman.CodeDuplicate {
		return d.findCertificate(ctx, der)
	}
	if err != nil {
		return "", err
	}
	ref, ok := wsman.ReadReference(n.Child("CreatedCertificate"))
	if !ok || ref.Key("InstanceID") == "" {
		return "", d.unreadable(wsman.ClassKeys+"."+method, errors.New("the answer names no certificate"))
	}
	return ref.Key("InstanceID"), nil
}

func (d *wsmanDevice) findCertificate(ctx context.Context, der []byte) (id string, err error) {
	err = each(ctx, d, wsman.ClassCertificate, func(n *wsman.Node) error {
		c, err := wsman.ReadCertificate(n)
		if bytes.Equal(c.DER, der) {
			id = c.ID
		}
		return err
	})
	if err == nil && id == "" {
		err = d.unreadable(wsman.ClassCertificate, errors.New("a certificate that is there already is not in the list"))
	}
	return id, err
}

// use gives a certificate to the TLS endpoints.
func (d *wsmanDevice) use(ctx context.Context, s *store, id string) error {
	point := func(name, class, key, value string) wsman.Node {
		return wsman.ParamRef(wsman.ClassTLSContext, name, wsman.Reference{Resource: wsman.URI(class), Selectors: []wsman.Selector{{Name: key, Value: value}}})
	}
	fields := []wsman.Node{point("ElementInContext", wsman.ClassCertificate, "InstanceID", id),
		point("ElementProvidingContext", wsman.ClassTLSEndpoint, "ElementName", wsman.TLSEndpoints)}
	if s.inUse != "" {
		_, err := d.put(ctx, wsman.ClassTLSContext, wsman.Node{Space: wsman.URI(wsman.ClassTLSContext), Local: wsman.ClassTLSContext, Nodes: fields})
		return err
	}
	r := wsman.Create(wsman.ClassTLSContext, fields...)
	a, err := d.ask(ctx, r, false)
	if KindOf(err) == KindFault { // the first answer may have been lost: it is there then
		if now := (&store{}); d.readContext(ctx, now) == nil && now.inUse == id {
			s.inUse = id
			return nil
		}
	}
	if err != nil {
		return err
	}
	_, err = a.Created()
	return d.outcome(r.Op, a, err)
}

// trust stores a root certificate.
func (d *wsmanDevice) trust(ctx context.Context, s *store, root *x509.Certificate) error {
	for _, c := range s.certs {
		if c.Root && root != nil && bytes.Equal(c.DER, root.Raw) {
			return nil
		}
	}
	if root == nil {
		return d.failure("TLS", KindLocal, errors.New("no root is named that the client should trust"))
	}
	_, err := d.addCertificate(ctx, "AddTrustedRootCertificate", root.Raw)
	return err
}

// tlsSwitch is one of the two settings.
type tlsSwitch struct {
	on, mutual, plain bool
	names             []string
}

// switchTLS writes one of the two settings when it differs.
func (d *wsmanDevice) switchTLS(ctx context.Context, s *store, id string, to tlsSwitch) error {
	v, ok := s.setting(id)
	if !ok {
		return d.unreadable(wsman.ClassTLS, fmt.Errorf("there is no instance %q", id))
	}
	if !to.mutual {
		to.names = v.Names
	}
	if v.Enabled == to.on && v.Mutual == to.mutual && (v.Plain == to.plain || !to.on) && slices.Equal(v.Names, to.names) {
		return nil
	}
	text := map[bool]string{true: "true", false: "false"}
	n := v.Node.Set("Enabled", text[to.on]).Set("MutualAuthentication", text[to.mutual]).Set("AcceptNonSecureConnections", text[to.plain])
	n = n.SetAll("TrustedCN", to.names)
	_, err := d.put(ctx, wsman.ClassTLS, n, wsman.Selector{Name: "InstanceID", Value: id})
	return err
}

// TidyTLS removes what earlier certificates of an authority left.
func (d *wsmanDevice) TidyTLS(ctx context.Context, authority *x509.Certificate) error {
	s, err := d.readStore(ctx)
	if err == nil {
		err = d.readKeys(ctx, s)
	}
	used := s.used()
	if err != nil || used == nil {
		return err
	}
	for _, c := range s.certs {
		cert, err := x509.ParseCertificate(c.DER)
		if err != nil || c.Root || c.ID == s.inUse || cert.CheckSignatureFrom(authority) != nil {
			continue
		}
		if err := d.remove(ctx, wsman.ClassCertificate, c.ID); err != nil {
			return err
		}
		for _, k := range s.keys {
			if len(k.Key) > 0 && bytes.Contains(cert.RawSubjectPublicKeyInfo, k.Key) && !bytes.Contains(used.RawSubjectPublicKeyInfo, k.Key) {
				if err := d.remove(ctx, wsman.ClassKeyPair, k.ID); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// remove deletes an instance by its InstanceID. One that is gone is removed already.
func (d *wsmanDevice) remove(ctx context.Context, class, id string) error {
	_, err := d.ask(ctx, wsman.Delete(class, wsman.Selector{Name: "InstanceID", Value: id}), false)
	if f := (*wsman.Fault)(nil); errors.As(err, &f) && f.Subcode == "InvalidSelectors" {
		return nil
	}
	return err
}

// pause waits, or gives the context's error.
func pause(ctx context.Context, t time.Duration) error {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
