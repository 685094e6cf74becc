package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"go.uber.org/zap"

	"weir/api"
	"weir/config"
	"weir/config/store"
	"weir/proxy"
	"weir/proxy/handover"
	"weir/resolve"
)

// commitTime bounds how long clients wait for a new process that has all it needs; most of it is never used.
const commitTime = 10 * time.Second

// server is a data plane that can be handed over.
type server interface {
	Server() *proxy.Server
	// Names is what is known of the names of backends, and Expand puts it into a configuration.
	Names() []resolve.Status
	Expand(*config.Config) *config.Config
	// Follow begins to look names up.
	Follow()
	// Hold lets no addresses of names come into force until Unhold.
	Hold()
	Unhold()
}

// giver is the part of a daemon that hands over to the next process.
type giver struct {
	*daemon
	conn   *handover.Conn
	next   *next // the process, if this one has started it
	began  time.Time
	within time.Duration
	offer  []handover.Socket // with their descriptors
	used   map[int]bool      // numbers that the other process goes on with
	frozen time.Time
	going  bool // the other process was told to serve
}

// Upgrade puts a process of the program at this one's path in its place. Only one can be under way.
func (d *daemon) Upgrade(ctx context.Context, within time.Duration) (api.Upgraded, error) {
	if !d.upgrading.TryLock() {
		return api.Upgraded{}, d.notUpgradable()
	}
	defer d.upgrading.Unlock()
	if err := d.mayLeave(); err != nil {
		return api.Upgraded{}, d.notUpgraded(err)
	}
	ours, theirs, err := handover.Pair()
	if err != nil {
		return api.Upgraded{}, d.notUpgraded(err)
	}
	defer ours.Close() // nothing is written any more
	g := &giver{daemon: d, conn: ours, began: time.Now(), within: within}
	if g.next, err = startNext(d.options.program, theirs); err != nil {
		return api.Upgraded{}, d.notUpgraded(err)
	}
	done, err := g.give(ctx)
	if err != nil {
		return api.Upgraded{}, d.notUpgraded(g.next.explain(err))
	}
	return done, nil
}

// TakeOver hands over to a process that somebody else has started.
func (d *daemon) TakeOver(c *net.UnixConn) {
	conn := handover.NewConn(c)
	defer conn.Close() // nothing is written any more
	g := &giver{daemon: d, conn: conn, began: time.Now(), within: api.DefaultUpgradeTime}
	var err error
	if d.upgrading.TryLock() {
		defer d.upgrading.Unlock()
		err = d.mayLeave()
	} else {
		err = d.notUpgradable()
	}
	if err != nil {
		_ = handover.Refuse(conn, err.Error()) // it may be gone
		_ = d.notUpgraded(err)
		return
	}
	if _, err := g.give(context.Background()); err != nil {
		_ = d.notUpgraded(err)
	}
}

// notUpgradable is why no upgrade can begin while something keeps others from it: an upgrade, or the end.
func (d *daemon) notUpgradable() error {
	if d.draining.Load() {
		return d.notUpgraded(store.ErrStopping)
	}
	return api.ErrUpgrading
}

// endUpgrades ends an upgrade that is under way, and lets none begin. It reports whether one has come to its
// end before: then another process serves.
func (d *daemon) endUpgrades() (replaced bool) {
	d.noUpgrade()
	d.upgrading.Lock() // for good
	return d.isReplaced()
}

// mayLeave reports what stands against another process in the place of this one.
func (d *daemon) mayLeave() error {
	switch {
	case d.draining.Load():
		return store.ErrStopping
	case os.Getpid() == 1:
		return errors.New("the process is the first of its container, which ends with it: start another container")
	}
	return nil
}

// notUpgraded logs why this process goes on, and returns it.
func (d *daemon) notUpgraded(err error) error {
	d.log.Error("not upgraded, this process goes on", zap.Error(err))
	return err
}

// give hands over to whoever is at the other end. After an error, everything is as it was, and the other
// process does not serve.
func (g *giver) give(ctx context.Context) (done api.Upgraded, err error) {
	ctx, cancel := context.WithDeadline(ctx, g.began.Add(g.within))
	defer cancel()
	if err := g.conn.SetDeadline(g.began.Add(g.within)); err != nil {
		return done, err
	}
	defer context.AfterFunc(g.upgrades, func() {
		_ = g.conn.SetDeadline(time.Unix(1, 0)) // it may be closed already
	})()
	if err := g.options.store.Suspend(ctx); err != nil {
		g.next.end()
		return done, fmt.Errorf("a change is under way: %w", err)
	}
	if s, ok := g.plane.(server); ok {
		s.Hold()
		defer s.Unhold()
	}
	taker, err := g.handOver()
	closeSockets(g.offer)
	if err != nil {
		return done, errors.Join(g.late(err), g.takeBack())
	}
	paused := time.Since(g.frozen)
	if err := g.options.notify.replaced(taker.PID); err != nil {
		g.log.Error("the service manager does not know the new process", zap.Error(err))
	}
	sessions := g.leave()
	done = api.Upgraded{
		OldPID: os.Getpid(), NewPID: taker.PID, OldVersion: version, NewVersion: taker.Version,
		TookMS:   float64(time.Since(g.began).Microseconds()) / 1000,
		PausedMS: float64(paused.Microseconds()) / 1000, Connections: g.plane.Connections(), Sessions: sessions,
	}
	g.log.Info("another process serves, this one drains", zap.Int("pid", done.NewPID), zap.String("version", done.NewVersion),
		zap.Float64("took_ms", done.TookMS), zap.Float64("paused_ms", done.PausedMS), zap.Int("connections", done.Connections),
		zap.Int("udp_sessions", done.Sessions))
	close(g.replaced)
	return done, nil
}

