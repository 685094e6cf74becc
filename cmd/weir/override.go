package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"weir/api"
)

// overrideTries is how often a change is made again that another one has crossed.
const overrideTries = 5

// path is where a backend is in the API.
func (n backendName) path() string {
	return "/v1/pools/" + url.PathEscape(n.pool) + "/backends/" + url.PathEscape(n.backend)
}

// backend asks for a backend. The error of one that is not there names the one that was probably meant.
func (a *admin) backend(ctx context.Context, n backendName) (b api.BackendObject, err error) {
	if _, err = a.get(ctx, n.path(), &b); err == nil {
		return b, nil
	}
	if p, ok := errors.AsType[*api.Problem](err); !ok || p.Status != http.StatusNotFound {
		return b, err
	}
	var status api.Status
	if _, statusErr := a.get(ctx, "/v1/status", &status); statusErr != nil {
		return b, err
	}
	return b, &failure{exitRefused, unknownBackend(n, status)}
}

// unknownBackend says which names there are.
func unknownBackend(n backendName, status api.Status) error {
	var pools, backends []string
	for _, p := range status.Pools {
		pools = append(pools, p.Name)
		for _, b := range p.Backends {
			if p.Name == n.pool {
				backends = append(backends, b.Name)
			}
		}
	}
	for _, p := range pools {
		if p == n.pool {
			return fmt.Errorf("pool %s has no backend %q (backends: %s)%s", n.pool, n.backend, strings.Join(backends, ", "), didYouMean(n.backend, backends))
		}
	}
	return fmt.Errorf("there is no pool %q (pools: %s)%s", n.pool, strings.Join(pools, ", "), didYouMean(n.pool, pools))
}

// override changes what the operator wants of a backend, and returns the backend as it was. Nothing is
// sent if edit changes nothing: then changed is false.
func (a *admin) override(ctx context.Context, n backendName, edit func(b api.BackendObject, o *api.Override)) (before api.BackendObject, changed bool, err error) {
	for try := 1; ; try++ {
		if before, err = a.backend(ctx, n); err != nil {
			return before, false, err
		}
		var o api.Override
		if before.Override != nil {
			o = *before.Override
		}
		had := o
		if edit(before, &o); same(had, o) {
			return before, false, nil
		}
		tag := before.ETag
		if strings.Contains(n.backend, "/") {
			tag = "" // an address of a name is no object of its own
		}
		err = a.putOverride(ctx, n, o, tag)
		if p, ok := errors.AsType[*api.Problem](err); ok && p.Status == http.StatusPreconditionFailed && try < overrideTries {
			continue // somebody else has changed it meanwhile
		}
		return before, err == nil, err
	}
}

func same(a, b api.Override) bool {
	return (a.State == nil) == (b.State == nil) && (a.State == nil || *a.State == *b.State) &&
		(a.Weight == nil) == (b.Weight == nil) && (a.Weight == nil || *a.Weight == *b.Weight)
}

// putOverride sets an override; one that wants nothing is cleared.
func (a *admin) putOverride(ctx context.Context, n backendName, o api.Override, etag string) error {
	method, body := http.MethodDelete, []byte(nil)
	if o.State != nil || o.Weight != nil {
		method = http.MethodPut
		text, err := json.Marshal(o)
		if err != nil {
			return err
		}
		body = text
	}
	_, _, err := a.exchange(ctx, request{method: method, path: n.path() + "/override", body: body, ifMatch: etag})
	return err
}

// configured is what the configuration says of a backend.
func configured(b api.BackendObject) (state string, weight int) {
	spec := struct {
		State  string `json:"state"`
		Weight *int   `json:"weight"`
	}{}
	state, weight = "ready", 1
	// A spec that is no mapping is an address alone.
	if json.Unmarshal(b.Spec, &spec) != nil {
		return state, weight
	}
	if spec.State != "" {
		state = spec.State
	}
	if spec.Weight != nil {
		weight = *spec.Weight
	}
	return state, weight
}

// inForceOf is state and weight with the override.
func inForceOf(b api.BackendObject) (state string, weight int) {
	state, weight = configured(b)
	if o := b.Override; o != nil && o.State != nil {
		state = *o.State
	}
	if o := b.Override; o != nil && o.Weight != nil {
		weight = *o.Weight
	}
	if b.Status != nil { // an address of a name can inherit others
		state, weight = b.Status.State, b.Status.Weight
	}
	return state, weight
}

// undo is the command line that takes back what was done, for the same daemon.
func (l *locator) undo(words ...string) string {
	command := "weir " + strings.Join(words, " ")
	switch {
	case l.socket != "":
		command += " --socket " + l.socket
	case l.config != "":
		command += " -c " + l.config
	}
	return command
}

// oneBackend wants POOL/BACKEND and nothing else, but for what comes after it.
func oneBackend(more ...string) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		want := append([]string{"POOL/BACKEND"}, more...)
		if len(args) != len(want) {
			return fmt.Errorf("%s takes %s (found %d words)", cmd.CommandPath(), strings.Join(want, " "), len(args))
		}
		return nil
	}
}

func newOverride() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "override POOL/BACKEND --clear",
		Short: "Show or clear what an operator wants of a backend instead of what its configuration says",
		Long: `Show what an operator wants of a backend instead of what its configuration says, which drain, maintenance,
ready and weight set. It holds over reloads and restarts. With --clear the configuration holds again.`,
		Example: "weir override web/b1\nweir override web/b1 --clear",
		Args:    oneBackend(),
	}
	where := addLocator(cmd, adminTimeout)
	clear := cmd.Flags().Bool("clear", false, "let hold again what the configuration says")
	cmd.ValidArgsFunction = completeFirst(where.backends)
	cmd.RunE = verb(func(cmd *cobra.Command, args []string) error {
		n, err := parseBackend(args[0])
		if err != nil {
			return err
		}
		a, err := where.admin()
		if err != nil {
			return err
		}
		if !*clear {
			return showOverride(cmd, a, n)
		}
		before, changed, err := a.override(cmd.Context(), n, func(_ api.BackendObject, o *api.Override) { *o = api.Override{} })
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if !changed {
			_, err = fmt.Fprintf(out, "%s has no override\n", n)
			return err
		}
		state, weight := configured(before)
		_, err = fmt.Fprintf(out, "%s is as configured: %s, weight %d; the override was %s\n", n, state, weight, overrideWords(before.Override))
		return err
	})
	return cmd
}

func showOverride(cmd *cobra.Command, a *admin, n backendName) error {
	b, err := a.backend(cmd.Context(), n)
	if err != nil {
		return err
	}
	state, weight := configured(b)
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s override: %s; configured: %s, weight %d\n", n, overrideWords(b.Override), state, weight)
	return err
}

// overrideWords is an override in words.
func overrideWords(o *api.Override) string {
	var words []string
	if o != nil && o.State != nil {
		words = append(words, *o.State)
	}
	if o != nil && o.Weight != nil {
		words = append(words, fmt.Sprintf("weight %d", *o.Weight))
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}
