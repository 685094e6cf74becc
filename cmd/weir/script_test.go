package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// TestMain lets scripts run this binary as weir, and looks for goroutines that outlive the tests.
func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"weir": main})
}

type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// TestScripts runs the verbs that need no daemon as their users would.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", UpdateScripts: *update, RequireUniqueNames: true,
		Cmds:      map[string]func(*testscript.TestScript, bool, []string){"readme": firstSteps},
		Condition: condition})
}

// condition knows those that scripts may have beside the usual ones.
func condition(name string) (bool, error) {
	if name != "racing" {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	return racing, nil
}

// firstSteps writes the commands that the README wants to be pasted into a file, with ports that are free
// here.
func firstSteps(ts *testscript.TestScript, _ bool, args []string) {
	text, err := os.ReadFile(readmeFile())
	ts.Check(err)
	_, block, found := strings.Cut(string(text), "```sh\n")
	block, _, closed := strings.Cut(block, "```\n")
	if !found || !closed {
		ts.Fatalf("the README has no commands")
	}
	replace := []string{"make build\n", "", "bin/weir", "weir"}
	for _, port := range []string{"8080", "9091", "9001", "9002"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		defer l.Close() // when all have been chosen, so that they differ
		_, free, err := net.SplitHostPort(l.Addr().String())
		ts.Check(err)
		replace = append(replace, port, free)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.NewReplacer(replace...).Replace(block)), 0o600))
}

// readmeFile is absolute, because scripts have folders of their own.
func readmeFile() string {
	path, err := filepath.Abs(filepath.Join("..", "..", "README.md"))
	if err != nil {
		panic(err)
	}
	return path
}
