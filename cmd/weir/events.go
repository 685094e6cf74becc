package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/api"
)

// eventSilence is for how long a stream of events may say nothing: three of its heartbeats.
const eventSilence = 45 * time.Second

func newEvents() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show what has happened: health, reloads, overrides, ejections",
		Long: `Show what has happened: changes of health, reloads, changes through the API, overrides, ejections, drains, start and
stop. A running weir holds the last events, those of its former life included where state_dir is set. With -f it goes on
with what happens, over upgrades, until it is interrupted or weir ends; -o json prints an object a line then.`,
		Example: "weir events --since 10m\nweir events -f",
		Args:    noArgs,
	}
	where, form := addLocator(cmd, adminTimeout), addOutput(cmd)
	follow := cmd.Flags().BoolP("follow", "f", false, "go on with what happens")
	since := cmd.Flags().String("since", "", "how long ago to begin (10m), a time (RFC 3339) or the id of an event; default: all, or with -f nothing old")
	cmd.RunE = verb(func(cmd *cobra.Command, _ []string) error {
		a, err := where.admin()
		if err != nil {
			return err
		}
		q := url.Values{}
		if *since != "" {
			q.Set("since", *since)
		}
		if *follow {
			if form.value == formYAML {
				return usage("-f prints lines or, with -o json, objects")
			}
			return a.followAll(cmd.Context(), q, eventPrinter(cmd.OutOrStdout(), form.value))
		}
		q.Set("follow", "false")
		var list api.EventList
		document, err := a.get(cmd.Context(), "/v1/events?"+q.Encode(), &list)
		if err != nil {
			return err
		}
		if form.value != formTable {
			return writeDocument(cmd.OutOrStdout(), document, form.value)
		}
		for _, e := range list.Items {
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), eventLine(e)); err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}

// eventLine is time, kind, object and message.
func eventLine(e api.Event) string {
	object := e.Listener
	switch {
	case e.Backend != "":
		object = e.Pool + "/" + e.Backend
	case e.Pool != "":
		object = e.Pool
	}
	message := oneLine(e.Message) // one line, whatever a backend has sent
	return fmt.Sprintf("%s  %-16s %-20s %s", e.Time.UTC().Format("2006-01-02T15:04:05.000Z"), oneLine(e.Kind), orDash(oneLine(object)), message)
}

// eventPrinter prints events as they come.
func eventPrinter(out io.Writer, form string) func(kind string, data []byte) error {
	return func(kind string, data []byte) error {
		switch kind {
		case "gap":
			if form == formTable {
				_, err := fmt.Fprintln(out, "… events are missing here: they are older than what weir holds")
				return err
			}
			return nil
		case "end":
			var end api.End
			if err := json.Unmarshal(data, &end); err != nil {
				return err
			}
			if end.Reason == "stopping" {
				return errEnded
			}
			return fmt.Errorf("weir has ended the stream: %s", end.Reason)
		}
		if form == formJSON {
			_, err := fmt.Fprintf(out, "%s\n", data)
			return err
		}
		var e api.Event
		if err := json.Unmarshal(data, &e); err != nil {
			return err
		}
		_, err := fmt.Fprintln(out, eventLine(e))
		return err
	}
}

// errEnded is the end of a stream that is no fault.
var errEnded = errors.New("weir is stopping")

// followAll follows one process after the other, as upgrades replace them. It returns when the last has ended.
func (a *admin) followAll(ctx context.Context, q url.Values, take func(kind string, data []byte) error) error {
	last := uint64(0)
	note := func(kind string, data []byte) error {
		if kind == "event" {
			var e api.Event
			if err := json.Unmarshal(data, &e); err != nil {
				return err
			}
			last = e.ID
		}
		return take(kind, data)
	}
	for began := time.Now(); ; {
		var before, after api.Status
		if _, err := a.get(ctx, "/v1/status", &before); err != nil {
			return err
		}
		if err := a.follow(ctx, "/v1/events?"+q.Encode(), note); err != nil || ctx.Err() != nil {
			return err
		}
		if _, err := a.get(ctx, "/v1/status", &after); err != nil || after.PID == before.PID {
			return nil // nobody has taken its place
		}
		switch {
		case last != 0:
			q.Set("since", strconv.FormatUint(last, 10))
		case q.Get("since") == "":
			q.Set("since", began.UTC().Format(time.RFC3339Nano))
		}
	}
}

// follow reads a stream of events (Server-Sent Events, as the HTML standard has them) until it ends.
func (a *admin) follow(ctx context.Context, path string, take func(kind string, data []byte) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(a.client.Timeout, cancel)
	defer silence.Stop()
	endless := *a.client
	endless.Timeout = 0 // of the whole answer; silence bounds its parts
	stream := &admin{socket: a.socket, client: &endless}
	response, err := stream.send(ctx, request{method: http.MethodGet, path: path})
	if err != nil {
		if ctx.Err() != nil && !silence.Stop() {
			return &failure{exitUnreachable, fmt.Errorf("weir at %s does not answer within %s", a.socket, a.client.Timeout)}
		}
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(response.Body, maxDocument))
		if err != nil {
			return a.unreachable(err)
		}
		return refused(response, body)
	}
	silence.Reset(eventSilence)
	err = readEvents(response.Body, func() { silence.Reset(eventSilence) }, take)
	switch {
	case errors.Is(err, errEnded):
		return nil
	case err == nil, errors.Is(err, io.ErrUnexpectedEOF):
		return &failure{exitUnreachable, fmt.Errorf("weir at %s has ended", a.socket)}
	case ctx.Err() != nil && !silence.Stop():
		return &failure{exitUnreachable, fmt.Errorf("weir at %s has said nothing for %s", a.socket, eventSilence)}
	case ctx.Err() != nil:
		return nil // interrupted, which is how one ends this
	}
	return err
}

// readEvents calls take for each event of a stream, and alive for each line.
func readEvents(r io.Reader, alive func(), take func(kind string, data []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	kind, data := "", []byte(nil)
	for lines.Scan() {
		alive()
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if data != nil {
				if err := take(kind, data); err != nil {
					return err
				}
			}
			kind, data = "", nil
		case name == "event":
			kind = value
		case name == "data":
			if data != nil {
				data = append(data, '\n')
			}
			data = append(data, value...)
		}
	}
	return lines.Err()
}
