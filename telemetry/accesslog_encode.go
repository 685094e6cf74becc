package telemetry

import (
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
)

// timeLayout is ISO 8601 in UTC with milliseconds, for all logs.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// lineEncoder turns entries into JSON lines. zap escapes the strings: a client cannot write a line
// break, a control character or invalid UTF-8 into the log.
type lineEncoder struct {
	json  zapcore.Encoder
	lines *sync.Pool // of *line, so that encoding does not allocate
}

// line is an Entry on its way through zap.
type line struct {
	entry  *Entry
	fields [1]zap.Field // the line itself, inlined
	client [64]byte     // the client's address as text
}

func newLineEncoder() lineEncoder {
	c := zapcore.EncoderConfig{
		TimeKey:     "ts",
		LevelKey:    "level",
		LineEnding:  "\n",
		EncodeTime:  encodeTime,
		EncodeLevel: zapcore.LowercaseLevelEncoder,
	}
	return lineEncoder{
		json: zapcore.NewJSONEncoder(c),
		lines: &sync.Pool{New: func() any {
			l := new(line)
			l.fields[0] = zap.Inline(l)
			return l
		}},
	}
}

// encode returns the line with its line break. The caller frees it.
func (c lineEncoder) encode(e *Entry) (*buffer.Buffer, error) {
	l := c.lines.Get().(*line)
	l.entry = e
	b, err := c.json.EncodeEntry(zapcore.Entry{Level: logLevel(e.Outcome), Time: e.Time}, l.fields[:])
	l.entry = nil
	c.lines.Put(l)
	return b, err
}

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (l *line) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	e := l.entry
	enc.AddString("listener", e.Listener)
	enc.AddByteString("client", e.Client.Addr().Unmap().AppendTo(l.client[:0]))
	enc.AddUint16("client_port", e.Client.Port())
	http := e.EndedBy == ""
	if http {
		enc.AddString("method", e.Method)
		enc.AddString("host", e.Host)
		enc.AddString("path", e.Target)
	}
	enc.AddString("proto", e.Proto)
	if http {
		enc.AddInt("status", e.Status)
	}
	enc.AddInt64("bytes_in", e.In)
	enc.AddInt64("bytes_out", e.Out)
	enc.AddFloat64("duration_ms", milliseconds(e.Total))
	enc.AddFloat64("queue_ms", milliseconds(e.Queue))
	enc.AddFloat64("connect_ms", milliseconds(e.Connect))
	if e.Proto != "UDP" {
		enc.AddFloat64("ttfb_ms", milliseconds(e.FirstByte))
	}
	enc.AddString("pool", e.Pool)
	enc.AddString("backend", e.Backend)
	enc.AddInt("attempts", e.Attempts)
	enc.AddString("outcome", e.Outcome.String())
	if e.Reason != "" {
		enc.AddString("reason", e.Reason)
	}
	if e.RequestID != "" {
		enc.AddString("request_id", e.RequestID)
	}
	if http {
		enc.AddString("ua", e.UserAgent)
		return nil
	}
	enc.AddString("ended_by", e.EndedBy)
	if e.Proto == "UDP" {
		enc.AddInt64("datagrams_in", e.Received)
		enc.AddInt64("datagrams_out", e.Sent)
	}
	if e.SNI != "" {
		enc.AddString("sni", e.SNI)
	}
	return nil
}

// milliseconds keeps whole microseconds, so that the number is short.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

func encodeTime(t time.Time, enc zapcore.PrimitiveArrayEncoder) {
	zapcore.TimeEncoderOfLayout(timeLayout)(t.UTC(), enc)
}
