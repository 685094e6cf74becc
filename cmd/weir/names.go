package main

import (
	"fmt"
	"strings"

	"weir/config"
)

// didYouMean names the one of known that was probably meant, as the end of a message; empty: none was.
func didYouMean(got string, known []string) string {
	if near := config.Closest(got, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// backendName is a backend as it is written on a command line.
type backendName struct{ pool, backend string }

func (n backendName) String() string { return n.pool + "/" + n.backend }

// parseBackend reads POOL/BACKEND, or POOL/BACKEND/IP of one address of a backend that is a name. Names have
// no slash themselves.
func parseBackend(text string) (backendName, error) {
	pool, backend, ok := strings.Cut(text, "/")
	if !ok || pool == "" || backend == "" {
		return backendName{}, usage("%q is not POOL/BACKEND, like web/b1", text)
	}
	return backendName{pool, backend}, nil
}
