package telemetry_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weir/config"
	"weir/telemetry"
)

func ExampleRegistry() {
	r := telemetry.New(telemetry.Options{Version: "1.0.0", Commit: "abc"})
	// When a configuration is applied:
	app := r.HTTP("web", "app")
	// When a connection is accepted:
	shard := r.NextShard()
	// When a request is done:
	app.Done(shard, telemetry.Exchange{
		Method:   telemetry.ParseMethod([]byte("GET")),
		Status:   200,
		Duration: 3 * time.Millisecond,
		In:       120,
		Out:      900,
		Outcome:  telemetry.OutcomeOK,
	})

	rec := httptest.NewRecorder()
	r.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics?pool=app", nil))
	for line := range strings.Lines(rec.Body.String()) {
		if strings.HasPrefix(line, "weir_http_requests_total") {
			fmt.Print(line)
		}
	}
	// Output: weir_http_requests_total{code="200",listener="web",method="GET",pool="app"} 1
}

func ExampleOpenAccessLog() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "access.log")
	log, err := telemetry.OpenAccessLog(config.AccessLog{Output: path, Sample: 1}, nil)
	if err != nil {
		panic(err)
	}
	log.Write(&telemetry.Entry{Method: "GET", Status: 404, Outcome: telemetry.OutcomeOK})
	if err := log.Close(); err != nil {
		panic(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	fmt.Println(strings.Contains(string(text), `"method":"GET"`), strings.Contains(string(text), `"status":404`))
	// Output: true true
}

func ExampleDescribe() {
	for _, s := range telemetry.Describe()[:2] {
		fmt.Println(s.Name, s.Kind, s.Labels)
	}
	// Output:
	// weir_build_info gauge [version commit goversion]
	// weir_config_info gauge [sha256]
}
