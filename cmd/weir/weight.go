package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"weir/api"
)

// asConfigured is the word for the weight of the configuration.
const asConfigured = "configured"

func newWeight() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "weight POOL/BACKEND 0…256",
		Short: "Change the weight of a backend",
		Long: `Change the weight of a backend: its share of new flows beside those of the others. 0 gives it those of its sessions alone.
It holds over reloads and restarts. The word configured in the place of a number lets the configuration hold again.`,
		Example: "weir weight web/b1 5\nweir weight web/b1 configured",
		Args:    oneBackend("WEIGHT"),
	}
	where := addLocator(cmd, adminTimeout)
	cmd.ValidArgsFunction = completeFirst(where.backends)
	cmd.RunE = verb(func(cmd *cobra.Command, args []string) error {
		n, err := parseBackend(args[0])
		if err != nil {
			return err
		}
		wanted := (*int)(nil)
		if args[1] != asConfigured {
			weight, err := strconv.Atoi(args[1])
			if err != nil || weight < 0 || weight > 256 {
				return usage("%q is no weight: give a number from 0 to 256, or the word %s", args[1], asConfigured)
			}
			wanted = &weight
		}
		a, err := where.admin()
		if err != nil {
			return err
		}
		before, changed, err := a.override(cmd.Context(), n, func(_ api.BackendObject, o *api.Override) { o.Weight = wanted })
		if err != nil {
			return err
		}
		return reportWeight(cmd, where, n, before, wanted, changed)
	})
	return cmd
}

// reportWeight says what was done and how to undo it.
func reportWeight(cmd *cobra.Command, where *locator, n backendName, before api.BackendObject, wanted *int, changed bool) error {
	_, weight := configured(before)
	_, former := inForceOf(before)
	word := "as configured"
	if wanted != nil {
		weight, word = *wanted, "overridden"
	}
	if !changed {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s has weight %d already, %s\n", n, weight, word)
		return err
	}
	back := asConfigured
	if before.Override != nil && before.Override.Weight != nil {
		back = strconv.Itoa(*before.Override.Weight)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s has weight %d, %s; it was %d. Undo: %s\n", n, weight, word, former, where.undo("weight", n.String(), back))
	return err
}
