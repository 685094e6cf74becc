package proxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Pulse finds out whether a server still does what it is there for. It is used by one goroutine.
type Pulse struct {
	server *Server
	rounds uint64 // of the steward, when it was looked at last
}

// NewPulse begins to look.
func (s *Server) NewPulse() *Pulse { return &Pulse{server: s, rounds: s.steward.rounds.Load()} }

// Check reports what does not move until ctx ends: whoever accepts, who receives datagrams, the steward, or
// a change. It costs them nothing: it tries the locks that they hold while they work. While everything is
// being handed over, which has a time of its own, nothing needs to move.
func (p *Pulse) Check(ctx context.Context) error {
	s := p.server
	if s.frozen.Load() {
		return nil
	}
	if !comesTrue(ctx, func() bool { return try(s.mu.TryRLock, s.mu.RUnlock) }) {
		return errors.New("a change of the configuration does not end")
	}
	s.mu.RLock()
	var sockets []*socket
	for _, name := range slices.Sorted(maps.Keys(s.listeners)) {
		sockets = append(sockets, s.listeners[name].sockets...)
	}
	datagrams := s.datagrams.allSockets()
	s.mu.RUnlock()
	for _, k := range sockets {
		if !comesTrue(ctx, func() bool { return try(k.mu.TryLock, k.mu.Unlock) || s.frozen.Load() }) {
			return fmt.Errorf("nobody accepts connections at %s any more", k.address)
		}
	}
	for _, u := range datagrams {
		if !comesTrue(ctx, func() bool { return u.socket.Idle() || s.frozen.Load() }) {
			return fmt.Errorf("nobody receives datagrams at %s any more", u.address)
		}
	}
	s.steward.wake()
	if !comesTrue(ctx, func() bool { return s.steward.rounds.Load() != p.rounds || s.frozen.Load() }) {
		return errors.New("nobody looks after slow starts, idle connections and drains any more")
	}
	p.rounds = s.steward.rounds.Load()
	return nil
}

// try takes a lock for a moment and reports whether it could be had.
func try(lock func() bool, unlock func()) bool {
	if !lock() {
		return false
	}
	unlock()
	return true
}

// pulsePause is how long to wait between two looks at what does not move.
const pulsePause = 5 * time.Millisecond

// comesTrue reports whether is becomes true before ctx ends.
func comesTrue(ctx context.Context, is func() bool) bool {
	if is() {
		return true
	}
	tick := time.NewTicker(pulsePause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
			if is() {
				return true
			}
		}
	}
}
