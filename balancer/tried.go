package balancer

// maxTried is how many backends a Tried remembers.
const maxTried = 16

// Tried is the set of the backends that one flow has already been sent to. The zero value is empty.
// It is a value without pointers to the heap of its own: declare it on the stack or in a pooled
// struct. It is not safe for concurrent use.
type Tried struct {
	backends [maxTried]*Backend
	n        int
	overflow bool
}

// Add puts b into the set. A set that has had to forget a backend answers every later Acquire with
// ErrNoBackendUp, since a tried backend must never be picked again.
func (t *Tried) Add(b *Backend) {
	if t.Has(b) {
		return
	}
	if t.n == maxTried {
		t.overflow = true
		return
	}
	t.backends[t.n] = b
	t.n++
}

// Has reports whether b is in the set. A nil set is empty.
func (t *Tried) Has(b *Backend) bool {
	if t == nil {
		return false
	}
	for _, tried := range t.backends[:t.n] {
		if tried == b {
			return true
		}
	}
	return false
}

// Len is the number of backends in the set, at most 16.
func (t *Tried) Len() int {
	if t == nil {
		return 0
	}
	return t.n
}

// Reset empties the set and drops its references.
func (t *Tried) Reset() { *t = Tried{} }
