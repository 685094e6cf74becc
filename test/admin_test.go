package test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"weir/api"
)

// ask asks the admin socket.
func (d *daemon) ask(method, path string) (status int, body []byte, err error) {
	request, err := http.NewRequest(method, "http://localhost"+path, nil)
	if err != nil {
		return 0, nil, err
	}
	response, err := d.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

// get asks for a document that must be had.
func (d *daemon) get(path string) (status int, body []byte) {
	d.t.Helper()
	status, body, err := d.ask(http.MethodGet, path)
	if err != nil {
		d.t.Fatalf("GET %s: %v", path, err)
	}
	return status, body
}

// url is where a listener serves.
func (d *daemon) url(listener string) string {
	d.t.Helper()
	return "http://" + d.address(listener)
}

// address is the first address of a listener, as bound.
func (d *daemon) address(listener string) string {
	d.t.Helper()
	for _, l := range d.status().Listeners {
		if l.Name == listener {
			return l.Addresses[0]
		}
	}
	d.t.Fatalf("no listener %s", listener)
	return ""
}

// backend is what the status says of pool/name; ok is false if it is not in the pool.
func (d *daemon) backend(pool, name string) (found api.BackendStatus, ok bool) {
	d.t.Helper()
	for _, p := range d.status().Pools {
		for _, b := range p.Backends {
			if p.Name == pool && b.Name == name {
				return b, true
			}
		}
	}
	return found, false
}

// awaitHealth waits until a backend is up or down.
func (d *daemon) awaitHealth(pool, name, health string) api.BackendStatus {
	d.t.Helper()
	var b api.BackendStatus
	eventually(d.t, pool+"/"+name+" is "+health, func() bool {
		b, _ = d.backend(pool, name)
		return b.Health == health
	})
	return b
}

// sample is one line of an exposition.
type sample struct {
	name   string
	labels map[string]string
	value  float64
}

// scrape reads /metrics. The label values of the tests need no escapes.
func (d *daemon) scrape() (samples []sample) {
	d.t.Helper()
	code, body := d.get("/metrics")
	if code != http.StatusOK {
		d.t.Fatalf("/metrics: got %d", code)
	}
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		samples = append(samples, parseSample(d.t, strings.TrimSpace(line)))
	}
	return samples
}

func parseSample(t testing.TB, line string) sample {
	t.Helper()
	series, text, ok := cutLast(line, " ")
	value, err := strconv.ParseFloat(text, 64)
	if !ok || err != nil {
		t.Fatalf("metric %q: %v", line, err)
	}
	name, rest, _ := strings.Cut(series, "{")
	s := sample{name: name, labels: map[string]string{}, value: value}
	for pair := range strings.SplitSeq(strings.TrimSuffix(rest, "}"), ",") {
		if label, quoted, ok := strings.Cut(pair, "="); ok {
			s.labels[label] = strings.Trim(quoted, `"`)
		}
	}
	return s
}

func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}

// metric adds up the series of a name that have the labels, given in pairs.
func (d *daemon) metric(name string, labels ...string) (sum float64) {
	d.t.Helper()
	for _, s := range d.scrape() {
		if s.has(name, labels) {
			sum += s.value
		}
	}
	return sum
}

func (s sample) has(name string, labels []string) bool {
	if s.name != name {
		return false
	}
	for i := 0; i < len(labels); i += 2 {
		if s.labels[labels[i]] != labels[i+1] {
			return false
		}
	}
	return true
}
