package contest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// startPatience is how long a contestant may take until it serves: start, first health checks.
const startPatience = 10 * time.Second

// verifyPatience bounds one request of the checks.
const verifyPatience = 2 * time.Second

// A spoofed client address that no contestant may believe.
const spoofed = "203.0.113.9"

// candidate is a contestant that has been started and must show that it does the whole job.
type candidate struct {
	entrant
	scenario Scenario
	plan     plan
	metrics  string // path; empty: none
	process  *process
}

// awaitServing polls until the candidate does the whole job; the error is the last fault, and that
// of the context if it has ended.
func (c candidate) awaitServing(run context.Context) error {
	ctx, cancel := context.WithTimeout(run, startPatience)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	var fault error
	for {
		err := c.verify(ctx)
		if err == nil {
			return nil
		}
		if fault == nil || ctx.Err() == nil {
			fault = err // what was cut by the end of ctx says less than what came before
		}
		if err := c.process.died(); err != nil {
			return err
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			if run.Err() != nil {
				fault = fmt.Errorf("%w: %w", run.Err(), fault)
			}
			return fmt.Errorf("does not serve as it should: %w; its output ends with: %s", fault, c.process.log)
		}
	}
}

// verify does one request of the scenario, looks at the forwarded fields that the origin saw, and
// scrapes the metrics.
func (c candidate) verify(ctx context.Context) error {
	fields := http.Header{}
	for _, f := range c.scenario.Fields {
		fields.Add(f.Name, f.Value)
	}
	body, err := get(ctx, c.plan.listen, c.scenario.Path, fields)
	if err != nil {
		return err
	}
	if body != c.scenario.Body {
		return fmt.Errorf("GET %s: got the body %.80q, want %.80q", c.scenario.Path, body, c.scenario.Body)
	}
	if c.relay {
		return nil
	}
	fields.Set("X-Forwarded-For", spoofed)
	seen, err := get(ctx, c.plan.listen, echoPath, fields)
	if err != nil {
		return err
	}
	if err := checkForwarded(seen, c.plan.listen.String()); err != nil {
		return err
	}
	if c.metrics == "" {
		return nil
	}
	_, err = get(ctx, c.plan.metrics, c.metrics, nil)
	return err
}

// checkForwarded looks at what the origin saw of a request to the given host from 127.0.0.1.
func checkForwarded(seen, host string) error {
	var fields map[string][]string
	if err := json.Unmarshal([]byte(seen), &fields); err != nil {
		return fmt.Errorf("GET %s: %w", echoPath, err)
	}
	lower := map[string][]string{}
	for name, values := range fields {
		name = strings.ToLower(name)
		lower[name] = append(lower[name], values...)
	}
	for name, want := range map[string]string{
		"host":              host,
		"x-forwarded-for":   "127.0.0.1",
		"x-forwarded-proto": "http",
		"x-forwarded-host":  host,
	} {
		if got := strings.Join(lower[name], ", "); got != want {
			return fmt.Errorf("the origin saw %s: %q, want %q", name, got, want)
		}
	}
	return nil
}

// get returns the body of a 200 response, asked for on a connection of its own.
func get(ctx context.Context, addr netip.AddrPort, path string, fields http.Header) (string, error) {
	const most = 16 << 20
	ctx, cancel := context.WithTimeout(ctx, verifyPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr.String()+path, nil)
	if err != nil {
		return "", err
	}
	if fields != nil {
		req.Header = fields.Clone()
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return "", fmt.Errorf("GET %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("GET %s: status %d: %.200s", path, resp.StatusCode, b)
	}
	return string(b), nil
}
