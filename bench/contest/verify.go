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

// awaitServing polls until the contestant does the whole job; the error is the last fault, and that
// of the context if it has ended.
func awaitServing(run context.Context, p *process, e entrant, s Scenario, at plan, metrics string) error {
	ctx, cancel := context.WithTimeout(run, startPatience)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: verifyPatience}
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	var fault error
	for {
		err := verify(ctx, client, e, s, at, metrics)
		if err == nil {
			return nil
		}
		if fault == nil || ctx.Err() == nil {
			fault = err // what was cut by the end of ctx says less than what came before
		}
		if err := p.died(); err != nil {
			return err
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			if run.Err() != nil {
				fault = fmt.Errorf("%w: %w", run.Err(), fault)
			}
			return fmt.Errorf("does not serve as it should: %w; its output ends with: %s", fault, p.log)
		}
	}
}

// verify does one request of the scenario, looks at the forwarded fields that the origin saw, and
// scrapes the metrics.
func verify(ctx context.Context, client *http.Client, e entrant, s Scenario, at plan, metrics string) error {
	get := func(addr netip.AddrPort, path string, fields http.Header) (string, error) {
		return get(ctx, client, addr, path, fields)
	}
	fields := http.Header{}
	for _, f := range s.Fields {
		fields.Add(f.Name, f.Value)
	}
	fields.Set("Accept-Encoding", "identity")
	body, err := get(at.listen, s.Path, fields)
	if err != nil {
		return err
	}
	if body != s.Body {
		return fmt.Errorf("GET %s: got the body %.80q, want %.80q", s.Path, body, s.Body)
	}
	if e.relay {
		return nil
	}
	fields.Set("X-Forwarded-For", spoofed)
	seen, err := get(at.listen, echoPath, fields)
	if err != nil {
		return err
	}
	if err := checkForwarded(seen, at.listen.String()); err != nil {
		return err
	}
	if metrics == "" {
		return nil
	}
	_, err = get(at.metrics, metrics, nil)
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

// get returns the body of a 200 response.
func get(ctx context.Context, client *http.Client, addr netip.AddrPort, path string, fields http.Header) (string, error) {
	const most = 16 << 20
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr.String()+path, nil)
	if err != nil {
		return "", err
	}
	if fields != nil {
		req.Header = fields.Clone()
	}
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
