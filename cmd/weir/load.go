package main

import (
	"errors"

	"github.com/spf13/cobra"

	"weir/config"
	"weir/config/store"
)

// defaultConfig is where the packages put the configuration.
const defaultConfig = "/etc/weir/weir.yaml"

// load reads a configuration. If it is not valid, everything that is wrong with it goes to standard
// error and the error has nothing to add.
func load(cmd *cobra.Command, file string, options ...config.Option) (*config.Config, config.Report, error) {
	c, report := config.Load(file, options...)
	if report.Errors() == 0 {
		return c, report, nil
	}
	return nil, report, invalid(cmd, report)
}

// openStore opens the store of a configuration. If that is not valid, it is told as load does.
func openStore(cmd *cobra.Command, o store.Options) (*store.Store, error) {
	s, err := store.Open(o)
	if wrong, ok := errors.AsType[*store.InvalidError](err); ok {
		return nil, invalid(cmd, wrong.Report)
	}
	return s, err
}

// invalid writes what is wrong with a configuration to standard error.
func invalid(cmd *cobra.Command, report config.Report) error {
	stderr := cmd.ErrOrStderr()
	if err := report.Text(stderr, colourful(stderr)); err != nil {
		return err
	}
	return &failure{exitInvalid, nil}
}
