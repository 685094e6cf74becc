package api

import (
	"encoding/json"

	"weir/telemetry"
)

// Origin is where an object was made: in a file, or through the API.
type Origin struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`   // from 1
	Column int    `json:"column,omitempty"` // from 1
	API    bool   `json:"api,omitempty"`
}

// Object is what every listener, pool and backend has.
type Object struct {
	Name     string `json:"name"`
	Origin   Origin `json:"origin"`
	ReadOnly bool   `json:"read_only"` // it is the file's: only overrides change it
	// ETag is that of the wish: spec and override. The status is no part of it. Quotes included, as in the
	// fields ETag and If-Match.
	ETag string `json:"etag"`
	// Spec is what is wanted, in the words of the configuration, without what was left to its default.
	// Secrets are masked.
	Spec json.RawMessage `json:"spec"`
}

// ListenerObject is the document of GET /v1/listeners/{listener}.
type ListenerObject struct {
	Object
	Status *ListenerStatus `json:"status,omitempty"` // absent: not in service
}

// PoolObject is the document of GET /v1/pools/{pool}.
type PoolObject struct {
	Object
	Status *PoolStatus `json:"status,omitempty"` // absent: not in service
}

// BackendObject is the document of GET /v1/pools/{pool}/backends/{backend}.
type BackendObject struct {
	Object
	Pool     string         `json:"pool"`
	Override *Override      `json:"override,omitempty"` // absent: none is in force
	Status   *BackendStatus `json:"status,omitempty"`   // absent: not in service, or a name
	// Addresses are what the name stands for, of a backend whose address is a name.
	Addresses []BackendStatus `json:"addresses,omitempty"`
}

// List is the document of all objects of one sort: listeners and pools in order of name, backends in that
// of the configuration. Its ETag is that of everything that is wanted.
type List[T any] struct {
	Revision   uint64 `json:"revision"`
	Generation uint64 `json:"generation"`
	Items      []T    `json:"items"`
}

// The lists of GET /v1/listeners, /v1/pools and /v1/pools/{pool}/backends.
type (
	ListenerList = List[ListenerObject]
	PoolList     = List[PoolObject]
	BackendList  = List[BackendObject]
)

// Override is what an operator wants of a backend instead of what the configuration says. It is kept
// over reloads and restarts until it is cleared. Absent members leave what the configuration says.
type Override struct {
	State  *string `json:"state,omitempty"`  // ready drain maintenance
	Weight *int    `json:"weight,omitempty"` // 0…256
}

// Changed is the answer to everything that changes something: what is in force, and what that made
// different.
type Changed struct {
	Revision   uint64   `json:"revision"`   // of what is wanted; a change that changes nothing makes none
	Generation uint64   `json:"generation"` // of what is in force: counts from 1 at the start of the process
	Summary    string   `json:"summary"`    // one line: "1 backend added, 1 weight changed, 0 connections closed"
	TookMS     float64  `json:"took_ms"`
	Changes    []Change `json:"changes"`
	Warnings   []string `json:"warnings,omitempty"`
	ETag       string   `json:"etag,omitempty"` // of the object that was changed, if it is still there
}

// Change is one thing that is different.
type Change struct {
	Action string `json:"action"`          // added removed changed
	Kind   string `json:"kind"`            // listener pool backend override setting
	Name   string `json:"name"`            // web; web/b1 of a backend or an override
	Field  string `json:"field,omitempty"` // of a change: weight
	// Before and After are in the words of the configuration; one that was or is not there is absent.
	// Secrets are masked.
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// Difference is the document of GET /v1/diff: what a reload would change.
type Difference struct {
	File        string       `json:"file"`
	Valid       bool         `json:"valid"`   // false: a reload would be refused, Diagnostics say why
	Summary     string       `json:"summary"` // one line
	Changes     []Change     `json:"changes"`
	Diagnostics []Diagnostic `json:"diagnostics"`
}

// Validation is the answer to POST /v1/validate.
type Validation struct {
	Valid       bool         `json:"valid"`
	Errors      int          `json:"errors"`
	Warnings    int          `json:"warnings"`
	Diagnostics []Diagnostic `json:"diagnostics"`
}

// Diagnostic is one thing that is wrong with a configuration, or doubtful.
type Diagnostic struct {
	Severity string `json:"severity"`       // error warning
	Path     string `json:"path,omitempty"` // pools.web.backends.b1.weight
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`   // from 1; absent: the file as a whole
	Column   int    `json:"column,omitempty"` // from 1, in characters
}

// Effective is the document of GET /v1/config: everything that is in force, defaults included, secrets
// masked.
type Effective struct {
	Revision   uint64          `json:"revision"`
	Generation uint64          `json:"generation"`
	SHA256     string          `json:"sha256"`
	Files      []string        `json:"files"` // that were read, the main one first
	Config     json.RawMessage `json:"config"`
}

// Event is one thing that happened. GET /v1/events sends them.
type Event = telemetry.Event
