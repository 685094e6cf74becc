package telemetry

import (
	"strconv"
	"sync"
	"sync/atomic"
)

// responses counts requests by method, status and outcome together: one atomic addition serves
// weir_http_requests_total and weir_http_outcomes_total, whose sums it is read as.
//
// The combinations that occur are few, so each has a tally that is found in a small hash table
// with open addressing, of which at most half is used. Tallies are never taken out. Reading takes
// no lock; a combination that is seen for the first time is put in, or the table replaced by a
// larger one, under mu.
type responses struct {
	shards int
	table  atomic.Pointer[tallyTable]
	mu     sync.Mutex // guards used and all changes of the table
	used   int
}

// tally counts one combination.
type tally struct {
	key     uint32
	method  Method
	outcome Outcome
	code    uint16 // as codeOf gives it
	count   counter
}

type tallyTable struct {
	shift   uint8 // 32 - log2(len(entries))
	entries []atomic.Pointer[tally]
}

const firstTableBits = 4

func newResponses(shards int) *responses {
	r := &responses{shards: shards}
	r.table.Store(newTallyTable(firstTableBits))
	return r
}

func newTallyTable(bits uint8) *tallyTable {
	return &tallyTable{shift: 32 - bits, entries: make([]atomic.Pointer[tally], 1<<bits)}
}

// add counts one request. Values outside their sets become the ones that stand for "other", so that
// the number of tallies is bounded whatever is passed.
func (r *responses) add(s Shard, m Method, status int, o Outcome) {
	if m >= methodCount {
		m = MethodOther
	}
	if o >= outcomeCount {
		o = OutcomeInternalError
	}
	code := codeOf(status)
	key := tallyKey(m, code, o)
	t := r.table.Load().find(key)
	if t == nil {
		t = r.create(key, m, code, o)
	}
	t.count.add(s, 1)
}

// create makes the tally of a combination, unless another goroutine just did.
func (r *responses) create(key uint32, m Method, code uint16, o Outcome) *tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	table := r.table.Load()
	if t := table.find(key); t != nil {
		return t
	}
	t := &tally{key: key, method: m, outcome: o, code: code, count: make(counter, r.shards)}
	r.used++
	if 2*r.used <= len(table.entries) {
		table.insert(t)
		return t
	}
	larger := newTallyTable(32 - table.shift + 1)
	table.each(larger.insert)
	larger.insert(t)
	r.table.Store(larger)
	return t
}

// each visits every tally.
func (r *responses) each(visit func(*tally)) { r.table.Load().each(visit) }

func (t *tallyTable) each(visit func(*tally)) {
	for i := range t.entries {
		if found := t.entries[i].Load(); found != nil {
			visit(found)
		}
	}
}

// find returns nil if the key is not there.
func (t *tallyTable) find(key uint32) *tally {
	mask := uint32(len(t.entries) - 1)
	for i := hashKey(key) >> t.shift; ; i++ {
		found := t.entries[i&mask].Load()
		if found == nil || found.key == key {
			return found
		}
	}
}

func (t *tallyTable) insert(added *tally) {
	mask := uint32(len(t.entries) - 1)
	i := hashKey(added.key) >> t.shift
	for t.entries[i&mask].Load() != nil {
		i++
	}
	t.entries[i&mask].Store(added)
}

// hashKey spreads keys over the high bits (Fibonacci hashing: 2^32 divided by the golden ratio).
func hashKey(key uint32) uint32 { return key * 2654435769 }

// tallyKey packs a combination; it is never 0.
func tallyKey(m Method, code uint16, o Outcome) uint32 {
	return 1<<31 | uint32(o)<<16 | uint32(m)<<10 | uint32(code)
}

// The codes that are not a status from 100 to 599. Statuses from 600 to 999 are counted by class,
// as 6 to 9.
const (
	codeNone  = 0 // no response was sent
	codeOther = 1 // not a status at all
)

// codeOf maps a status to the bounded set of codes: below 1024, so that it fits a key.
func codeOf(status int) uint16 {
	switch {
	case status >= 100 && status <= 599:
		return uint16(status)
	case status == 0:
		return codeNone
	case status >= 600 && status <= 999:
		return uint16(status / 100)
	}
	return codeOther
}

// codeLabel is the label value of a code: "200", "6xx", "none", "other".
func codeLabel(code uint16) string {
	switch {
	case code == codeNone:
		return "none"
	case code == codeOther:
		return "other"
	case code < 100:
		return strconv.Itoa(int(code)) + "xx"
	}
	return strconv.Itoa(int(code))
}
