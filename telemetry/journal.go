package telemetry

import (
	"encoding/json"
	"fmt"
	"maps"
	"sort"
	"strings"
	"sync"
	"time"
)

// JournalSize is how many events a Journal holds.
const JournalSize = 1000

// JournalOptions say where a Journal keeps its events.
type JournalOptions struct {
	File string           // a file for what outlives the process; empty: memory only
	Lost func(n uint64)   // counts events that did not get into the file; nil: nobody does
	Now  func() time.Time // nil: time.Now
}

// Journal holds the last events of a process. Whoever has something to tell calls Add, which never
// waits for a reader or a disk. Readers ask with Since for what they have not seen, as often as the
// channel that it returns says that there is more; a reader that is slow costs nothing but what it
// misses. All methods may be called concurrently, Add and Since also after Close.
type Journal struct {
	options JournalOptions
	output  *asyncWriter // nil: memory only

	mu     sync.Mutex    // guards all below
	events []Event       // oldest first; at most twice JournalSize, of which the last JournalSize count
	last   uint64        // id
	gone   uint64        // id of the last event before events
	more   chan struct{} // closed by the next Add
}

// OpenJournal returns a Journal that goes on where the one in o.File ended. What of that file cannot be
// understood, for example a torn last line, is left out.
func OpenJournal(o JournalOptions) (*Journal, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	j := &Journal{options: o, more: make(chan struct{})}
	if o.File != "" {
		file, kept, err := openJournalFile(o.File)
		if err != nil {
			return nil, fmt.Errorf("journal: %w", err)
		}
		j.events = kept
		j.output = newAsyncWriter(file, o.Lost)
	}
	j.last = j.clock() - 1
	if n := len(j.events); n > 0 {
		j.last = j.events[n-1].ID
	}
	j.gone = j.last
	if n := len(j.events); n > 0 {
		j.gone = j.events[0].ID - 1
	}
	return j, nil
}

// clock is the least id that an event may have at this moment: the time in milliseconds. So the ids of two
// processes that write one file for a while, or of which the second knows nothing of the first, do not
// cross, and a reader that comes back with one of them misses nothing.
func (j *Journal) clock() uint64 { return uint64(max(j.options.Now().UnixMilli(), 1)) }

// Add gives e an id and a time, and tells it to all readers. Its Fields are copied.
func (j *Journal) Add(e Event) {
	if len(e.Message) > maxEventMessage {
		e.Message = strings.ToValidUTF8(e.Message[:maxEventMessage], "") + "…"
	}
	e.Fields = maps.Clone(e.Fields)
	if e.Time.IsZero() {
		e.Time = j.options.Now()
	}
	e.Time = e.Time.UTC().Truncate(time.Millisecond)

	j.mu.Lock()
	defer j.mu.Unlock()
	j.last = max(j.last+1, j.clock())
	e.ID = j.last
	if len(j.events) == 2*JournalSize {
		j.gone = j.events[JournalSize-1].ID
		j.events = append(j.events[:0:0], j.events[JournalSize:]...)
	}
	j.events = append(j.events, e)
	close(j.more)
	j.more = make(chan struct{})
	// Under the lock, so that lines are in the order of their ids.
	j.write(e)
}

// write appends a line to the file. mu must be held.
func (j *Journal) write(e Event) {
	if j.output == nil {
		return
	}
	line, err := json.Marshal(e)
	if err != nil {
		panic("telemetry: event does not encode: " + err.Error()) // texts and a time
	}
	j.output.add(append(line, '\n'))
}

// Batch is what a reader has not seen.
type Batch struct {
	Events []Event // oldest first
	// Missed reports that events between the one asked for and the first of these are gone.
	Missed bool
	// Last is the id of the last event there is.
	Last uint64
	// More is closed when there is another event.
	More <-chan struct{}
}

// Since returns the events after the one with the id after; 0: all that are held. An id that this
// journal has not reached is another journal's: all are returned, as after a gap.
func (j *Journal) Since(after uint64) Batch {
	j.mu.Lock()
	defer j.mu.Unlock()
	b := Batch{Last: j.last, More: j.more}
	held, gone := j.held()
	switch {
	case after > j.last:
		b.Missed, after = true, 0
	case after != 0 && after < gone:
		b.Missed = true
	}
	from := sort.Search(len(held), func(i int) bool { return held[i].ID > after })
	// Nothing is written to an event that was added, so what is shared is not changed.
	b.Events = append([]Event(nil), held[from:]...)
	return b
}

// held are the events that count, and the id of the last one before them. mu must be held.
func (j *Journal) held() (events []Event, gone uint64) {
	if n := len(j.events) - JournalSize; n > 0 {
		return j.events[n:], j.events[n-1].ID
	}
	return j.events, j.gone
}

// Last is the id of the last event there is.
func (j *Journal) Last() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last
}

// Before returns the id of the last event that is older than t, so that Since returns those from t on;
// 0: none is.
func (j *Journal) Before(t time.Time) uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	held, _ := j.held()
	// The clock may have been set back, so times need not be in order: the first that is not older counts.
	for i, e := range held {
		if e.Time.Before(t) {
			continue
		}
		if i == 0 {
			return 0
		}
		return held[i-1].ID
	}
	return j.last
}

// settleTime bounds Settle.
const settleTime = time.Second

// Settle writes to the file what was added before, for whoever is about to open it. It waits a second at most.
func (j *Journal) Settle() error {
	if j.output == nil {
		return nil
	}
	if err := j.output.settle(settleTime); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// Close writes what is pending to the file. Events that are added afterwards are held in memory alone,
// and counted as lost.
func (j *Journal) Close() error {
	if j.output == nil {
		return nil
	}
	if err := j.output.close(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}
