package telemetry

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"weir/config"
)

func TestLoggerJSON(t *testing.T) {
	var out bytes.Buffer
	log, settings := NewLogger(config.Log{Level: "warn", Format: "json"}, &out)
	log.Info("not shown")
	settings.Set(config.Log{Level: "debug", Format: "json"})
	log.Debug("web/b2 down", zap.String("backend", "b2"), zap.Duration("after", 1500*time.Millisecond))
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, out.Bytes())
	}
	if _, err := time.Parse(timeLayout, got["ts"].(string)); err != nil {
		t.Error(err)
	}
	delete(got, "ts")
	want := map[string]any{"level": "debug", "msg": "web/b2 down", "backend": "b2", "after": "1.5s"}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s is %v, want %v", k, got[k], v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("fields %v, want %v", got, want)
	}
}

func TestLoggerConsole(t *testing.T) {
	var out bytes.Buffer
	log, _ := NewLogger(config.Log{Level: "info", Format: "console"}, &out)
	log.Info("listening", zap.String("address", ":8080"))
	want := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z  info  listening  \{"address": ":8080"\}\n$`)
	if !want.Match(out.Bytes()) {
		t.Errorf("got %q", out.String())
	}
}

func TestLoggerUnknownLevelIsInfo(t *testing.T) {
	var out bytes.Buffer
	log, _ := NewLogger(config.Log{Level: "loud"}, &out)
	log.Debug("no")
	log.Info("yes")
	if n := bytes.Count(out.Bytes(), []byte("\n")); n != 1 {
		t.Errorf("%d lines, want 1: %s", n, out.String())
	}
}

// TestLoggerChangesFormat: also for the loggers that were made from it, with their fields.
func TestLoggerChangesFormat(t *testing.T) {
	var out bytes.Buffer
	log, settings := NewLogger(config.Log{Level: "info", Format: "json"}, &out)
	named := log.Named("admin").With(zap.String("door", "socket"))
	for _, tt := range []struct{ format, want string }{
		{"json", `"logger":"admin","msg":"hello","door":"socket"}`},
		{"console", `  info  admin  hello  {"door": "socket"}`},
		{"json", `"logger":"admin","msg":"hello","door":"socket"}`},
	} {
		out.Reset()
		settings.Set(config.Log{Level: "info", Format: tt.format})
		named.Info("hello")
		if !strings.Contains(out.String(), tt.want) {
			t.Errorf("%s: got %q, want %q", tt.format, out.String(), tt.want)
		}
	}
}
