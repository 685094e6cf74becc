package config

// ObjectError is what stands against a valid object when it is to be put in force: its address is taken, its
// certificate cannot be read.
type ObjectError struct {
	Path   string // listeners.web
	Origin Origin
	Err    error
}

// Error begins with the place, if a file has the object.
func (e *ObjectError) Error() string {
	text := e.Path + ": " + e.Err.Error()
	if e.Origin.API || e.Origin.File == "" {
		return text
	}
	return e.Origin.String() + ": " + text
}

// Unwrap returns Err.
func (e *ObjectError) Unwrap() error { return e.Err }
