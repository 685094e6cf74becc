package healthcheck_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"time"

	"weir/config"
	"weir/healthcheck"
)

func ExampleMonitor() {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "db pool exhausted", http.StatusServiceUnavailable)
	}))
	defer backend.Close()
	addr := netip.MustParseAddrPort(strings.TrimPrefix(backend.URL, "http://"))

	verdicts := make(chan healthcheck.Result)
	m := healthcheck.New(healthcheck.Options{Observe: func(r healthcheck.Result) { verdicts <- r }})
	m.Apply([]healthcheck.Target{{
		Key:     healthcheck.Key{Pool: "web", Backend: "b2"},
		Addr:    addr,
		Backend: addr,
		Check: &config.HealthCheck{
			Protocol: config.HTTP, Method: "GET", Path: "/healthz",
			Interval: time.Minute, Timeout: 10 * time.Second, Rise: 2, Fall: 3, MaxBody: 256 << 10,
			Status: config.StatusSet{Text: "200", Ranges: []config.StatusRange{{First: 200, Last: 200}}},
		},
	}})
	r := <-verdicts
	m.Close()
	fmt.Println(strings.ReplaceAll(r.Message, addr.String(), "10.0.0.12:8080"))
	// Output:
	// web/b2 down: GET http://10.0.0.12:8080/healthz → 503 "db pool exhausted" (want 200), 1 of 1, first probe
}
