package config_test

import (
	"fmt"
	"os"

	"weir/config"
)

func ExampleLoadBytes() {
	c, report := config.LoadBytes("weir.yaml", []byte(`
listeners:
  web: { protocol: http, address: ":8080", pool: app }
pools:
  app: { backends: ["10.0.0.11:8080", "10.0.0.12:8080"] }
`))
	if err := report.Err(); err != nil {
		fmt.Println(err)
		return
	}
	app := c.Pools["app"]
	fmt.Println(app.Algorithm, len(app.Backends), app.Health.Interval)
	// Output: weighted_round_robin 2 5s
}

func ExampleReport_Text() {
	_, report := config.LoadBytes("weir.yaml", []byte(`listeners:
  web: { protocol: http, address: ":8080", pool: wbe }
pools:
  web: { algoritm: source_ip, backends: ["10.0.0.11:8080"] }
`))
	if err := report.Text(os.Stdout, false); err != nil {
		fmt.Println(err)
	}
	// Output:
	// error: listeners.web.pool "wbe" does not exist
	//      ┌─ weir.yaml:2:50
	//    2 │   web: { protocol: http, address: ":8080", pool: wbe }
	//      │                                                  ^^^ did you mean "web"? (pools: web)
	//
	// error: unknown key "algoritm" in pools.web
	//      ┌─ weir.yaml:4:10
	//    4 │   web: { algoritm: source_ip, backends: ["10.0.0.11:8080"] }
	//      │          ^^^^^^^^ did you mean "algorithm"?
	//
	// weir.yaml is not valid: 2 errors, 0 warnings.
}

func ExampleEnviron() {
	environ := func(name string) (string, bool) { return "10.0.0.11", name == "APP" }
	c, report := config.LoadBytes("weir.yaml", []byte(`
listeners:
  web: { protocol: http, address: ":${PORT:-8080}", pool: app }
pools:
  app: { backends: ["${APP}:8080"] }
`), config.Environ(environ))
	if err := report.Err(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Listeners["web"].Addresses[0], c.Pools["app"].Backends[0].Address)
	// Output: :8080 10.0.0.11:8080
}
