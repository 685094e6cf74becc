package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"weir/api"
	"weir/balancer"
	"weir/config"
	"weir/config/store"
	"weir/telemetry"
)

// adminGrace is how long answers of the admin server under way may take at the end.
const adminGrace = 2 * time.Second

// daemonOptions is what a daemon is started with.
type daemonOptions struct {
	file     string       // configuration, read again at a reload; absolute
	store    *store.Store // of that file
	watch    bool         // reload when it changes, whatever it says itself
	stderr   io.Writer    // the process log goes there
	newPlane func(planeOptions) (plane, error)

	program   program      // for the process that takes the place of this one
	inherited *inheritance // what this one starts with that others have made; nil: nothing
	notify    *notifier    // nil: there is no service manager
}

// daemon is everything that `weir run` starts. It is what the admin server asks about the process
// (api.Running), from any goroutine.
type daemon struct {
	options  daemonOptions
	started  time.Time
	fixed    fixed // until the end
	log      *zap.Logger
	logging  *telemetry.LogSettings
	registry *telemetry.Registry
	access   atomic.Pointer[telemetry.AccessLog]
	journal  *telemetry.Journal
	plane    plane
	admin    *api.Server
	bound    atomic.Bool
	draining atomic.Bool
	loaded   atomic.Int64 // when the files in force were read, in Unix nanoseconds

	applying sync.Mutex // is held from Prepare to Commit or Abandon

	upgrading sync.Mutex         // is held while another process is to take the place of this one
	upgrades  context.Context    // ends when the process is to stop
	noUpgrade context.CancelFunc // ends it
	replaced  chan struct{}      // closed when another process serves

	watching sync.WaitGroup
	// background ends with unwatch, at the end.
	background context.Context
	unwatch    context.CancelFunc
}

var _ api.Running = (*daemon)(nil)

// startDaemon brings what the store wants into force. What only one process can have is claimed first: the admin socket and
// address, then the listeners. So a process that is in another's way ends before it has taken a client.
// On an error everything that was started has ended, but the store is open.
func startDaemon(ctx context.Context, o daemonOptions) (*daemon, error) {
	c := o.store.Current().Config
	d := &daemon{options: o, started: time.Now(), fixed: fixedBy(c), replaced: make(chan struct{})}
	d.upgrades, d.noUpgrade = context.WithCancel(context.WithoutCancel(ctx))
	d.log, d.logging = telemetry.NewLogger(c.Log, o.stderr)
	d.registry = telemetry.New(telemetry.Options{
		Version: version, Commit: commit, Pools: d.pools, Overdue: d.overdue, Memory: d.memory, Log: d.log,
	})
	access, err := telemetry.OpenAccessLog(c.Log.Access, d.registry.AccessLogLost)
	if err != nil {
		return nil, fmt.Errorf("log.access: %w", err)
	}
	d.access.Store(access)
	if err := d.openJournal(c); err != nil {
		return nil, errors.Join(err, access.Close())
	}
	d.plane, err = o.newPlane(planeOptions{config: c, log: d.log, telemetry: d.registry, access: access, events: d.journal.Add, inherited: o.inherited})
	if err != nil {
		return nil, errors.Join(err, d.closeLogs())
	}
	d.admin = d.newAdmin(c)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminGrace)
	defer cancel()
	if err := d.admin.Bind(); err != nil {
		return nil, errors.Join(explainBind(err), d.plane.Shutdown(stop), d.closeLogs())
	}
	if err := d.start(ctx, c); err != nil {
		return nil, errors.Join(explainBind(err), d.admin.Close(stop), d.closeLogs())
	}
	d.bound.Store(true)
	d.background, d.unwatch = context.WithCancel(context.WithoutCancel(ctx))
	o.store.Carry(d)
	d.published(o.store.Current())
	d.admin.Serve()
	d.announce(c)
	d.startWatching()
	return d, nil
}

