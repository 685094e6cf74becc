package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// newRoot builds the tree of verbs.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "weir",
		Short: "A layer-4/7 load balancer",
		Long: `weir is a layer-4/7 load balancer, driven by one YAML file.

Try it: weir demo. Use it: weir check FILE, then weir run -c FILE. About a verb: weir help VERB.
Exit codes: 0 fine, 1 invalid or not ready, 2 usage, 3 daemon unreachable, 4 refused by the daemon.`,
		Args:              knownVerb,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Version:           versionLine(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		// Of the edit distance, for "did you mean".
		SuggestionsMinimumDistance: 2,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetVersionTemplate("{{.Version}}\n")
	help := newHelp()
	root.SetHelpCommand(help)
	root.AddCommand(
		newRun(), newCheck(), newFmt(), newSchema(), newReload(), newUpgrade(),
		newStatus(), newTop(), newExplain(), newHealth(), newEvents(), newConfig(),
		newDrain(), newReady(), newMaintenance(), newWeight(), newOverride(), newDebug(),
		newSimulate(), newDemo(),
		newVersion(), help, newCompletion(),
	)
	return root
}

// knownVerb refuses a first word that is no verb, with the one that was probably meant.
func knownVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("unknown command %q; did you mean %s?", args[0], strings.Join(near, " or "))
	}
	return fmt.Errorf("unknown command %q", args[0])
}

// noArgs refuses arguments in words that say what the verb takes.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no arguments, only flags (found %q)", cmd.CommandPath(), args[0])
	}
	return nil
}
