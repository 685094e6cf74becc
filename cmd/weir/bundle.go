package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/api"
)

func newDebug() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "debug bundle",
		Short: "Collect in one file what helps to find a fault",
		Long: `Collect in one file what helps to find a fault: status, readiness, the configuration in force with its secrets masked,
metrics, events, probes of backends that are not up, goroutines, limits of the process and versions. Names, addresses and
the answers of backends to probes are in it; look through it before you give it away. A part that cannot be had is named
in the file errors.txt of the bundle.`,
		Example: "weir debug bundle --file bundle.tar.gz",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] != "bundle" {
				return fmt.Errorf("say what: debug bundle")
			}
			return nil
		},
		ValidArgs: []string{"bundle"},
	}
	where := addLocator(cmd, adminTimeout)
	file := cmd.Flags().StringP("file", "o", "", "where to write it; - is the standard output (default weir-TIME.tar.gz)")
	cmd.RunE = verb(func(cmd *cobra.Command, _ []string) error {
		a, err := where.admin()
		if err != nil {
			return err
		}
		now := time.Now()
		b, err := a.collect(cmd.Context())
		if err != nil {
			return err
		}
		if *file == "-" {
			return b.write(cmd.OutOrStdout(), now)
		}
		if *file == "" {
			*file = "weir-" + now.UTC().Format("20060102T150405Z") + ".tar.gz"
		}
		return b.save(cmd.OutOrStdout(), *file, now)
	})
	return cmd
}

// bundle is the parts of a bundle in their order.
type bundle struct {
	parts  []part
	faults []string
}

type part struct {
	name string
	text []byte
}

func (b *bundle) add(name string, text []byte, err error) {
	if err != nil {
		b.faults = append(b.faults, name+": "+strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	b.parts = append(b.parts, part{name, text})
}

// collect asks for every part. It fails only if nobody answers at all.
func (a *admin) collect(ctx context.Context) (*bundle, error) {
	b := &bundle{}
	b.add("version.txt", []byte("client: "+versionLine()+"\n"), nil)
	var status api.Status
	document, err := a.get(ctx, "/v1/status", &status)
	if err != nil {
		return nil, err
	}
	b.parts[0].text = fmt.Appendf(b.parts[0].text, "daemon: weir %s (commit %s), pid %d, started %s\n",
		status.Version, status.Commit, status.PID, status.Started.Format(time.RFC3339))
	b.add("status.json", document, nil)
	for _, p := range []struct{ name, path string }{
		{"ready.json", "/readyz"}, {"config.json", "/v1/config"}, {"diff.json", "/v1/diff"}, {"events.json", "/v1/events?follow=false"},
		{"metrics.txt", "/metrics"}, {"goroutines.txt", "/debug/pprof/goroutine?debug=2"}, {"heap.pprof", "/debug/pprof/heap"},
	} {
		_, text, err := a.do(ctx, http.MethodGet, p.path, http.StatusServiceUnavailable)
		b.add(p.name, text, err)
	}
	for _, p := range status.Pools {
		for _, backend := range p.Backends {
			if backend.Health != "up" && backend.Check != nil {
				_, text, err := a.do(ctx, http.MethodGet, backendName{p.Name, backend.Name}.path()+"/probes")
				b.add("probes/"+plainName(p.Name)+"/"+plainName(backend.Name)+".json", text, err)
			}
		}
	}
	for _, name := range []string{"limits", "status", "sched", "cgroup"} {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(status.PID) + "/" + name)
		b.add("process/"+name+".txt", text, err)
	}
	if len(b.faults) > 0 {
		b.parts = append(b.parts, part{"errors.txt", []byte(strings.Join(b.faults, "\n") + "\n")})
	}
	return b, nil
}

// plainName is a name that is good for a file.
func plainName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || r < ' ' {
			return '_'
		}
		return r
	}, name)
}

// save writes the bundle to a new file that only its owner can read.
func (b *bundle) save(out io.Writer, path string, now time.Time) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err = errors.Join(b.write(f, now), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	note := ""
	if len(b.faults) > 0 {
		note = fmt.Sprintf(", %d could not be had (see errors.txt in it)", len(b.faults))
	}
	_, err = fmt.Fprintf(out, "%s: %d parts%s\n", path, len(b.parts), note)
	return err
}

func (b *bundle) write(w io.Writer, now time.Time) error {
	packed := gzip.NewWriter(w)
	archive := tar.NewWriter(packed)
	for _, p := range b.parts {
		h := &tar.Header{Name: "weir-bundle/" + p.name, Mode: 0o600, Size: int64(len(p.text)), ModTime: now, Typeflag: tar.TypeReg}
		if err := archive.WriteHeader(h); err != nil {
			return err
		}
		if _, err := archive.Write(p.text); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), packed.Close())
}
