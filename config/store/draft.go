package store

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"strings"

	"weir/config"
)

// Draft is a copy of what is wanted, which a change edits. It belongs to one call of Change.Edit and
// must not be used afterwards. Specs are JSON in the vocabulary of the configuration; whether they are
// valid, and fit together, is looked at when the edit is done.
type Draft struct {
	base      *Revision
	objects   Document
	overrides Overrides
}

func newDraft(r *Revision) *Draft {
	d := &Draft{base: r, objects: r.Objects.clone(), overrides: maps.Clone(r.Overrides)}
	if d.overrides == nil {
		d.overrides = Overrides{}
	}
	return d
}

// Base is the revision that the draft is a copy of. While the draft is edited, it is the current one, so
// what is decided by it holds.
func (d *Draft) Base() *Revision { return d.base }

// Match is nil if tag is the Tag of what ref names in Base, else ErrPrecondition or ErrNotFound.
func (d *Draft) Match(ref Ref, tag string) error {
	o, err := d.base.Object(ref)
	if err != nil {
		return err
	}
	if o.Tag != tag {
		return fmt.Errorf("%s %w", ref, ErrPrecondition)
	}
	return nil
}

// Put makes what ref names be spec, whether it was there or not, and reports whether it is new. It fails
// with an *OwnedError for what is the file's, and with ErrNotFound if the pool of a backend, or the
// listener of routes, is not there.
func (d *Draft) Put(ref Ref, spec json.RawMessage) (created bool, err error) {
	if err := d.writable(ref.owner()); err != nil {
		return false, err
	}
	if ref.Kind == Listener || ref.Kind == Pool {
		o, err := parseObject(spec)
		if err != nil {
			return false, badSpec(ref, err)
		}
		_, exists := d.objects.section(ref.Kind)[ref.Name]
		return !exists, d.store(ref, o)
	}
	owner, err := d.load(ref.owner())
	if err != nil {
		return false, err
	}
	value, err := compact(spec)
	if err != nil {
		return false, badSpec(ref, err)
	}
	if ref.Kind == Routes {
		created = owner.get("routes") == nil
		return created, d.store(ref.owner(), owner.set("routes", value))
	}
	backends, err := backendsOf(owner)
	if err != nil {
		return false, badSpec(ref.owner(), err)
	}
	created = backends.get(ref.Backend) == nil
	return created, d.store(ref.owner(), owner.set("backends", backends.set(ref.Backend, value).raw()))
}

// Create is Put for what must not be there yet, also not in a file: else ErrExists, or an *OwnedError.
func (d *Draft) Create(ref Ref, spec json.RawMessage) error {
	created, err := d.Put(ref, spec)
	if err == nil && !created {
		err = fmt.Errorf("%s %w", ref, ErrExists)
	}
	return err
}

// Patch changes what ref names by a merge patch (RFC 7396). It must be there.
func (d *Draft) Patch(ref Ref, patch json.RawMessage) error {
	if err := d.writable(ref.owner()); err != nil {
		return err
	}
	before, err := d.written(ref)
	if err != nil {
		return err
	}
	after, err := mergePatch(before, patch)
	if err != nil {
		return badSpec(ref, err)
	}
	_, err = d.Put(ref, after)
	return err
}

// Delete removes what ref names, with the overrides of it, or fails with ErrNotFound, an *OwnedError, or
// ErrProtected.
func (d *Draft) Delete(ref Ref) error {
	if err := d.writable(ref.owner()); err != nil {
		return err
	}
	written, err := d.written(ref)
	if err != nil {
		return err
	}
	switch ref.Kind {
	case Pool:
		o, err := parseObject(written)
		if err == nil && string(o.get("deletion_protection")) == "true" {
			return fmt.Errorf("%s %w; set deletion_protection to false first", ref, ErrProtected)
		}
		delete(d.objects.Pools, ref.Name)
		maps.DeleteFunc(d.overrides, func(b BackendRef, _ config.Override) bool { return b.Pool == ref.Name })
		return nil
	case Listener:
		delete(d.objects.Listeners, ref.Name)
		return nil
	}
	owner, err := d.load(ref.owner())
	if err != nil {
		return err
	}
	if ref.Kind == Routes {
		return d.store(ref.owner(), owner.without("routes"))
	}
	backends, err := backendsOf(owner)
	if err != nil {
		return badSpec(ref.owner(), err)
	}
	maps.DeleteFunc(d.overrides, func(b BackendRef, _ config.Override) bool {
		return b.Pool == ref.Name && (b.Backend == ref.Backend || strings.HasPrefix(b.Backend, ref.Backend+"/"))
	})
	return d.store(ref.owner(), owner.set("backends", backends.without(ref.Backend).raw()))
}

