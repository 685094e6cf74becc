package main

import (
	"github.com/spf13/cobra"

	"weir/config"
)

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration, for editors",
		Long: `Print the JSON Schema of the configuration (draft 2020-12), for completion and hints in editors:
weir schema > weir.schema.json, then begin the configuration with
# yaml-language-server: $schema=weir.schema.json`,
		Args: noArgs,
		RunE: verb(func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(config.Schema())
			return err
		}),
	}
}
