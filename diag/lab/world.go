// Package lab builds practice worlds: a simulated PC that really resolves ProvisionServer and
// really sends hellos over TCP, real name servers with a view for each side, the hello server of
// the provisioning core on a real SQLite file, and taps that show what went over the sockets. New
// is the entry point; a World is walked like this machine and its network. A diagnosis sees it only
// through probes and the PC's screen: nothing here tells it the fault. What has run only in a
// practice world has run only against our own reading of the firmware.
package lab

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
	"amtmedic/amt/keys"
	"amtmedic/amt/store"
)

// Options says which world is built.
type Options struct {
	Faults []string // ids of List; none, None or NonePKI alone is a healthy world
	Seed   int64    // names, UUID and keys; the same seed gives the same ones
	Dir    string   // folder of the case, made when missing: captures go there; empty keeps none
	Temp   string   // where the world's database may lie; empty: the system's folder for such files

	single bool // as on a system that has only 127.0.0.1
}

// World is one practice world. It implements flow.World; its methods are safe for concurrent use.
type World struct {
	plan  *plan
	at    place
	net   opener
	clock *clock
	begin time.Time

	clientView, serverView *view
	nameServers            []*nameServer
	store                  *store.Store
	service                *service
	pc                     *machine
	issuer                 issuer
	trusted                []hello.Hash                  // of the roots that the PC's firmware knows
	roots                  [len(roots)]*x509.Certificate // of a world with certificates
	network                *network
	clientEther            *ether
	serverEther            *ether

	capture func() error // starts the live captures of a world that has some; nil: taps mirror the sockets

	run      context.Context // ends with the world
	changes  sync.RWMutex    // of what a repair changes in plan
	core     sync.Mutex      // held while the core is started
	firmware *firmware       // the PC's ports, once the core goes on
	worker   *worker         // nil before the core goes on

	work    string // folder of the database, removed at the end
	stop    context.CancelFunc
	running sync.WaitGroup
	once    sync.Once
	closed  error
}

// New builds a world and starts it: the client is plugged in, and says its first hello within a
// second if it can. The errors UnknownFault, Contradiction and Unavailable tell what is wrong with
// the faults. The caller closes the world.
func New(ctx context.Context, o Options) (*World, error) {
	picked, method, err := pick(o.Faults)
	if err != nil {
		return nil, err
	}
	id, err := newIdentity(o.Seed)
	if err != nil {
		return nil, err
	}
	w := &World{plan: healthy(id, method), clock: newClock()}
	if method == amt.PKI {
		go func() { _, _ = chainKey() }() // its error is met where it is used
	}
	for _, f := range picked {
		f.breaks(w.plan)
		w.plan.works = w.plan.works || f.works
	}
	w.plan.single = o.single || oneAddress()
	w.begin = w.clock.now()
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	w.stop, w.run = stop, run
	if err := w.build(ctx, run, o); err != nil {
		return nil, errors.Join(&amt.Error{Op: "build practice world", Err: err}, w.Close())
	}
	return w, nil
}

// build puts the parts together, in the order in which they need each other.
func (w *World) build(ctx, run context.Context, o Options) error {
	if err := w.settle(ctx, run); err != nil {
		return err
	}
	if err := w.record(o.Dir); err != nil {
		return err
	}
	if err := w.startNames(ctx); err != nil {
		return err
	}
	if err := w.fillStore(ctx, o.Temp); err != nil {
		return err
	}
	clientTap, serverTap := &tap{now: w.clock.now, out: w.clientEther.add}, &tap{now: w.clock.now, out: w.serverEther.add}
	lease := clientTap
	if w.capture != nil {
		if err := w.capture(); err != nil {
			return err
		}
		clientTap, serverTap = &tap{now: w.clock.now}, &tap{now: w.clock.now}
	}
	w.service = &service{in: w.net, tap: serverTap, store: w.store, clock: w.clock, at: netip.AddrPortFrom(w.at.server, w.plan.port)}
	if w.plan.running {
		if err := w.service.start(ctx); err != nil {
			return fmt.Errorf("start the provisioning service: %w", err)
		}
	}
	if n, ok := w.net.(*loopback); ok {
		n.release()
	}
	w.network = &network{in: w.net, tap: clientTap, dhcp: lease, server: serverTap, place: w.at}
	return w.plugIn(ctx, run)
}

