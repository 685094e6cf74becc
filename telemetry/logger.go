package telemetry

import (
	"io"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"weir/config"
)

// NewLogger makes the log of the process: lines of JSON, or text for people if c.Format is console,
// with the time in ISO 8601 (UTC). The returned level may be changed at any time. Writes to w are
// serialised. c has been validated: a level it could not hold counts as info.
func NewLogger(c config.Log, w io.Writer) (*zap.Logger, zap.AtomicLevel) {
	level, err := zap.ParseAtomicLevel(c.Level)
	if err != nil {
		level = zap.NewAtomicLevel()
	}
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
	encoder := zapcore.NewJSONEncoder(encoding)
	if c.Format == "console" {
		encoding.ConsoleSeparator = "  "
		encoder = zapcore.NewConsoleEncoder(encoding)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), level)), level
}
