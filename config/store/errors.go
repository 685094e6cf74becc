package store

import (
	"errors"
	"fmt"
	"strings"

	"weir/config"
)

// What callers branch on.
var (
	ErrNotFound     = errors.New("does not exist")
	ErrExists       = errors.New("exists already")
	ErrOwned        = errors.New("is the file's")                                       // every *OwnedError is it
	ErrProtected    = errors.New("is protected from deletion")                          // a pool with deletion_protection
	ErrPrecondition = errors.New("has changed meanwhile")                               // If-Match does not hold
	ErrBadSpec      = errors.New("is not what it should be")                            // not JSON, or of another shape
	ErrInvalid      = config.ErrInvalid                                                 // every *InvalidError is it
	ErrRefused      = errors.New("cannot be put in force")                              // the plane could not prepare it
	ErrState        = errors.New("the change could not be kept in the state directory") // nothing has changed
	ErrStopping     = errors.New("the process is stopping")
)

func notFound(r Ref) error { return fmt.Errorf("%s %w", r, ErrNotFound) }

// OwnedError refuses to change an object that is defined in a file.
type OwnedError struct {
	Ref    Ref
	Origin config.Origin
}

// Error names the place.
func (e *OwnedError) Error() string {
	return fmt.Sprintf("%s is defined in %s; change it there and reload", e.Ref, e.Origin)
}

// Is makes it ErrOwned.
func (e *OwnedError) Is(target error) bool { return target == ErrOwned }

// InvalidError is a configuration with errors.
type InvalidError struct{ Report config.Report }

// Error has one line for every error.
func (e *InvalidError) Error() string {
	var lines []string
	for _, d := range e.Report.Diagnostics {
		if d.Severity == config.Error {
			lines = append(lines, d.Sentence())
		}
	}
	return strings.Join(lines, "\n")
}

// Unwrap is ErrInvalid.
func (e *InvalidError) Unwrap() error { return config.ErrInvalid }

// refused is an error of the plane, in its own words.
type refused struct{ err error }

func (e *refused) Error() string        { return e.err.Error() }
func (e *refused) Unwrap() error        { return e.err }
func (e *refused) Is(target error) bool { return target == ErrRefused }

// unkept is an error of the state directory.
type unkept struct{ err error }

func (e *unkept) Error() string {
	return fmt.Sprintf("state_dir: %v; nothing has changed", e.err)
}
func (e *unkept) Unwrap() error        { return e.err }
func (e *unkept) Is(target error) bool { return target == ErrState }