// handOver goes the steps until the other process serves.
func (g *giver) handOver() (taker handover.Hello, err error) {
	giving, err := handover.Give(g.conn)
	if err != nil {
		return taker, err
	}
	defer func() {
		if err != nil && !g.going {
			_ = giving.Refuse(err.Error()) // it may be gone
		}
	}()
	s, ok := g.plane.(server)
	if !ok {
		return taker, errors.New("this data plane cannot be handed over")
	}
	wish, err := g.options.store.Export()
	if err != nil {
		return taker, err
	}
	names, err := json.Marshal(s.Names())
	if err != nil {
		return taker, err
	}
	if err := g.gather(s.Server()); err != nil {
		return taker, err
	}
	if err := g.journal.Settle(); err != nil { // the other process reads it once it has the offer
		g.log.Warn("the process that takes over will not know the last events", zap.Error(err))
	}
	used, err := giving.Offer(handover.Offer{
		PID: os.Getpid(), Former: g.options.inherited.former(), Version: version, Generation: g.options.store.Current().Generation,
		Wish: wish, Names: names, Sockets: g.offer,
	})
	if err != nil {
		return taker, err
	}
	g.frozen = time.Now()
	if err := g.conn.SetDeadline(g.frozen.Add(commitTime)); err != nil {
		return taker, err
	}
	if g.upgrades.Err() != nil { // its deadline was just undone
		return taker, store.ErrStopping
	}
	g.used = map[int]bool{}
	for _, n := range used {
		g.used[n] = true
	}
	g.admin.Pause()
	if err := s.Server().Freeze(used); err != nil {
		return taker, err
	}
	if err := s.Server().Remember(giving.Section); err != nil {
		return taker, err
	}
	if err := giving.Ready(); err != nil {
		return taker, err
	}
	g.going = true
	return giving.Taker(), giving.Go()
}

// gather lists the sockets that can be had: those of the data plane, and after them those of the admin
// server.
func (g *giver) gather(s *proxy.Server) error {
	var err error
	if g.offer, err = s.Offer(); err != nil {
		return err
	}
	admin, err := g.admin.Offer()
	if err != nil {
		return err
	}
	for _, a := range admin {
		g.offer = append(g.offer, handover.Socket{ID: len(g.offer), Network: handover.Admin, Address: a.Address, FD: a.FD})
	}
	return nil
}

// late says what a deadline means.
func (g *giver) late(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if g.upgrades.Err() != nil {
			return store.ErrStopping
		}
		if g.frozen.IsZero() {
			return fmt.Errorf("not ready within %s; allow it more with --timeout, or see its log", g.within)
		}
		return fmt.Errorf("it did not take over within %s", commitTime)
	}
	return err
}

// takeBack goes on as before. A process that may serve already is ended first.
func (g *giver) takeBack() error {
	if g.going {
		g.end()
	}
	if s, ok := g.plane.(server); ok {
		s.Server().TakeBack()
	}
	g.admin.Resume()
	// Whoever was to take over lets go of the state directory when it ends, which it does when it sees this.
	if err := g.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		g.log.Warn("closing the connection to the new process", zap.Error(err))
	}
	g.next.end()
	if err := g.options.store.Resume(); err != nil {
		g.log.Error("changes are refused", zap.Error(err))
		return err
	}
	return nil
}

// end ends the other process, which must not serve, and may not listen.
func (g *giver) end() {
	if g.next != nil {
		g.next.kill()
		return
	}
	if err := handover.End(g.conn.PeerPID()); err != nil {
		g.log.Error("the new process may serve as well", zap.Error(err))
	}
}

// leave gives up what the other process has, and returns how many sessions of UDP that is.
func (g *giver) leave() (sessions int) {
	before := g.plane.Connections()
	g.plane.(server).Server().HandedOver()
	sessions = before - g.plane.Connections()
	used := map[string]bool{}
	for _, s := range g.offer {
		if s.Network == handover.Admin && g.used[s.ID] {
			used[s.Address] = true
		}
	}
	if err := g.admin.HandedOver(used); err != nil {
		g.log.Error("closing the sockets of the admin server", zap.Error(err))
	}
	g.options.store.Leave()
	return max(sessions, 0)
}
