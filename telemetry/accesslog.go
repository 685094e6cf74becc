package telemetry

import (
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"go.uber.org/zap/zapcore"

	"weir/config"
)

// Entry is one line of the access log: one request, or one connection at layer 4. Its strings are copied by Write, so they may
// point into buffers that are used again afterwards.
type Entry struct {
	Time      time.Time // when the request began
	Listener  string
	Client    netip.AddrPort
	Method    string
	Host      string
	Target    string // as the client sent it, query included
	Proto     string // HTTP/1.1
	UserAgent string
	Status    int   // sent to the client; 0: none was
	In, Out   int64 // bytes from and to the client, heads included

	Queue     time.Duration // waiting for a usable backend
	Connect   time.Duration // making a connection to it; 0: an idle one was used
	FirstByte time.Duration // from the request sent to the first byte of the response
	Total     time.Duration // from the first byte of the request to the last of the response

	Pool, Backend string // empty: there was none
	Attempts      int    // backends tried
	Outcome       Outcome
	RequestID     string // empty: left out of the line
	Reason        string // why the outcome is not ok, in words; empty: left out of the line

	// EndedBy says who ended a connection at layer 4: client, backend, idle, drain or weir. It makes the
	// line one of a connection, which has none of the fields of HTTP.
	EndedBy string
	// Received and Sent are the datagrams of a UDP session, whose Proto is UDP.
	Received, Sent int64
	SNI            string // that a client asked for by TLS; empty: left out of the line
}

// AccessLog writes one JSON line per request. Write may be called concurrently, also with Reopen
// and Close. A goroutine of its own does all output; it ends with Close.
type AccessLog struct {
	path    string // empty: not a file
	sampler sampler
	encoder lineEncoder
	output  *asyncWriter // nil: off
}

// accessLogMode is what a new log file gets: requests are nobody else's business.
const accessLogMode = 0o640

// OpenAccessLog opens the log that c describes. lost is called with the number of lines that were
// dropped, from Write or from the log's goroutine; it must not block.
func OpenAccessLog(c config.AccessLog, lost func(n uint64)) (*AccessLog, error) {
	log := &AccessLog{sampler: newSampler(c.Sample), encoder: newLineEncoder()}
	var w io.WriteCloser
	switch c.Output {
	case "off", "":
		return log, nil
	case "stdout":
		w = keepOpen{os.Stdout}
	case "stderr":
		w = keepOpen{os.Stderr}
	default:
		f, err := openLogFile(c.Output)
		if err != nil {
			return nil, err
		}
		log.path, w = c.Output, f
	}
	log.output = newAsyncWriter(w, lost)
	return log, nil
}

// Enabled reports whether lines are written at all; if not, there is no need to fill an Entry.
// A nil AccessLog is off.
func (l *AccessLog) Enabled() bool { return l != nil && l.output != nil }

// Write adds a line, unless it is a success that the sampling leaves out. It never waits for the
// output: where lines come faster than it takes them, they are dropped and counted.
func (l *AccessLog) Write(e *Entry) {
	if !l.Enabled() || e.Outcome.Success() && !l.sampler.take() {
		return
	}
	line, err := l.encoder.encode(e)
	if err != nil {
		l.output.lost(1)
		return
	}
	l.output.add(line.Bytes())
	line.Free()
}

// Reopen opens the file anew, after it was renamed: entries written before go to the old file,
// entries written after it returned to the new one. It does nothing for other outputs. On an error
// the old file stays in use.
func (l *AccessLog) Reopen() error {
	if !l.Enabled() || l.path == "" {
		return nil
	}
	f, err := openLogFile(l.path)
	if err != nil {
		return err
	}
	if err := l.output.replace(f); err != nil {
		return fmt.Errorf("reopen access log %s: %w", l.path, err)
	}
	return nil
}

// Err is the error of the last attempt to write, nil if it succeeded.
func (l *AccessLog) Err() error {
	if !l.Enabled() {
		return nil
	}
	return l.output.err()
}

// Close writes what is pending, ends the goroutine and closes the file. Lines that come later are
// lost. An output that takes nothing is given up after closeWait. Further calls return the same.
func (l *AccessLog) Close() error {
	if !l.Enabled() {
		return nil
	}
	if err := l.output.close(); err != nil {
		return fmt.Errorf("close access log: %w", err)
	}
	return nil
}

func openLogFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, accessLogMode)
	if err != nil {
		return nil, fmt.Errorf("open access log: %w", err)
	}
	return f, nil
}

// keepOpen is an output that belongs to the process.
type keepOpen struct{ io.Writer }

// Close implements io.Closer and closes nothing.
func (keepOpen) Close() error { return nil }

// sampler takes a fixed share of the calls, evenly spread and without chance: of any n calls in a
// row it takes the share of n, rounded up or down.
type sampler struct {
	step uint64 // share × 2^32
	sum  *atomic.Uint64
}

func newSampler(share float64) sampler {
	share = min(max(share, 0), 1)
	return sampler{step: uint64(math.Round(share * (1 << 32))), sum: new(atomic.Uint64)}
}

func (s sampler) take() bool {
	if s.step == 1<<32 {
		return true
	}
	sum := s.sum.Add(s.step)
	return sum>>32 != (sum-s.step)>>32
}

// logLevel of a line: what is not a success is worth a filter.
func logLevel(o Outcome) zapcore.Level {
	if o.Success() {
		return zapcore.InfoLevel
	}
	return zapcore.WarnLevel
}
