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

func TestConfigurations(t *testing.T) {
	p := plan{
		dir:         "/run/contest",
		listen:      netip.MustParseAddrPort("127.0.0.1:8080"),
		metrics:     netip.MustParseAddrPort("127.0.0.1:9090"),
		backends:    []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8001"), netip.MustParseAddrPort("127.0.0.1:8002")},
		cpu:         3,
		connections: 100,
		promex:      true,
	}
	for _, c := range contestants() {
		t.Run(c.name, func(t *testing.T) {
			s := c.prepare(p)
			var b strings.Builder
			fmt.Fprintf(&b, "# start: %s %s\n# metrics: %s\n", strings.Join(append(s.env, c.name), " "), strings.Join(s.args, " "), s.metrics)
			for _, name := range slices.Sorted(maps.Keys(s.files)) {
				fmt.Fprintf(&b, "# file: %s\n%s", name, s.files[name])
			}
			golden(t, c.name+".golden", b.String())
		})
	}
	p.promex = false
	if s := prepareHaproxy(p); s.metrics != "" || strings.Contains(s.files["haproxy.cfg"], "prometheus") {
		t.Errorf("haproxy without the exporter is told to use it:\n%s", s.files["haproxy.cfg"])
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
	entrants, absent, err := find(t.Context(), o)
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
	_, _, err = find(t.Context(), o)
	for _, want := range []string{"weir: not found", `there is no contestant "caddy"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}