// SetOverride replaces the override of a backend, of the file or of the API. The zero Override clears
// it. The backend must be in Base, as NAME, or as one address NAME/IP of a name; else ErrNotFound.
func (d *Draft) SetOverride(b BackendRef, o config.Override) error {
	ref := Ref{Kind: Backend, Name: b.Pool, Backend: b.Backend}
	if err := o.Validate(); err != nil {
		return badSpec(ref, err)
	}
	if o.IsZero() {
		return d.ClearOverride(b)
	}
	if !d.known(b) {
		return notFound(ref)
	}
	d.overrides[b] = o.Clone()
	return nil
}

// ClearOverride removes the override of a backend. It is no error if there is none, but one if there is
// no such backend either.
func (d *Draft) ClearOverride(b BackendRef) error {
	if _, exists := d.overrides[b]; !exists && !d.known(b) {
		return notFound(Ref{Kind: Backend, Name: b.Pool, Backend: b.Backend})
	}
	delete(d.overrides, b)
	return nil
}

// known reports whether there is a backend of that name, or of that name and address.
func (d *Draft) known(b BackendRef) bool {
	if d.base.backend(Ref{Kind: Backend, Name: b.Pool, Backend: b.Backend}) != nil {
		return true
	}
	name, ip, found := strings.Cut(b.Backend, "/")
	if _, err := netip.ParseAddr(ip); !found || err != nil {
		return false
	}
	named := d.base.backend(Ref{Kind: Backend, Name: b.Pool, Backend: name})
	return named != nil && named.Host != ""
}

// writable fails for a listener or pool that is the file's.
func (d *Draft) writable(owner Ref) error {
	o, err := d.base.Object(owner)
	if err == nil && o.ReadOnly {
		return &OwnedError{Ref: owner, Origin: o.Origin}
	}
	return nil
}

// load reads a listener or pool of the API.
func (d *Draft) load(owner Ref) (object, error) {
	text, ok := d.objects.section(owner.Kind)[owner.Name]
	if !ok {
		return nil, notFound(owner)
	}
	o, err := parseObject(text)
	if err != nil {
		return nil, badSpec(owner, err)
	}
	return o, nil
}

// written is what was sent about ref.
func (d *Draft) written(ref Ref) (json.RawMessage, error) {
	owner, err := d.load(ref.owner())
	if err != nil {
		return nil, err
	}
	var value json.RawMessage
	switch ref.Kind {
	case Listener, Pool:
		return owner.raw(), nil
	case Routes:
		value = owner.get("routes")
	case Backend:
		backends, err := backendsOf(owner)
		if err != nil {
			return nil, badSpec(ref.owner(), err)
		}
		value = backends.get(ref.Backend)
		if text, ok := plainText(value); ok { // an address alone
			value = object{{"address", quoted(text)}}.raw()
		}
	}
	if value == nil {
		return nil, notFound(ref)
	}
	return value, nil
}

// store writes a listener or pool.
func (d *Draft) store(owner Ref, o object) error {
	text, err := compact(o.raw())
	if err != nil {
		return badSpec(owner, err)
	}
	d.objects.section(owner.Kind)[owner.Name] = text
	return nil
}

// backendsOf reads the backends of a pool, also those of a list of addresses, which are their names.
func backendsOf(pool object) (object, error) {
	raw := pool.get("backends")
	if raw == nil {
		return object{}, nil
	}
	var addresses []string
	if json.Unmarshal(raw, &addresses) != nil {
		return parseObject(raw)
	}
	o := object{}
	for _, address := range addresses {
		name := strings.ToLower(address) // as package config names those of a list
		if a, err := netip.ParseAddrPort(address); err == nil {
			name = a.String()
		}
		o = o.set(name, object{{"address", quoted(address)}}.raw())
	}
	return o, nil
}

func plainText(raw json.RawMessage) (string, bool) {
	var text string
	err := json.Unmarshal(raw, &text)
	return text, err == nil
}

func quoted(text string) json.RawMessage {
	raw, err := json.Marshal(text)
	if err != nil {
		panic("store: a text does not encode: " + err.Error())
	}
	return raw
}

func badSpec(ref Ref, err error) error { return fmt.Errorf("%s %w: %w", ref, ErrBadSpec, err) }
