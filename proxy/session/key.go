package session

import (
	"crypto/sha256"
	"hash"
	"net/netip"
	"sync"
)

// Key is what a [Table] knows a client by.
type Key [16]byte

// AddressKey is the key of a client address. IPv4 and the IPv6 address that it is mapped to are the
// same client; zones are ignored. An invalid address is ::.
func AddressKey(a netip.Addr) Key {
	if !a.IsValid() {
		return Key{}
	}
	return a.As16()
}

// CookieKey is the key of a cookie that an application has set: half of the SHA-256 of its name and
// value. No two cookies that anybody can find share a key, so no session is sent to the backend of
// another, and the cookies themselves, which often are all it takes to be somebody, are not kept.
// It does not allocate for cookies of a usual length.
func CookieKey(name, value []byte) Key {
	d := digests.Get().(*digest)
	defer digests.Put(d)
	d.hash.Reset()
	// A name has no "=" in it, so the two cannot be split in another way.
	d.in = append(append(append(d.in[:0], name...), '='), value...)
	d.hash.Write(d.in)
	if cap(d.in) > maxKept {
		d.in = nil
	}
	return Key(d.hash.Sum(d.sum[:0]))
}

// maxKept is the largest cookie for which memory is kept, in bytes; browsers refuse longer ones.
const maxKept = 4096

// digest is what CookieKey works with.
type digest struct {
	hash hash.Hash
	in   []byte
	sum  [sha256.Size]byte
}

var digests = sync.Pool{New: func() any { return &digest{hash: sha256.New()} }}
