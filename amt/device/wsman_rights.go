package device

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"amtmedic/amt/wsman"
)

// Numbers of AMT_RedirectionService.EnabledState: this one is both off, bit 0 is IDE redirection, bit 1
// serial over LAN.
const (
	redirectOff = 32768
	redirectIDE = 1
	redirectSOL = 2
)

// Redirection reads AMT_RedirectionService.
func (d *wsmanDevice) Redirection(ctx context.Context) (Redirection, error) {
	r, _, _, err := d.readRedirection(ctx)
	return r, err
}

func (d *wsmanDevice) readRedirection(ctx context.Context) (r Redirection, bits int, n *wsman.Node, err error) {
	if n, err = d.get(ctx, wsman.ClassRedirect); err != nil {
		return r, 0, nil, err
	}
	bits, err = n.Int("EnabledState")
	if err == nil && (bits < redirectOff || bits > redirectOff+redirectIDE+redirectSOL) {
		err = errors.New("EnabledState is none of the four that there are")
	}
	listens, err2 := n.Bool("ListenerEnabled")
	if err = errors.Join(err, err2); err != nil {
		return r, 0, nil, d.unreadable(wsman.ClassRedirect, err)
	}
	bits -= redirectOff
	ide, sol := bits&redirectIDE != 0, bits&redirectSOL != 0
	return Redirection{SOL: &sol, IDER: &ide, Listener: &listens}, bits, n, nil
}

// SetRedirection changes the state by its own method, and the listener by a Put of what is then there.
func (d *wsmanDevice) SetRedirection(ctx context.Context, want Redirection) error {
	now, bits, n, err := d.readRedirection(ctx)
	if err != nil {
		return err
	}
	next := bits
	for bit, to := range map[int]*bool{redirectIDE: want.IDER, redirectSOL: want.SOL} {
		switch {
		case to == nil:
		case *to:
			next |= bit
		default:
			next &^= bit
		}
	}
	if next != bits {
		if _, err := d.invoke(ctx, wsman.ClassRedirect, "RequestStateChange", wsman.ParamInt("RequestedState", int64(redirectOff+next))); err != nil {
			return err
		}
	}
	if want.Listener == nil {
		return nil
	}
	if next != bits { // the change may have switched the listener
		if now, _, n, err = d.readRedirection(ctx); err != nil {
			return err
		}
	}
	if *want.Listener == *now.Listener {
		return nil
	}
	_, err = d.put(ctx, wsman.ClassRedirect, n.Set("ListenerEnabled", strconv.FormatBool(*want.Listener)))
	return err
}

// Consent reads IPS_OptInService.
func (d *wsmanDevice) Consent(ctx context.Context) (Consent, error) {
	c, _, err := d.readConsent(ctx)
	return c, err
}

func (d *wsmanDevice) readConsent(ctx context.Context) (Consent, *wsman.Node, error) {
	n, err := d.get(ctx, wsman.ClassOptIn)
	if err != nil {
		return 0, nil, err
	}
	v, err := n.Int("OptInRequired")
	if err != nil {
		return 0, nil, d.unreadable(wsman.ClassOptIn, err)
	}
	return Consent(v), n, nil
}

// SetConsent writes OptInRequired into the service as it was read.
func (d *wsmanDevice) SetConsent(ctx context.Context, c Consent) error {
	now, n, err := d.readConsent(ctx)
	if err != nil || now == c {
		return err
	}
	_, err = d.put(ctx, wsman.ClassOptIn, n.Set("OptInRequired", strconv.FormatUint(uint64(c), 10)))
	return err
}

// wired is the InstanceID of the wired interface.
const wired = "Intel(r) AMT Ethernet Port Settings 0"

// readWired gives the settings of the wired interface; others are wireless.
func (d *wsmanDevice) readWired(ctx context.Context) (*wsman.Node, error) {
	items, err := d.list(ctx, wsman.ClassEthernet)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(items, func(n wsman.Node) bool { return n.Value("InstanceID") == wired })
	if i < 0 {
		return nil, d.failure(wsman.ClassEthernet, KindMissing, errors.New("the client has no wired interface"))
	}
	return &items[i], nil
}