// settleHere takes addresses of this machine.
func (w *World) settleHere(ctx context.Context) error {
	p, n, err := findLoopback(ctx, rand.New(w.plan.id.rand), w.plan.single)
	if err != nil {
		return err
	}
	w.at, w.net = p, n
	return nil
}

func (w *World) startNames(ctx context.Context) error {
	client, server, err := w.plan.zones(w.at)
	if err != nil {
		return err
	}
	w.clientView, w.serverView = &view{zones: client, mute: w.plan.mute}, &view{zones: server}
	for _, s := range []struct {
		at netip.Addr
		v  *view
	}{{w.at.clientDNS, w.clientView}, {w.at.serverDNS, w.serverView}} {
		ns, err := listenNames(ctx, w.net, s.at, s.v, w.plan.id.dnsKey)
		if err != nil {
			return err
		}
		w.nameServers = append(w.nameServers, ns)
	}
	return nil
}

func (w *World) fillStore(ctx context.Context, temp string) error {
	var err error
	if w.work, err = makeFolder(temp); err != nil {
		return err
	}
	if w.store, err = store.Open(ctx, w.database(), store.Options{Now: w.clock.now}); err != nil {
		return err
	}
	var pairs []store.Pair
	for _, p := range w.plan.known {
		pairs = append(pairs, store.Pair{PID: p.PID, PPS: p.PPS, AdminPassword: w.plan.admin})
	}
	if _, err := w.store.ImportKeys(ctx, pairs); err != nil {
		return err
	}
	if err := errors.Join(w.layProfile(ctx), w.layScript()); err != nil {
		return err
	}
	for name, value := range w.plan.config {
		if err := w.store.SetConfig(ctx, name, value); err != nil {
			return err
		}
	}
	if !w.plan.otp.IsZero() {
		if _, err := w.store.ImportOTPs(ctx, []store.OTP{{UUID: w.plan.id.uuid, Password: w.plan.otp}}); err != nil {
			return err
		}
	}
	if w.plan.method == amt.PKI {
		if err := w.certify(); err != nil {
			return err
		}
	}
	if w.plan.oemKeys {
		if err := w.writeOEMKeys(); err != nil {
			return err
		}
	}
	if !w.plan.mapped.IsZero() {
		_, err = w.store.ImportMap(ctx, []store.MapRow{{UUID: w.plan.mapped, FQDN: w.plan.id.client, Source: "practice"}})
	}
	return err
}

// writeOEMKeys lays the key file of the maker beside the database.
func (w *World) writeOEMKeys() error {
	f, err := os.OpenFile(w.oemPath(), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(keys.WriteCSV(f, []keys.Row{{Pair: w.plan.id.pair, ID: 101, AdminPassword: w.plan.id.password}}), f.Close())
}

// database gives the path of the world's SQLite file.
func (w *World) database() string { return filepath.Join(w.work, "IntelAMT.db") }

// plugIn gives the client power and network, and waits for the end of its first try.
func (w *World) plugIn(ctx, run context.Context) error {
	w.pc = newMachine(w.plan, w.at, w.network, w.clock, w.trusted)
	if w.plan.works {
		if err := w.startCore(true); err != nil {
			return err
		}
	}
	if w.plan.expired {
		w.network.leased(w.plan.lease(w.at))
	} else {
		w.pc.started("drain")
	}
	w.running.Go(func() { _ = w.pc.Run(run) }) // it ends with run, and only so
	if w.plan.enabled && w.plan.prepared && !w.plan.expired && !w.plan.foreign {
		w.pc.awaitTry(ctx, firstLimit)
		w.letSessionEnd(ctx)
	}
	return nil
}

// Name is for the screen.
func (w *World) Name() string { return "practice" }

// Now is the clock of the world.
func (w *World) Now() time.Time { return w.clock.now() }

// Close ends the world and takes away what it made, captures in the case's folder excepted. It
// may be called more than once.
func (w *World) Close() error {
	w.once.Do(func() {
		w.stop()
		w.running.Wait()
		var errs []error
		if w.service != nil {
			w.service.halt()
		}
		for _, n := range w.nameServers {
			errs = append(errs, n.Close())
		}
		if w.store != nil {
			errs = append(errs, w.store.Close())
		}
		if w.clientEther != nil {
			errs = append(errs, w.clientEther.end(), w.serverEther.end())
		}
		if w.net != nil {
			errs = append(errs, w.net.Close())
		}
		if w.work != "" {
			errs = append(errs, os.RemoveAll(w.work))
		}
		w.closed = errors.Join(errs...)
	})
	return w.closed
}
