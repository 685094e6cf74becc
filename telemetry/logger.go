package telemetry

import (
	"io"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"weir/config"
)

// LogSettings are those of a logger that can change while it is used.
type LogSettings struct {
	level   zap.AtomicLevel
	console atomic.Bool
}

// NewLogger makes the log of the process: lines of JSON, or text for people if c.Format is console,
// with the time in ISO 8601 (UTC). The settings may be changed at any time; they hold for all loggers
// that were made from this one. Writes to w are serialised. c has been validated: a level it could not
// hold counts as info.
func NewLogger(c config.Log, w io.Writer) (*zap.Logger, *LogSettings) {
	s := &LogSettings{level: zap.NewAtomicLevel()}
	s.Set(c)
	encoding := zapcore.EncoderConfig{
		TimeKey:        "ts",
		LevelKey:       "level",
		NameKey:        "logger",
		MessageKey:     "msg",
		StacktraceKey:  "stack",
		LineEnding:     "\n",
		EncodeTime:     encodeTime,
		EncodeLevel:    zapcore.LowercaseLevelEncoder,
		EncodeDuration: zapcore.StringDurationEncoder,
	}
	out := zapcore.Lock(zapcore.AddSync(w))
	lines := zapcore.NewCore(zapcore.NewJSONEncoder(encoding), out, s.level)
	encoding.ConsoleSeparator = "  "
	text := zapcore.NewCore(zapcore.NewConsoleEncoder(encoding), out, s.level)
	return zap.New(&switchedCore{s, lines, text}), s
}

// Set changes the settings.
func (s *LogSettings) Set(c config.Log) {
	level, err := zapcore.ParseLevel(c.Level)
	if err != nil {
		level = zapcore.InfoLevel
	}
	s.level.SetLevel(level)
	s.console.Store(c.Format == "console")
}

// Level is the lowest level that is written.
func (s *LogSettings) Level() zapcore.Level { return s.level.Level() }

// switchedCore writes through one of two cores.
type switchedCore struct {
	settings    *LogSettings
	lines, text zapcore.Core
}

var _ zapcore.Core = (*switchedCore)(nil)

// Enabled reports whether entries of that level are written.
func (c *switchedCore) Enabled(level zapcore.Level) bool { return c.settings.level.Enabled(level) }

// With adds fields to both.
func (c *switchedCore) With(fields []zapcore.Field) zapcore.Core {
	return &switchedCore{c.settings, c.lines.With(fields), c.text.With(fields)}
}

// Check asks to be called with entries that are written.
func (c *switchedCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(e.Level) {
		return checked
	}
	return checked.AddCore(e, c)
}

// Write writes an entry in the format of this moment.
func (c *switchedCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if c.settings.console.Load() {
		return c.text.Write(e, fields)
	}
	return c.lines.Write(e, fields)
}

// Sync has nothing to do beyond what the output does.
func (c *switchedCore) Sync() error { return c.lines.Sync() }
