package contest

import (
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; -update writes it anew. got:\n%s\nwant:\n%s", path, got, want)
	}
}

// TestConfigurations shows how each scenario sets up each contestant.
func TestConfigurations(t *testing.T) {
	p := plan{
		dir:          "/run/contest",
		certificates: "/run/contest",
		listen:       netip.MustParseAddrPort("127.0.0.1:8080"),
		metrics:      netip.MustParseAddrPort("127.0.0.1:9090"),
		backends:     []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8001"), netip.MustParseAddrPort("127.0.0.1:8002")},
		cpu:          3,
		connections:  100,
		promex:       true,
		stream:       "/usr/lib/nginx/modules/ngx_stream_module.so",
	}
	for _, scenario := range Scenarios() {
		t.Run(scenario.Name, func(t *testing.T) {
			p.scenario = scenario
			var b strings.Builder
			for _, c := range contestants() {
				if reason := c.unfit(scenario); reason != "" {
					fmt.Fprintf(&b, "## %s: left out: %s\n\n", c.name, reason)
					continue
				}
				s := c.prepare(p)
				fmt.Fprintf(&b, "## start: %s %s\n", strings.Join(append(s.env, c.name), " "), strings.Join(s.args, " "))
				if s.metrics != "" {
					fmt.Fprintf(&b, "## metrics: %s\n", s.metrics)
				}
				for _, name := range slices.Sorted(maps.Keys(s.files)) {
					fmt.Fprintf(&b, "## file: %s\n%s", name, s.files[name])
				}
				b.WriteString("\n")
			}
			golden(t, scenario.Name+".golden", b.String())
		})
	}
	p.promex, p.stream = false, ""
	if s := prepareHaproxy(p); s.metrics != "" || strings.Contains(s.files["haproxy.cfg"], "prometheus") {
		t.Errorf("haproxy without the exporter is told to use it:\n%s", s.files["haproxy.cfg"])
	}
	if s := prepareNginx(p); strings.Contains(s.files["nginx.conf"], "load_module") {
		t.Errorf("nginx with the stream module built in is told to load it:\n%s", s.files["nginx.conf"])
	}
}

func TestVersionOf(t *testing.T) {
	tests := []struct{ out, want string }{
		{"HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\nStatus: long", "2.6.12-1+deb12u4 2026/10/17"},
		{"nginx version: nginx/1.22.1\n", "1.22.1"},
		{"nginx version: nginx/1.26.0 (Ubuntu)\n", "1.26.0 (Ubuntu)"},
		{"weir 0.1.0 (commit abc, go1.26.8, linux/amd64)\n", "0.1.0 (commit abc, go1.26.8, linux/amd64)"},
		{"something else", "something else"},
		{"", ""},
	}
	for _, tt := range tests {
		if got := versionOf(tt.out); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.out, got, tt.want)
		}
	}
}

func TestFind(t *testing.T) {
	o := Options{Weir: "/nonexistent/weir", Self: os.Args[0]}
	all := Scenarios()
	entrants, absent, err := find(t.Context(), o, all[0])
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(entrants, func(e entrant) bool { return e.name == Floor }) {
		t.Errorf("got %v without the floor, which is always there", entrants)
	}
	if len(absent) == 0 || absent[0].Name != Weir || !strings.Contains(absent[0].Reason, "make build") {
		t.Errorf("got absent %v, want weir first with the words to build it", absent)
	}
	o.Contestants = []string{Floor, Weir, "caddy"}
	_, _, err = find(t.Context(), o, all[0])
	for _, want := range []string{"weir: not found", `there is no contestant "caddy"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

// TestFindUnfit has contestants that are named, and cannot do the work.
func TestFindUnfit(t *testing.T) {
	udp, err := scenario("udp-rr")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Contestants: []string{Floor, Haproxy, HaproxyCopy}, Self: os.Args[0]}
	entrants, absent, err := find(t.Context(), o, udp)
	if err != nil || len(entrants) != 0 || len(absent) != 3 {
		t.Errorf("got %v, absent %v, %v, want all three absent", entrants, absent, err)
	}
	o.Contestants, o.Weir = nil, "/nonexistent"
	_, absent, err = find(t.Context(), o, udp)
	if err != nil || slices.ContainsFunc(absent, func(a Absence) bool { return a.Name == HaproxyCopy }) {
		t.Errorf("got absent %v, %v, want no word about a variant that nobody named", absent, err)
	}
}

func TestStreamModule(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "ngx_stream_module.so")
	dynamic := "nginx version: nginx/1.22.1\nconfigure arguments: --modules-path=" + dir + " --with-stream=dynamic --with-stream_ssl_module"
	if got, err := streamModule(dynamic); err == nil || !strings.Contains(err.Error(), "not there") {
		t.Errorf("got %q, %v without the file", got, err)
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, out, want string }{
		{"dynamic", dynamic, file},
		{"built in", "configure arguments: --modules-path=" + dir + " --with-stream --with-http_ssl_module", ""},
	}
	for _, tt := range tests {
		if got, err := streamModule(tt.out); err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
	if _, err := streamModule("configure arguments: --with-http_ssl_module"); err == nil || !strings.Contains(err.Error(), "no stream module") {
		t.Errorf("got %v without any", err)
	}
}
