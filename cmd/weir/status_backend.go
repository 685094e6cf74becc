package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/api"
)

// narrow leaves one pool of a status, and the listeners whose own pool that is.
func narrow(status *api.Status, pool string) error {
	var names []string
	for _, p := range status.Pools {
		names = append(names, p.Name)
		if p.Name != pool {
			continue
		}
		var listeners []api.ListenerStatus
		for _, l := range status.Listeners {
			if l.Pool == pool {
				listeners = append(listeners, l)
			}
		}
		status.Listeners, status.Leaving, status.Pools = listeners, nil, []api.PoolStatus{p}
		return nil
	}
	return &failure{exitRefused, fmt.Errorf("there is no pool %q (pools: %s)%s", pool, strings.Join(names, ", "), didYouMean(pool, names))}
}

// showBackend prints one backend with its last probes.
func (a *admin) showBackend(cmd *cobra.Command, n backendName, form string) error {
	b, err := a.backend(cmd.Context(), n)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if form != formTable {
		_, document, err := a.do(cmd.Context(), http.MethodGet, n.path())
		if err != nil {
			return err
		}
		return writeDocument(out, document, form)
	}
	var history api.ProbeHistory
	_, err = a.get(cmd.Context(), n.path()+"/probes", &history)
	if p, ok := errors.AsType[*api.Problem](err); err != nil && (!ok || p.Status != http.StatusNotFound) {
		return err
	}
	return writeBackend(out, n, b, history.Probes, time.Now())
}

// writeBackend prints a backend and its probes.
func writeBackend(out io.Writer, n backendName, b api.BackendObject, probes []api.ProbeStatus, now time.Time) error {
	list := b.Addresses
	if b.Status != nil {
		list = append(list, *b.Status)
	}
	rows := backendRows(api.Status{Pools: []api.PoolStatus{{Name: n.pool, Backends: list}}}, now)
	if err := writeTable(out, backendHeading, rows); err != nil {
		return err
	}
	state, weight := configured(b)
	where := b.Origin.File + ":" + strconv.Itoa(b.Origin.Line)
	if b.Origin.API {
		where = "made through the API"
	}
	if _, err := fmt.Fprintf(out, "\noverride    %s\nconfigured  %s, weight %d (%s)\n", overrideWords(b.Override), state, weight, where); err != nil {
		return err
	}
	if len(probes) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(out); err != nil {
		return err
	}
	return writeTable(out, []string{"PROBE", "RESULT", "TOOK", "PHASE", "STATUS", "REASON", "ANSWER"}, probeRows(probes, now))
}

func probeRows(probes []api.ProbeStatus, now time.Time) (rows [][]string) {
	for _, p := range probes {
		result, status := "failed", ""
		if p.OK {
			result = "passed"
		}
		if p.Status != 0 {
			status = strconv.Itoa(p.Status)
		}
		took := time.Duration(p.DurationMS * float64(time.Millisecond))
		rows = append(rows, []string{age(now.Sub(p.At)) + " ago", result, took.Round(10 * time.Microsecond).String(), p.Phase, status, p.Reason, p.Excerpt})
	}
	return rows
}
