package telemetry

import (
	"sync"
	"time"
)

// reloads remembers how changes of the configuration went.
type reloads struct {
	mu         sync.Mutex // guards all below
	succeeded  uint64
	failed     uint64
	lastOK     bool
	lastOKAt   time.Time
	generation uint64
	digest     string
}

// ReloadStatus is what is known of the configuration in use.
type ReloadStatus struct {
	Succeeded, Failed uint64    // attempts to load one, the first included
	LastOK            bool      // whether the last attempt succeeded
	LastOKAt          time.Time // when the one in use was loaded
	Generation        uint64
	Digest            string
}

// Reload counts an attempt to load a configuration, the first one included. generation and digest
// are those of the new configuration; after a failure the old one is in use and they are ignored.
func (r *Registry) Reload(ok bool, at time.Time, generation uint64, digest string) {
	l := &r.reloads
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastOK = ok
	if !ok {
		l.failed++
		return
	}
	l.succeeded++
	l.lastOKAt, l.generation, l.digest = at, generation, digest
}

// Revised notes the generation of a configuration that came into use without a load: objects or overrides
// have changed, the files have not.
func (r *Registry) Revised(generation uint64) {
	l := &r.reloads
	l.mu.Lock()
	defer l.mu.Unlock()
	l.generation = generation
}

// ReloadStatus returns what Reload was told.
func (r *Registry) ReloadStatus() ReloadStatus {
	l := &r.reloads
	l.mu.Lock()
	defer l.mu.Unlock()
	return ReloadStatus{
		Succeeded:  l.succeeded,
		Failed:     l.failed,
		LastOK:     l.lastOK,
		LastOKAt:   l.lastOKAt,
		Generation: l.generation,
		Digest:     l.digest,
	}
}
