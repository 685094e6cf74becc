package store

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"weir/config"
)

// Revision is one state of what is wanted. It is immutable, and so is everything that it leads to.
type Revision struct {
	// Number counts what was wanted, from 1. It goes on over restarts if there is a state directory.
	Number uint64
	// Generation counts what this process has put in force, from 1. A reload makes a new one even if it
	// has changed nothing: certificates were read again.
	Generation uint64
	// Config is all of it together: files, objects and overrides (config.Pool.Overrides).
	Config    *config.Config
	Objects   Document
	Overrides Overrides
	Report    config.Report // about Config: its warnings
	At        time.Time     // when it was put in force

	tag string
}

// Tag tells this revision from all others with another content, over restarts too. It is 16
// hexadecimal digits behind the number and a dash, and fits into an ETag.
func (r *Revision) Tag() string { return r.tag }

// sign makes the tag.
func (r *Revision) sign() {
	h := sha256.New()
	e := json.NewEncoder(h)
	// A hash takes everything, and the types of this package encode.
	_ = e.Encode([]any{r.Config.Digest, r.Objects.Listeners, r.Objects.Pools, r.Overrides.list()})
	r.tag = fmt.Sprintf("%d-%x", r.Number, h.Sum(nil)[:8])
}

// Object is a listener, a pool, a backend or the routes of a listener as they are wanted.
type Object struct {
	Ref    Ref
	Origin config.Origin
	// ReadOnly says that it is the file's: a change of it is refused with an *OwnedError.
	ReadOnly  bool
	Protected bool // a pool whose deletion_protection is set
	// Spec is what was written about it, as JSON in the vocabulary of the configuration, secrets masked.
	// Of the routes of a listener it is the list; null if there are none.
	Spec json.RawMessage
	// Override is that of a backend, which counts instead of what Spec says.
	Override config.Override
	// Tag tells this content, secrets and override included, from others: 16 hexadecimal digits.
	Tag string
}

// Object returns what ref names, or ErrNotFound.
func (r *Revision) Object(ref Ref) (Object, error) {
	o := Object{Ref: ref}
	names := ref.names()
	switch ref.Kind {
	case Listener, Routes:
		l := r.Config.Listeners[ref.Name]
		if l == nil {
			return o, notFound(ref)
		}
		o.Origin = l.Origin
	case Pool:
		p := r.Config.Pools[ref.Name]
		if p == nil {
			return o, notFound(ref)
		}
		o.Origin, o.Protected = p.Origin, p.Protected
	case Backend:
		b := r.backend(ref)
		if b == nil {
			return o, notFound(ref)
		}
		o.Origin, o.Override = b.Origin, r.Overrides[BackendRef{ref.Name, ref.Backend}].Clone()
	}
	o.ReadOnly = !o.Origin.API
	spec, written := r.Config.Spec(names...)
	if !written {
		spec = json.RawMessage("null")
	}
	o.Spec = spec
	sum := sha256.Sum256(fmt.Appendf(nil, "%s|%v", r.Config.SpecDigest(names...), o.Override))
	o.Tag = fmt.Sprintf("%x", sum[:8])
	return o, nil
}

// backend returns the configuration of a backend, nil if there is none.
func (r *Revision) backend(ref Ref) *config.Backend {
	p := r.Config.Pools[ref.Name]
	if p == nil {
		return nil
	}
	i := slices.IndexFunc(p.Backends, func(b *config.Backend) bool { return b.Name == ref.Backend })
	if i < 0 {
		return nil
	}
	return p.Backends[i]
}

// Listeners lists the names of all listeners in order, Pools those of pools.
func (r *Revision) Listeners() []string { return slices.Sorted(maps.Keys(r.Config.Listeners)) }

// Pools lists the names of all pools in order.
func (r *Revision) Pools() []string { return slices.Sorted(maps.Keys(r.Config.Pools)) }

// Backends lists the names of the backends of a pool in the order of the configuration.
func (r *Revision) Backends(pool string) (names []string) {
	if p := r.Config.Pools[pool]; p != nil {
		for _, b := range p.Backends {
			names = append(names, b.Name)
		}
	}
	return names
}
