package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binary is the weir under test, an absolute path. TestMain sets it before anything runs.
var binary string

func TestMain(m *testing.M) {
	if name := os.Getenv(backendName); name != "" {
		os.Exit(backendMain(name, os.Getenv(backendAddress)))
	}
	if how := os.Getenv(takerName); how != "" {
		os.Exit(takerMain(how))
	}
	os.Exit(withBinary(m))
}

// withBinary runs the tests against the binary of WEIR_BIN, or one built for them.
func withBinary(m *testing.M) int {
	given := os.Getenv("WEIR_BIN")
	if given != "" {
		path, err := filepath.Abs(given)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		binary = path
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "weir-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "weir")
	build := exec.Command("go", "build", "-o", binary, "weir/cmd/weir")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build weir: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
