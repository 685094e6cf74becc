package main

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"go.uber.org/zap/zapcore"

	"weir/config"
)

// needsRestart lists the settings that a reload reads and cannot put in force.
func needsRestart(old, c *config.Config) (lines []string) {
	if old.Admin != c.Admin {
		lines = append(lines, "admin changed; it takes effect at the next start")
	}
	if old.Log.Format != c.Log.Format || old.Log.Access != c.Log.Access {
		lines = append(lines, "log.format or log.access changed; they take effect at the next start")
	}
	return lines
}

// warnings lists the warnings of a report, a line each.
func warnings(r config.Report) (lines []string) {
	for _, d := range r.Diagnostics {
		if d.Severity == config.Warning {
			lines = append(lines, fmt.Sprintf("%s: %s; %s", d.Place, d.Message, d.Hint))
		}
	}
	return lines
}

// levelOf is the level of the process log. The configuration was validated, so the word is one of zap's.
func levelOf(l config.Log) zapcore.Level {
	level, err := zapcore.ParseLevel(l.Level)
	if err != nil {
		return zapcore.InfoLevel
	}
	return level
}

// explainBind adds what to do to the usual errors of binding an address.
func explainBind(err error) error {
	switch {
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w — give the binary CAP_NET_BIND_SERVICE, run as root, or use a port of 1024 or above", err)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w — %s has the address; stop it or choose another port", err, ownerOf(err))
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w — this machine has no such address; use one of its own, or :PORT for all", err)
	}
	return err
}

// ownerOf names the process in the way of a bind.
func ownerOf(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		if who := owner(op.Addr); who != "" {
			return who
		}
	}
	return "another process ('ss -ltnp' shows which)"
}
