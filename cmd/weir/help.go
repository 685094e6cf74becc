package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [VERB]",
		Short: "Describe weir or one of its verbs",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("name one verb (found %d words)", len(args))
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			for _, c := range cmd.Root().Commands() {
				if c.IsAvailableCommand() {
					names = append(names, c.Name())
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: verb(func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Root().Help()
			}
			described, _, err := cmd.Root().Find(args)
			if err == nil && described == cmd.Root() {
				err = knownVerb(described, args)
			}
			if err != nil {
				return &failure{exitUsage, err}
			}
			described.InitDefaultHelpFlag() // as for weir VERB --help
			return described.Help()
		}),
	}
}
