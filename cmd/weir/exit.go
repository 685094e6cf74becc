package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Exit codes, the same for every verb.
const (
	exitInvalid     = 1 // a configuration is not valid, a daemon is not ready, or the work went wrong
	exitUsage       = 2 // of weir itself; `weir health`: draining
	exitUnreachable = 3
	exitRefused     = 4 // the daemon understood and said no
)

// failure is an error with the exit code that it deserves. Without err, all has been said.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string {
	if f.err == nil {
		return fmt.Sprintf("exit %d", f.code)
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// usage is a failure of whoever typed the command.
func usage(format string, a ...any) error {
	return &failure{exitUsage, fmt.Errorf(format, a...)}
}

// verb makes every error of run a failure, of code 1 unless it says otherwise. What remains without
// a code is cobra's own, about flags and arguments.
func verb(run func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := run(cmd, args)
		if err == nil || isFailure(err) {
			return err
		}
		return &failure{exitInvalid, err}
	}
}

// isFailure reports whether err has an exit code.
func isFailure(err error) bool {
	_, ok := errors.AsType[*failure](err)
	return ok
}

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	f, ok := errors.AsType[*failure](err)
	if !ok {
		f = &failure{exitUsage, err}
	}
	if f.err != nil {
		fmt.Fprintf(stderr, "weir: %v\n", f.err)
		if f.code == exitUsage {
			fmt.Fprintf(stderr, "see '%s --help'\n", cmd.CommandPath())
		}
	}
	return f.code
}
