package session

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// MinKey is the least length of a key, in bytes.
const MinKey = 16

// The parts of a cookie before it is encoded, in bytes: version (1), pool tag, backend tag, time of
// issue (Unix seconds, big endian), and the MAC over all of these. The whole is a multiple of three,
// so that base64 has no bits left over and every cookie has exactly one spelling.
const (
	version    = 1
	tagSize    = 8
	issuedSize = 6
	headSize   = 1 + 2*tagSize + issuedSize
	macSize    = 16
	rawSize    = headSize + macSize

	// EncodedSize is the length of every cookie value, in bytes.
	EncodedSize = rawSize / 3 * 4
)

// maxIssued is the last time that a cookie can carry, in Unix seconds.
const maxIssued = 1<<(8*issuedSize) - 1

// maxSkew is how far, in seconds, the clock of the machine that issued a cookie may be ahead.
const maxSkew = 300

// encoding is the alphabet of cookie values. Its decoder skips line ends; Decode refuses them by the
// length that is left.
var encoding = base64.RawURLEncoding

// Verdict is what Decode says of a cookie.
type Verdict uint8

// The verdicts, from bad to good. The zero value is a bad one.
const (
	Malformed Verdict = iota // not a cookie of this version
	Foreign                  // of another pool, or under a key that is not known
	Forged                   // the MAC is wrong
	Future                   // issued more than five minutes from now
	Expired                  // issued a timeout ago or longer
	Stale                    // good, but to be issued again
	Valid                    // good
)

// OK reports whether the cookie names a backend that the client may be sent to.
func (v Verdict) OK() bool { return v >= Stale }

// String is one lower-case word, for logs and labels.
func (v Verdict) String() string {
	switch v {
	case Foreign:
		return "foreign"
	case Forged:
		return "forged"
	case Future:
		return "future"
	case Expired:
		return "expired"
	case Stale:
		return "stale"
	case Valid:
		return "valid"
	default:
		return "malformed"
	}
}

// Codec makes and reads the cookies of one pool. It is immutable, so any number of goroutines may
// use it; keys are rotated by making another.
type Codec struct{ signers []*signer }

// NewCodec makes the codec of a pool. The first key signs, every key verifies. Codecs with the same
// keys and pool name agree on every machine. It is an error to give no key or one that is shorter
// than MinKey.
func NewCodec(keys [][]byte, pool string) (*Codec, error) {
	if len(keys) == 0 {
		return nil, errors.New("session cookies need a key")
	}
	c := &Codec{signers: make([]*signer, len(keys))}
	for i, key := range keys {
		if len(key) < MinKey {
			return nil, fmt.Errorf("key %d of session cookies has %d bytes, want %d or more", i+1, len(key), MinKey)
		}
		c.signers[i] = newSigner(key, pool)
	}
	return c, nil
}

// Encode appends the cookie value that names a backend, EncodedSize bytes, all of them letters,
// digits, "-" or "_". issued is now, in Unix seconds, held within 0 and 2^48-1. It allocates only to
// grow dst.
func (c *Codec) Encode(dst []byte, backend string, issued int64) []byte {
	s := c.signers[0]
	st := s.state()
	defer s.states.Put(st)
	tag := st.tagOf(backend)
	raw := &st.raw
	raw[0] = version
	copy(raw[1:], s.pool[:])
	// The time is written with two zero bytes in front, which the tag then overwrites.
	binary.BigEndian.PutUint64(raw[headSize-8:], uint64(min(max(issued, 0), maxIssued)))
	binary.BigEndian.PutUint64(raw[1+tagSize:], uint64(tag))
	copy(raw[headSize:], st.sign(raw[:headSize]))
	return encoding.AppendEncode(dst, raw[:])
}

// Decode reads a cookie value. Unless the verdict is OK, tag and issued are 0. now is in Unix
// seconds. timeout, rounded up to seconds, counts from the issue; 0 or less: cookies do not expire. A
// good cookie is Stale after half of timeout, or if another key than the first signed it. Decode
// does not allocate. The time that it takes does not depend on how much of a forged MAC is right.
func (c *Codec) Decode(value []byte, now int64, timeout time.Duration) (tag Tag, issued int64, v Verdict) {
	if len(value) != EncodedSize {
		return 0, 0, Malformed
	}
	var raw [rawSize]byte
	if n, err := encoding.Decode(raw[:], value); err != nil || n != rawSize || raw[0] != version {
		return 0, 0, Malformed
	}
	signed, v := c.verify(&raw)
	if v != Valid {
		return 0, 0, v
	}
	tag = Tag(binary.BigEndian.Uint64(raw[1+tagSize:]))
	issued = int64(binary.BigEndian.Uint64(raw[headSize-8:headSize]) & maxIssued)
	if v = age(issued, now, timeout); !v.OK() {
		return 0, 0, v
	}
	if signed > 0 {
		v = Stale
	}
	return tag, issued, v
}

// verify finds the key that signed raw. The pool tag differs from key to key, so a cookie is hashed
// under one key at most, however many are configured.
func (c *Codec) verify(raw *[rawSize]byte) (key int, v Verdict) {
	for i, s := range c.signers {
		if [tagSize]byte(raw[1:]) != s.pool {
			continue
		}
		if s.verify(raw) {
			return i, Valid
		}
		return 0, Forged
	}
	return 0, Foreign
}

// age judges the time of issue, which is not negative.
func age(issued, now int64, timeout time.Duration) Verdict {
	if issued-maxSkew > now {
		return Future
	}
	seconds := int64(timeout / time.Second)
	if timeout%time.Second > 0 {
		seconds++
	}
	passed := max(now, issued) - issued
	switch {
	case timeout <= 0:
		return Valid
	case passed >= seconds:
		return Expired
	case passed >= (seconds+1)/2:
		return Stale
	default:
		return Valid
	}
}
