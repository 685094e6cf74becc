package telemetry

import "sync/atomic"

// ResolutionResult says how a look-up of a backend's name ended.
type ResolutionResult uint8

// The results.
const (
	ResolutionOK       ResolutionResult = iota
	ResolutionNotFound                  // there is no such name, or it has no address
	ResolutionTimeout                   // no server answered in time
	ResolutionFailed                    // the servers could not be asked, or could not say
	ResolutionUnusable                  // no address of the answer can be that of a backend

	resolutionCount
)

var resolutionNames = [resolutionCount]string{
	ResolutionOK: "ok", ResolutionNotFound: "not_found", ResolutionTimeout: "timeout", ResolutionFailed: "failed", ResolutionUnusable: "unusable",
}

// String is the label value. A value outside the set is "failed": a defect must not pass for an answer.
func (r ResolutionResult) String() string {
	if r >= resolutionCount {
		r = ResolutionFailed
	}
	return resolutionNames[r]
}

// Resolution is one look-up of a backend's name.
type Resolution struct {
	Result    ResolutionResult
	Addresses int // of the last good answer
	Unusable  int // in this answer, of the kind that no backend can have
}

// resolutions is what was counted of one name.
type resolutions struct {
	backendKey
	results   [resolutionCount]atomic.Uint64
	unusable  atomic.Uint64
	addresses atomic.Int64
}

// CountNames makes the series of a backend that is a name. Resolution counts only after this was called for
// it.
func (r *Registry) CountNames(pool, backend string) {
	k := backendKey{pool, backend}
	intern(r, r.names, k, func() *resolutions { return &resolutions{backendKey: k} })
}

// Resolution counts one look-up. One of a name that is not counted is ignored: it ended after its name was
// forgotten, and must not bring the series back.
func (r *Registry) Resolution(pool, backend string, of Resolution) {
	r.mu.RLock()
	n := r.names[backendKey{pool, backend}]
	r.mu.RUnlock()
	if n == nil {
		return
	}
	result := of.Result
	if result >= resolutionCount {
		result = ResolutionFailed
	}
	n.results[result].Add(1)
	n.unusable.Add(uint64(of.Unusable))
	n.addresses.Store(int64(of.Addresses))
}

func (s *sink) resolutions(n *resolutions) {
	if !s.wants(resolutionsTotal, n.pool) {
		return
	}
	for i := range n.results {
		s.sendCount(resolutionsTotal, n.results[i].Load(), n.pool, n.backend, resolutionNames[i])
	}
	s.send(resolvedAddresses, float64(n.addresses.Load()), n.pool, n.backend)
	s.sendCount(unusableAddresses, n.unusable.Load(), n.pool, n.backend)
}
