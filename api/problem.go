package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// Problem is an error in the form of RFC 9457. It is an error itself, so that clients of this package can
// pass on what a server answered.
type Problem struct {
	Type   string `json:"type,omitempty"` // absent: about:blank, so Title is the status in words
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"` // what is wrong with this request
	Hint   string `json:"hint,omitempty"`   // what to do about it

	// Path is where in the configuration the (first) fault is: pools.web.backends.b1.weight. File, Line and
	// Column are where that stands, or where in the body of the request if File is empty.
	Path   string `json:"path,omitempty"`
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	// Errors lists all faults, where there may be several.
	Errors []Diagnostic `json:"errors,omitempty"`
}

// The types of problems that programs may want to tell apart. Others have none.
const (
	ProblemInvalid   = "urn:weir:problem:invalid"    // 422: the configuration would not be valid
	ProblemReadOnly  = "urn:weir:problem:read-only"  // 409: the object is defined in a file
	ProblemProtected = "urn:weir:problem:protected"  // 409: deletion_protection
	ProblemInUse     = "urn:weir:problem:in-use"     // 409: something else refers to the object
	ProblemNotFound  = "urn:weir:problem:not-found"  // 404: there is no such object
	ProblemStale     = "urn:weir:problem:stale"      // 412: the object is not as If-Match says
	ProblemNotKept   = "urn:weir:problem:not-kept"   // 507: state_dir cannot be written, nothing has changed
	ProblemNotServed = "urn:weir:problem:not-served" // 409: valid, but it cannot be put in force: a port is taken
	ProblemStopping  = "urn:weir:problem:stopping"   // 503: the process is stopping
)

// Error is the detail and the hint. They are one line, unless the detail has several.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	switch {
	case p.Hint == "":
		return text
	case strings.Contains(text, "\n"):
		return text + "\n" + p.Hint
	}
	return text + "; " + p.Hint
}

// problem makes a Problem whose title is the status in words.
func problem(status int, detail, hint string) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Detail: detail, Hint: hint}
}

// writeJSON answers with a document. Documents are of this package's own types, which encode; what
// remains is a client that went away, and there is nobody left to tell.
func writeJSON(w http.ResponseWriter, status int, document any) {
	write(w, status, "application/json", document)
}

// writeError answers with an error, as it is if it is a Problem.
func writeError(w http.ResponseWriter, err error) {
	p, ok := errors.AsType[*Problem](err)
	if !ok {
		p = problem(http.StatusInternalServerError, err.Error(), "")
	}
	write(w, p.Status, "application/problem+json", p)
}

func write(w http.ResponseWriter, status int, contentType string, document any) {
	body, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		panic("api: document does not encode: " + err.Error())
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// An error here means that the client is gone.
	_, _ = w.Write(append(body, '\n'))
}
