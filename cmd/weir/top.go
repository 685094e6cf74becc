package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"weir/api"
)

// The bounds of --interval.
const (
	leastInterval = 100 * time.Millisecond
	mostInterval  = time.Minute
)

func newTop() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch listeners, pools and backends of a running weir",
		Long: `Watch listeners, pools and backends of a running weir, with their rates: those that are not well first, then the busiest.
q ends it; the arrow keys, PageUp and PageDown scroll. Where the output is no terminal, or with --once, one picture is
printed, without rates.`,
		Args: noArgs,
	}
	where := addLocator(cmd, adminTimeout)
	interval := cmd.Flags().Duration("interval", time.Second, "time between two pictures, 100ms … 1m")
	once := cmd.Flags().Bool("once", false, "print one picture and end")
	cmd.RunE = verb(func(cmd *cobra.Command, _ []string) error {
		if *interval < leastInterval || *interval > mostInterval {
			return usage("--interval %s is not in %s … %s", *interval, leastInterval, mostInterval)
		}
		a, err := where.admin()
		if err != nil {
			return err
		}
		out, isFile := cmd.OutOrStdout().(*os.File)
		if *once || !isFile || !terminal(out) || !terminal(os.Stdin) {
			return a.printTop(cmd.Context(), cmd.OutOrStdout())
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGHUP)
		defer stop()
		return a.watchTop(ctx, out, *interval)
	})
	return cmd
}

// printTop prints one picture, as long as it is.
func (a *admin) printTop(ctx context.Context, out io.Writer) error {
	var status api.Status
	if _, err := a.get(ctx, "/v1/status", &status); err != nil {
		return err
	}
	p := picture{now: time.Now(), status: status}
	lines, err := p.lines()
	if err != nil {
		return err
	}
	for _, l := range lines {
		if _, err := fmt.Fprintln(out, l.text); err != nil {
			return err
		}
	}
	return nil
}

// watchTop draws a picture after the other until somebody has seen enough.
func (a *admin) watchTop(ctx context.Context, out *os.File, interval time.Duration) (err error) {
	s, err := openScreen(os.Stdin, out)
	if err != nil {
		return err
	}
	defer func() {
		if closed := s.close(); err == nil {
			err = closed
		}
	}()
	var last picture
	scroll := 0
	for {
		p := picture{now: time.Now(), before: last.status, since: last.now}
		_, failed := a.get(ctx, "/v1/status", &p.status)
		if failed != nil && ctx.Err() != nil {
			return nil
		}
		if failed == nil {
			last = picture{now: p.now, status: p.status}
		} else {
			p.status, p.fault = last.status, failed.Error()
		}
		lines, err := p.lines()
		if err != nil {
			return err
		}
		for due := time.Now().Add(interval); ; {
			if scroll, err = s.draw(lines, scroll); err != nil {
				return err
			}
			key, err := s.key(ctx, due)
			if err != nil || key == keyQuit {
				return err
			}
			if key == keyNone {
				break
			}
			scroll += s.scrolled(key)
		}
	}
}

// line is one of a picture, with its colour; empty: none.
type line struct{ text, colour string }

// The colours of ANSI terminals (ECMA-48, SGR).
const (
	red     = "\x1b[31m"
	yellow  = "\x1b[33m"
	cyan    = "\x1b[36m"
	bold    = "\x1b[1m"
	noColor = "\x1b[0m"
)

// cut makes a line fit into width columns, and paints it.
func (l line) cut(width int, colours bool) string {
	text := l.text
	if runes := []rune(text); len(runes) > width {
		text = string(runes[:max(width-1, 0)]) + "…"
	}
	if colours && l.colour != "" {
		return l.colour + strings.TrimRight(text, " ") + noColor
	}
	return text
}