// newAdmin makes the admin server of c.
func (d *daemon) newAdmin(c *config.Config) *api.Server {
	return api.New(api.Options{
		Version: version, Commit: commit, Started: d.started,
		Socket: c.Admin.Socket, Listen: c.Admin.Listen,
		Running: d, Checks: d.plane.Checks(), Metrics: d.registry.Handler(), Log: d.log,
		Control: control{d.options.store, d}, Journal: d.journal, Access: d.accessRules, Refused: d.registry.AdminRefused,
		Explain: d.plane.Explain, Upgrade: d.Upgrade, TakeOver: d.TakeOver, Inherited: d.options.inherited.ofAdmin(),
	})
}

// accessRules says who may do what over TCP, by the configuration in force.
func (d *daemon) accessRules() api.Access {
	admin := d.options.store.Current().Config.Admin
	return api.Access{Credentials: admin.Credentials, Insecure: admin.Insecure}
}

// published tells the telemetry that the files of r are in force.
func (d *daemon) published(r *store.Revision) {
	d.loaded.Store(r.At.UnixNano())
	d.registry.Reload(true, r.At, r.Generation, r.Config.Digest)
}

// announce logs what is served and where.
func (d *daemon) announce(c *config.Config) {
	for _, w := range d.options.store.Warnings() {
		d.log.Warn("configuration", zap.String("warning", w))
	}
	for _, r := range d.options.store.Remarks() {
		d.log.Warn("what was kept", zap.String("remark", r))
	}
	for _, l := range d.plane.Listeners() {
		pool := zap.Skip() // a listener with routes alone has no pool of its own
		if l.Pool != "" {
			pool = zap.String("pool", l.Pool)
		}
		d.log.Info("listening", zap.String("listener", l.Name), zap.String("protocol", l.Protocol),
			zap.Strings("addresses", l.Addresses), pool)
	}
	d.journal.Add(telemetry.Event{Kind: telemetry.EventStart, Message: "weir " + version + " serves",
		Fields: map[string]string{"version": version, "config": d.options.file, "sha256": c.Digest}})
	d.log.Info("started", zap.String("version", version), zap.String("config", d.options.file),
		zap.String("sha256", c.Digest), zap.Int("listeners", len(c.Listeners)), zap.Int("pools", len(c.Pools)),
		zap.String("admin_socket", c.Admin.Socket), zap.String("admin_address", d.admin.Addr()))
}

// Reopen opens the access log anew, after it was rotated.
func (d *daemon) Reopen() {
	if err := d.access.Load().Reopen(); err != nil {
		d.log.Error("access log not reopened, the old file stays in use", zap.Error(err))
		return
	}
	d.log.Info("access log reopened")
}

// Drain makes the process not ready. From then on, reloads are refused.
func (d *daemon) Drain() {
	if !d.draining.Swap(true) {
		d.journal.Add(telemetry.Event{Kind: telemetry.EventStop, Message: "weir stops"})
	}
}

// Process is the state of the process.
func (d *daemon) Process() api.Process {
	p := api.Process{Bound: d.bound.Load(), Draining: d.draining.Load(), ConfigFile: d.options.file}
	r := d.options.store.Current()
	p.Loaded, p.Generation, p.Digest, p.LoadedAt = true, r.Generation, r.Config.Digest, time.Unix(0, d.loaded.Load())
	p.Listeners, p.Leaving = d.plane.Listeners(), d.plane.Leaving()
	p.Former = d.options.inherited.former()
	return p
}

// Pools is the pools in service.
func (d *daemon) Pools() []api.Pool { return d.plane.Pools() }

// pools is what a scrape reads. Before the data plane is there, nothing.
func (d *daemon) pools() []*balancer.Pool {
	if d.plane == nil {
		return nil
	}
	var pools []*balancer.Pool
	for _, p := range d.plane.Pools() {
		pools = append(pools, p.Pool)
	}
	return pools
}

func (d *daemon) overdue() uint64 {
	if d.plane == nil {
		return 0
	}
	return d.plane.Checks().Overdue()
}

func (d *daemon) memory() (used, budget uint64) {
	if d.plane == nil {
		return 0, 0
	}
	return d.plane.MemoryUsage()
}