// Network reads AMT_EthernetPortSettings of the wired interface and the answers to pings from
// AMT_GeneralSettings.
func (d *wsmanDevice) Network(ctx context.Context) (Network, error) {
	n, err := d.readWired(ctx)
	if err != nil {
		return Network{}, err
	}
	dhcp, err := n.Bool("DHCPEnabled")
	if err != nil {
		return Network{}, d.unreadable(wsman.ClassEthernet, err)
	}
	out := Network{DHCP: &dhcp, Address: n.Value("IPAddress"), Mask: n.Value("SubnetMask"), Gateway: n.Value("DefaultGateway")}
	for _, name := range []string{"PrimaryDNS", "SecondaryDNS"} {
		if v := n.Value(name); v != "" {
			out.DNS = append(out.DNS, v)
		}
	}
	for _, l := range n.All("LinkPolicy") {
		v, err := l.Int()
		if err != nil {
			return Network{}, d.unreadable(wsman.ClassEthernet, err)
		}
		out.Link = append(out.Link, v)
	}
	if err := d.readGeneral(ctx); err != nil {
		return out, err
	}
	for name, to := range map[string]**bool{"PingResponseEnabled": &out.Ping, "RmcpPingResponseEnabled": &out.RMCP} {
		if d.general.Node.Child(name) == nil {
			continue
		}
		v, err := d.general.Node.Bool(name)
		if err != nil {
			return out, d.unreadable(wsman.ClassGeneral, err)
		}
		*to = &v
	}
	return out, nil
}

// SetNetwork sets the answers to pings first, the address last.
func (d *wsmanDevice) SetNetwork(ctx context.Context, want Network) error {
	lacking := d.setPings(ctx, want)
	if lacking != nil && KindOf(lacking) != KindMissing {
		return lacking
	}
	if want.DHCP == nil && want.Link == nil {
		return lacking
	}
	n, err := d.readWired(ctx)
	if err != nil {
		return err
	}
	changed := *n
	if want.Link != nil {
		var texts []string
		for _, v := range want.Link {
			texts = append(texts, strconv.Itoa(v))
		}
		changed = changed.SetAll("LinkPolicy", texts)
	}
	if want.DHCP != nil {
		changed = addressed(changed, want)
	}
	if _, err := d.put(ctx, wsman.ClassEthernet, changed, wsman.Selector{Name: "InstanceID", Value: wired}); err != nil {
		return err
	}
	return lacking
}

// addressed gives the interface its way to an address. With DHCP the addresses are left out of a Put:
// firmware refuses them.
func addressed(n wsman.Node, want Network) wsman.Node {
	set := func(name, v string) {
		if v == "" {
			n = n.SetAll(name, nil)
			return
		}
		n = n.Set(name, v)
	}
	n = n.Set("DHCPEnabled", strconv.FormatBool(*want.DHCP))
	if *want.DHCP {
		want = Network{DHCP: want.DHCP}
	}
	dns := append(slices.Clone(want.DNS), "", "")
	set("IPAddress", want.Address)
	set("SubnetMask", want.Mask)
	set("DefaultGateway", want.Gateway)
	set("PrimaryDNS", dns[0])
	set("SecondaryDNS", dns[1])
	return n
}

// setPings changes the two switches of AMT_GeneralSettings. One that this firmware does not have is an
// error of KindMissing, after the other one was set.
func (d *wsmanDevice) setPings(ctx context.Context, want Network) error {
	if want.Ping == nil && want.RMCP == nil {
		return nil
	}
	if err := d.readGeneral(ctx); err != nil {
		return err
	}
	n, lacks, differs := d.general.Node, []string{}, false
	for _, f := range []struct {
		name string
		to   *bool
	}{{"PingResponseEnabled", want.Ping}, {"RmcpPingResponseEnabled", want.RMCP}} {
		switch {
		case f.to == nil:
		case n.Child(f.name) == nil:
			lacks = append(lacks, f.name)
		case n.Value(f.name) != strconv.FormatBool(*f.to):
			n, differs = n.Set(f.name, strconv.FormatBool(*f.to)), true
		}
	}
	if differs {
		d.general = nil // what is there after the Put is read again
		if _, err := d.put(ctx, wsman.ClassGeneral, n); err != nil {
			return err
		}
	}
	if len(lacks) > 0 {
		return d.failure(wsman.ClassGeneral, KindMissing, errors.New("this version does not have "+strings.Join(lacks, ", ")))
	}
	return nil
}
