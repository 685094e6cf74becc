package certs

import (
	"crypto/rand"
	"crypto/tls"
	"slices"
	"sync"
	"time"
)

// Of the keys that a keeper makes itself: how old the one that encrypts gets, and how long a key is kept, as
// long as a ticket can be used at all (RFC 8446, section 4.6.1).
const (
	ticketRotation = 24 * time.Hour
	ticketLifetime = 7 * 24 * time.Hour
)

// TicketKey is a key of session tickets that was made here.
type TicketKey struct {
	Key  [ticketKeyBytes]byte
	Made time.Time
}

// keeper encrypts and decrypts tickets. One may serve many configurations at once, which is how keys outlive
// them. All methods may be called from any goroutine.
type keeper struct {
	config *tls.Config // that no connection uses, for the keys in it

	mu  sync.Mutex
	own []TicketKey // newest first; empty: keys were given
}

// keeper makes the keeper of the keys. Without any it makes its own.
func (k ticketKeys) keeper(now time.Time) *keeper {
	c := &keeper{config: &tls.Config{}}
	if len(k) > 0 {
		c.config.SetSessionTicketKeys(k)
		return c
	}
	c.own = []TicketKey{newTicketKey(now)}
	c.use()
	return c
}

func newTicketKey(now time.Time) TicketKey {
	k := TicketKey{Made: now}
	_, _ = rand.Read(k.Key[:]) // never fails, or ends the process
	return k
}

// rotate makes another key when the newest of those that were made here is old enough, and forgets those
// whose tickets are of no use any more.
func (k *keeper) rotate(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.own) == 0 || now.Sub(k.own[0].Made) < ticketRotation {
		return
	}
	k.own = slices.DeleteFunc(k.own, func(t TicketKey) bool { return now.Sub(t.Made) >= ticketLifetime })
	k.own = slices.Insert(k.own, 0, newTicketKey(now))
	k.use()
}

// use puts the keys to use. mu must be held, or nobody else know the keeper.
func (k *keeper) use() {
	keys := make([][ticketKeyBytes]byte, len(k.own))
	for i, t := range k.own {
		keys[i] = t.Key
	}
	k.config.SetSessionTicketKeys(keys)
}

// memory lists the keys that were made here.
func (k *keeper) memory() []TicketKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.own)
}

// remember goes on with keys that another process has made, unless keys were given.
func (k *keeper) remember(list []TicketKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(list) == 0 || len(k.own) == 0 {
		return
	}
	k.own = slices.Clone(list)
	k.use()
}

// resumeBy has a server use the keys of a keeper.
func resumeBy(server *tls.Config, k *keeper) {
	server.WrapSession = k.config.EncryptTicket
	server.UnwrapSession = k.config.DecryptTicket
}

// TicketKeys lists the keys of session tickets, for the process that takes the place of this one. It is
// empty if they come from the configuration.
func (i *Identity) TicketKeys() []TicketKey { return i.current.Load().keeper.memory() }

// RememberTicketKeys goes on with the keys of the process before, so that its sessions can be resumed. It
// does nothing if the configuration has keys.
func (i *Identity) RememberTicketKeys(list []TicketKey) { i.current.Load().keeper.remember(list) }
