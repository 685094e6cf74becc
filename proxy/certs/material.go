package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"time"
)

// material is what was read from the files of Options, each part on its own. It is immutable.
type material struct {
	certificates []*certificate // one for each Pair
	staple       *staple        // nil: none is configured
	authorities  *authorities   // nil: none are configured
	tickets      ticketKeys     // empty: none are configured
}

// load reads every file. Parts that cannot be read are those of before, and in the error, which
// joins all. Without a before its result is of use only if there is no error.
func load(o *Options, before *material) (*material, error) {
	var errs []error
	if before == nil {
		before = &material{certificates: make([]*certificate, len(o.Certificates))}
	}
	m := &material{certificates: make([]*certificate, len(o.Certificates)), tickets: before.tickets,
		staple: before.staple, authorities: before.authorities}
	for i, p := range o.Certificates {
		c, err := readPair(p, before.certificates[i])
		if err != nil {
			errs = append(errs, err)
			c = before.certificates[i]
		}
		m.certificates[i] = c
	}
	if keys, err := readTicketKeys(o.TicketKeys, o.TicketFiles); err != nil {
		errs = append(errs, err)
	} else {
		m.tickets = keys
	}
	if o.OCSP != "" {
		if s, err := readStaple(o.OCSP, before.staple); err != nil {
			errs = append(errs, err)
		} else {
			m.staple = s
		}
	}
	if o.ClientCA != "" {
		if a, err := readAuthorities(o.ClientCA, before.authorities); err != nil {
			errs = append(errs, err)
		} else {
			m.authorities = a
		}
	}
	return m, errors.Join(errs...)
}

// pairs puts the staple to the certificates that it speaks well of at a time.
func (m *material) pairs(now time.Time) []*tls.Certificate {
	all := make([]*tls.Certificate, len(m.certificates))
	for i, c := range m.certificates {
		pair := c.pair
		if m.staple != nil {
			if a := m.staple.about(c.chain[0]); a != nil && a.fault(now) == "" {
				pair.OCSPStaple = m.staple.raw
			}
		}
		all[i] = &pair
	}
	return all
}

// warnings says what works, but not well or not for long.
func (m *material) warnings(now time.Time) (found []string) {
	stapled := false
	for _, c := range m.certificates {
		found = append(found, c.warnings(now)...)
		if m.staple == nil {
			continue
		}
		a := m.staple.about(c.chain[0])
		if a == nil {
			continue
		}
		stapled = true
		if fault := a.fault(now); fault != "" {
			found = append(found, "OCSP response "+m.staple.file+": is not used for certificate "+c.file+": "+fault)
		}
	}
	if m.staple != nil && !stapled {
		found = append(found, "OCSP response "+m.staple.file+": is not used: it speaks of none of the certificates: fetch it for one of them")
	}
	if m.authorities != nil {
		found = append(found, m.authorities.warnings(now)...)
	}
	return found
}

// digest identifies what clients can see of the material.
func (m *material) digest(pairs []*tls.Certificate) [sha256.Size]byte {
	var all [][]byte
	for i, c := range m.certificates {
		all = append(all, c.digest[:], pairs[i].OCSPStaple)
	}
	if m.authorities != nil {
		all = append(all, m.authorities.digest[:])
	}
	tickets := m.tickets.digest()
	return digestOf(append(all, tickets[:])...)
}
