package contest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
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
	scenario    Scenario
	plan        plan
	metrics     string // path; empty: none
	certificate []byte // DER, with TLS
	process     *process
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

// verify does one exchange of the scenario, looks at the forwarded fields that the origin saw, and
// scrapes the metrics.
func (c candidate) verify(ctx context.Context) error {
	once := c.verifyHTTP
	if c.scenario.Protocol != HTTP {
		once = c.verifyMessage
	}
	if err := once(ctx); err != nil {
		return err
	}
	if c.relay || c.metrics == "" {
		return nil
	}
	_, err := get(ctx, c.plan.metrics, c.metrics)
	return err
}

// verifyHTTP does one request, and another for the forwarded fields.
func (c candidate) verifyHTTP(ctx context.Context) error {
	q := question{scheme: c.scenario.scheme(), addr: c.plan.listen, path: c.scenario.Path, upload: c.scenario.Upload, fields: http.Header{}}
	if c.scenario.TLS {
		q.checkTLS = checkTLS(c.certificate)
	}
	for _, f := range c.scenario.Fields {
		q.fields.Add(f.Name, f.Value)
	}
	body, err := q.ask(ctx)
	if err != nil {
		return err
	}
	if body != c.scenario.Body {
		return fmt.Errorf("%s: got the body %.80q, want %.80q", c.scenario.Path, body, c.scenario.Body)
	}
	if c.relay {
		return nil
	}
	q.path, q.upload = echoPath, ""
	q.fields.Set("X-Forwarded-For", spoofed)
	seen, err := q.ask(ctx)
	if err != nil {
		return err
	}
	return checkForwarded(seen, q.scheme, c.plan.listen.String())
}

// verifyMessage does one exchange over TCP or UDP.
func (c candidate) verifyMessage(ctx context.Context) error {
	d := net.Dialer{Timeout: verifyPatience}
	conn, err := d.DialContext(ctx, string(c.scenario.Protocol), c.plan.listen.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(verifyPatience)); err != nil {
		return err
	}
	if _, err := conn.Write(message()); err != nil {
		return err
	}
	got := make([]byte, len(c.scenario.Body))
	if _, err := io.ReadFull(conn, got); err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	if string(got) != c.scenario.Body {
		return fmt.Errorf("got the reply %.80q, want %.80q", got, c.scenario.Body)
	}
	return nil
}

// checkForwarded looks at what the origin saw of a request to the given host from 127.0.0.1.
func checkForwarded(seen, scheme, host string) error {
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
		"x-forwarded-proto": scheme,
		"x-forwarded-host":  host,
	} {
		if got := strings.Join(lower[name], ", "); got != want {
			return fmt.Errorf("the origin saw %s: %q, want %q", name, got, want)
		}
	}
	return nil
}

// question is a request on a connection of its own.
type question struct {
	scheme   string
	addr     netip.AddrPort
	path     string
	upload   string // body of a POST; empty: a GET
	fields   http.Header
	checkTLS func(tls.ConnectionState) error // of https
}

// get asks over plain HTTP.
func get(ctx context.Context, addr netip.AddrPort, path string) (string, error) {
	return question{scheme: "http", addr: addr, path: path}.ask(ctx)
}

// ask returns the body of a 200 response.
func (q question) ask(ctx context.Context) (string, error) {
	const most = 16 << 20
	ctx, cancel := context.WithTimeout(ctx, verifyPatience)
	defer cancel()
	method, upload := http.MethodGet, io.Reader(http.NoBody)
	if q.upload != "" {
		method, upload = http.MethodPost, strings.NewReader(q.upload)
	}
	req, err := http.NewRequestWithContext(ctx, method, q.scheme+"://"+q.addr.String()+q.path, upload)
	if err != nil {
		return "", err
	}
	if q.fields != nil {
		req.Header = q.fields.Clone()
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true, TLSClientConfig: clientTLS()}}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if q.checkTLS != nil {
		if err := q.checkTLS(*resp.TLS); err != nil {
			return "", err
		}
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", method, q.path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s %s: status %d: %.200s", method, q.path, resp.StatusCode, b)
	}
	return string(b), nil
}
