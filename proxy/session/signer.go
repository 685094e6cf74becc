package session

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
)

// Tag stands for a backend in a cookie: part of a keyed hash of its name. It says nothing about the
// backend to whoever lacks the key, and differs from pool to pool and from key to key.
type Tag uint64

// NewKey makes a random key of 32 bytes.
func NewKey() []byte {
	key := make([]byte, sha256.Size)
	rand.Read(key) // crashes the program rather than fail
	return key
}

// signer is one key, as one pool uses it. The hash states are kept from cookie to cookie, because
// setting up an HMAC allocates and costs as much as using it.
type signer struct {
	pool   [tagSize]byte // the pool tag
	states sync.Pool     // of *state
}

// state is what one goroutine needs to sign or verify.
type state struct {
	mac, tag hash.Hash
	raw      [rawSize]byte
	sum      [sha256.Size]byte
	name     []byte
}

// newSigner derives the pool's own keys from key. Each has one use, so that neither a tag nor a
// cookie of another pool can pass for a MAC.
func newSigner(key []byte, pool string) *signer {
	derive := func(use string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte("weir cookie " + use + "\x00" + pool))
		return h.Sum(nil)
	}
	macKey, tagKey := derive("mac"), derive("backend")
	s := &signer{pool: [tagSize]byte(derive("pool"))}
	s.states.New = func() any {
		return &state{mac: hmac.New(sha256.New, macKey), tag: hmac.New(sha256.New, tagKey)}
	}
	return s
}

// state takes a state; the caller puts it back into states.
func (s *signer) state() *state { return s.states.Get().(*state) }

// tagOf is the tag of a backend.
func (s *signer) tagOf(backend string) Tag {
	st := s.state()
	defer s.states.Put(st)
	return st.tagOf(backend)
}

// verify compares the MAC of raw in constant time.
func (s *signer) verify(raw *[rawSize]byte) bool {
	st := s.state()
	defer s.states.Put(st)
	// What goes through the interface of a hash escapes; the state is on the heap already.
	st.raw = *raw
	return hmac.Equal(st.sign(st.raw[:headSize]), st.raw[headSize:])
}

// sign is the MAC of head, in memory of the state. head is on the heap.
func (st *state) sign(head []byte) []byte {
	st.mac.Reset()
	st.mac.Write(head)
	return st.mac.Sum(st.sum[:0])[:macSize]
}

// tagOf is the tag of a backend.
func (st *state) tagOf(backend string) Tag {
	st.name = append(st.name[:0], backend...)
	st.tag.Reset()
	st.tag.Write(st.name)
	return Tag(binary.BigEndian.Uint64(st.tag.Sum(st.sum[:0])))
}
