package device

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"amtmedic/amt/wsman"
)

// HostBased is what a Device can be too: firmware from 6.2 on can be set up by the PC's own system,
// without hellos. Ask with a type assertion. It is sent through the firmware's local interface.
type HostBased interface {
	// HostState reads the control mode and what may be set up.
	HostState(ctx context.Context) (HostState, error)
	// SetupClient brings the client into client control mode.
	SetupClient(ctx context.Context, l Login) error
	// SetupAdmin brings the client into admin control mode, with a provisioning certificate.
	SetupAdmin(ctx context.Context, l Login, c Chain) error
}

// ControlMode says who controls a provisioned client.
type ControlMode int

// The control modes of IPS_HostBasedSetupService.
const (
	NotSetUp      ControlMode = 0
	ClientControl ControlMode = 1 // the PC's user consents to what disturbs
	AdminControl  ControlMode = 2
)

// HostState is what IPS_HostBasedSetupService says.
type HostState struct {
	Mode    ControlMode
	Allowed []ControlMode
	nonce   []byte
	chain   int // 0 no certificate was added, 1 some, 2 the chain is complete
}

// Chain is a provisioning certificate with its key.
type Chain struct {
	Certificates [][]byte // DER, the leaf first, the root last
	Key          crypto.Signer
	Rand         io.Reader // for our nonce; nil is crypto/rand
}

// How the password and the signature are given (provisioning-protocol 3.4).
const (
	passwordDigest = 2 // HTTP digest HA1 in hexadecimal
	signRSASHA256  = 2
	nonceLen       = 20
)

// HostState reads the service.
func (d *wsmanDevice) HostState(ctx context.Context) (HostState, error) {
	n, err := d.get(ctx, wsman.ClassHost)
	if err != nil {
		return HostState{}, err
	}
	h, err := wsman.ReadHostSetup(n)
	if err != nil {
		return HostState{}, d.unreadable(wsman.ClassHost, err)
	}
	s := HostState{Mode: ControlMode(h.Current), nonce: h.Nonce, chain: h.Chain}
	for _, m := range h.Allowed {
		s.Allowed = append(s.Allowed, ControlMode(m))
	}
	return s, nil
}

// hostReady reads the state; done tells that the mode is the wanted one already.
func (d *wsmanDevice) hostReady(ctx context.Context, mode ControlMode) (s HostState, done bool, err error) {
	if s, err = d.HostState(ctx); err != nil {
		return s, false, err
	}
	switch {
	case s.Mode == mode:
		return s, true, nil
	case s.Mode != NotSetUp:
		e := d.failure(wsman.ClassHost, KindState, fmt.Errorf("the client is set up already, with control mode %d", s.Mode))
		return s, false, e
	case len(s.Allowed) > 0 && !slices.Contains(s.Allowed, mode):
		e := d.failure(wsman.ClassHost, KindState, fmt.Errorf("control mode %d is not permitted on this client", mode))
		e.Hint = "set the client up over the network"
		return s, false, e
	}
	return s, false, nil
}

// hostDigest gives the HA1 in hexadecimal. Here the realm is that of the settings: before the setup
// there is no log-in with a challenge.
func (d *wsmanDevice) hostDigest(ctx context.Context, l Login) ([]wsman.Node, error) {
	if err := d.readGeneral(ctx); err != nil {
		return nil, err
	}
	if d.realm == "" {
		return nil, d.unreadable(wsman.ClassGeneral, errors.New("the client names no realm for its log-in"))
	}
	sum := HA1(d.realm, l)
	text := hex.EncodeToString(sum[:])
	d.hide(text)
	return []wsman.Node{wsman.ParamInt("NetAdminPassEncryptionType", passwordDigest), wsman.Param("NetworkAdminPassword", text)}, nil
}

// hostCall makes a call that is never sent twice: the second would meet another state.
func (d *wsmanDevice) hostCall(ctx context.Context, method string, params []wsman.Node) error {
	_, err := d.result(ctx, wsman.Invoke(wsman.ClassHost, method, params), wsman.ClassHost, method, true)
	return err
}

// SetupClient needs the password only.
func (d *wsmanDevice) SetupClient(ctx context.Context, l Login) error {
	_, done, err := d.hostReady(ctx, ClientControl)
	if done || err != nil {
		return err
	}
	params, err := d.hostDigest(ctx, l)
	if err != nil {
		return err
	}
	if err := d.hostCall(ctx, "Setup", params); err != nil {
		return err
	}
	d.LogIn(l)
	return nil
}

// SetupAdmin shows the chain and proves its key: a signature over the firmware's nonce and ours.
func (d *wsmanDevice) SetupAdmin(ctx context.Context, l Login, c Chain) error {
	s, done, err := d.hostReady(ctx, AdminControl)
	if done || err != nil {
		return err
	}
	if len(s.nonce) == 0 {
		return d.unreadable(wsman.ClassHost, errors.New("the client gives no nonce to sign"))
	}
	proof, err := c.sign(s.nonce)
	if err != nil {
		return d.failure("sign the client's nonce", KindLocal, err)
	}
	params, err := d.hostDigest(ctx, l)
	if err != nil {
		return err
	}
	if s.chain != 2 {
		if err := d.showChain(ctx, c.Certificates); err != nil {
			return err
		}
	}
	if err := d.hostCall(ctx, "AdminSetup", append(params, proof...)); err != nil {
		return err
	}
	d.LogIn(l)
	return nil
}

func (d *wsmanDevice) showChain(ctx context.Context, chain [][]byte) error {
	if len(chain) < 2 {
		return d.failure(wsman.ClassHost+".AddNextCertInChain", KindLocal, errors.New("the chain needs the leaf and its root"))
	}
	for i, der := range chain {
		err := d.hostCall(ctx, "AddNextCertInChain", []wsman.Node{wsman.Param("NextCertificate", base64.StdEncoding.EncodeToString(der)),
			wsman.ParamBool("IsLeafCertificate", i == 0), wsman.ParamBool("IsRootCertificate", i == len(chain)-1)})
		if err != nil {
			return fmt.Errorf("certificate %d of %d: %w", i+1, len(chain), err)
		}
	}
	return nil
}

// sign gives the parameters that prove the key.
func (c Chain) sign(theirs []byte) ([]wsman.Node, error) {
	if c.Key == nil {
		return nil, errors.New("there is no key")
	}
	random := c.Rand
	if random == nil {
		random = rand.Reader
	}
	ours := make([]byte, nonceLen)
	if _, err := io.ReadFull(random, ours); err != nil {
		return nil, fmt.Errorf("read random bytes: %w", err)
	}
	sum := sha256.Sum256(append(slices.Clone(theirs), ours...))
	signature, err := c.Key.Sign(random, sum[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return []wsman.Node{wsman.Param("McNonce", base64.StdEncoding.EncodeToString(ours)), wsman.ParamInt("SigningAlgorithm", signRSASHA256),
		wsman.Param("DigitalSignature", base64.StdEncoding.EncodeToString(signature))}, nil
}
