package main

import (
	"github.com/spf13/cobra"

	"weir/config"
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
	stderr := cmd.ErrOrStderr()
	if err := report.Text(stderr, colourful(stderr)); err != nil {
		return nil, report, err
	}
	return nil, report, &failure{exitInvalid, nil}
}
