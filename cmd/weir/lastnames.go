package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"go.uber.org/zap"

	"weir/resolve"
)

// lastNames is the file of the state directory with the addresses that names had: a restart while there is no
// server of names goes on with them.
type lastNames struct {
	path  string // empty: there is no state directory
	log   *zap.Logger
	fault string // of the last attempt to write it; logged once
}

// lastDocument is its content.
type lastDocument struct {
	Hosts map[string][]netip.Addr `json:"hosts"`
}

func newLastNames(stateDir string, log *zap.Logger) *lastNames {
	if stateDir == "" {
		return &lastNames{log: log}
	}
	return &lastNames{path: filepath.Join(stateDir, "names.json"), log: log}
}

// load reads the file. What cannot be read is not worth a start: the names are looked up anyway.
func (l *lastNames) load() map[string][]netip.Addr {
	if l.path == "" {
		return nil
	}
	var document lastDocument
	text, err := os.ReadFile(l.path)
	if err == nil {
		err = json.Unmarshal(text, &document)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.log.Warn("the last addresses of names are not known, they are looked up", zap.String("file", l.path), zap.Error(err))
		return nil
	}
	return document.Hosts
}

// save replaces the file. It is not synced: after a crash of the machine an older one will do.
func (l *lastNames) save(names []resolve.Status) {
	if l.path == "" {
		return
	}
	document := lastDocument{Hosts: map[string][]netip.Addr{}}
	for _, n := range names {
		if len(n.Addresses) > 0 {
			document.Hosts[n.Host] = n.Addresses
		}
	}
	err := l.replace(document)
	fault := ""
	if err != nil {
		fault = err.Error()
	}
	if fault != "" && fault != l.fault {
		l.log.Warn("the addresses of names are not kept for a restart", zap.Error(err))
	}
	l.fault = fault
}

func (l *lastNames) replace(document lastDocument) error {
	text, err := json.MarshalIndent(document, "", " ")
	if err != nil {
		return fmt.Errorf("encode the addresses of names: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return err
	}
	const suffix = ".new"
	if err := os.Remove(l.path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Anew, so that what somebody has put there is not written through.
	f, err := os.OpenFile(l.path+suffix, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(l.path+suffix, l.path)
}
