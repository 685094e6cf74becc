package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Identity is who a TLS listener is: certificates, policy and ticket keys. Make it with New.
type Identity struct {
	options Options
	policy  *policy
	server  *tls.Config
	current atomic.Pointer[state]
	mu      sync.Mutex // serialises Refresh
}

// state is what handshakes use at a time. It is immutable, except for the keys that its keeper makes.
type state struct {
	material *material
	set      *Set
	keeper   *keeper
	server   *tls.Config
	digest   [sha256.Size]byte
}

// Expiry says until when a certificate is valid.
type Expiry struct {
	Name     string // the file of the certificate, as configured
	NotAfter time.Time
}

// New reads what the options name. The error joins all faults. Warnings are those of Warnings.
// Previous is the Identity that this one replaces, or nil: if neither has ticket keys of its own in
// the options, sessions of the one before can be resumed. Previous stays usable.
func New(o Options, previous *Identity) (i *Identity, warnings []string, err error) {
	p, policyErr := o.policy()
	m, err := load(&o, nil)
	if err = errors.Join(policyErr, err); err != nil {
		return nil, nil, err
	}
	o.Certificates, o.TicketKeys, o.TicketFiles = slices.Clone(o.Certificates), slices.Clone(o.TicketKeys), slices.Clone(o.TicketFiles)
	i = &Identity{options: o, policy: p, server: p.server()}
	i.server.GetConfigForClient = i.configForClient
	keeper := m.tickets.keeper(time.Now())
	if previous != nil {
		if before := previous.current.Load(); len(m.tickets) == 0 && len(before.material.tickets) == 0 {
			keeper = before.keeper
		}
	}
	i.current.Store(i.state(m, keeper, time.Now()))
	return i, i.Warnings(), nil
}

// server is the configuration of the policy alone.
func (p *policy) server() *tls.Config {
	return &tls.Config{
		MinVersion:   p.minVersion,
		MaxVersion:   p.maxVersion,
		CipherSuites: p.suites,
		NextProtos:   p.protocols,
		ClientAuth:   p.clientAuth,
	}
}

// state makes the state of what was read.
func (i *Identity) state(m *material, k *keeper, now time.Time) *state {
	pairs := m.pairs(now)
	s := &state{material: m, set: newSet(m.certificates, pairs), keeper: k, server: i.policy.server(), digest: m.digest(pairs)}
	s.server.GetCertificate = s.certificate
	if m.authorities != nil {
		s.server.ClientCAs = m.authorities.pool
	}
	resumeBy(s.server, k)
	return s
}

func (s *state) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return s.set.Choose(hello), nil
}

func (i *Identity) configForClient(*tls.ClientHelloInfo) (*tls.Config, error) {
	return i.current.Load().server, nil
}

// Config is for tls.Server and tls.NewListener: always the same, and not to be changed. Each
// handshake uses what the last Refresh before it has read.
func (i *Identity) Config() *tls.Config { return i.server }

// Set is the certificates in use.
func (i *Identity) Set() *Set { return i.current.Load().set }

// Refresh reads all files again and puts what is good to use; it reports whether clients can see a
// difference. The error joins what could not be used; there, what was read before stays. A staple
// that has ended is dropped, so an owner with a staple calls Refresh well within its validity. Ticket keys
// that were made here are replaced daily, which is done here too.
// Concurrent calls take turns; handshakes never wait.
func (i *Identity) Refresh() (changed bool, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.current.Load()
	now.keeper.rotate(time.Now())
	m, err := load(&i.options, now.material)
	keeper := now.keeper
	if m.tickets.digest() != now.material.tickets.digest() {
		keeper = m.tickets.keeper(time.Now())
	}
	next := i.state(m, keeper, time.Now())
	if next.digest == now.digest {
		return false, err
	}
	i.current.Store(next)
	return true, err
}

// Warnings says what will not work well, or not for long: of the options, of the files as they were
// read last, and of the time.
func (i *Identity) Warnings() []string {
	s := i.current.Load()
	return slices.Concat(i.policy.warnings, s.set.warnings, s.material.warnings(time.Now()))
}

// NotAfter lists when the certificates in use expire, those of a file once, in the order of the
// options. It is for metrics: the names are bounded by the configuration.
func (i *Identity) NotAfter() []Expiry {
	var all []Expiry
	for _, c := range i.current.Load().material.certificates {
		if !slices.ContainsFunc(all, func(e Expiry) bool { return e.Name == c.file }) {
			all = append(all, Expiry{Name: c.file, NotAfter: c.chain[0].NotAfter})
		}
	}
	return all
}
