package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// hostileBound is far above what any of these takes and far below what one that grows with the
// square of the size would.
const hostileBound = 10 * time.Second * raceFactor

// TestHostileDocuments holds the time for documents made to be slow to parse.
func TestHostileDocuments(t *testing.T) {
	const n = 1 << 16
	tests := []struct{ name, text string }{
		{"brackets", strings.Repeat("[", n)},
		{"braces", strings.Repeat("{a: ", n)},
		{"items", strings.Repeat("- ", n) + "x"},
		{"explicit keys", strings.Repeat("? ", n) + "x"},
		{"tags", strings.Repeat("!a ", n) + "x"},
		{"anchors", strings.Repeat("&a ", n) + "x"},
		{"colons", strings.Repeat("a: ", n)},
		{"quotes", strings.Repeat("'a' ", n)},
		{"mixed quotes", strings.Repeat("'a' \"b\" ", n)},
		{"aliases", "a: &a 1\nb: [" + strings.Repeat("*a,", n) + "]"},
		{"list", "a: [" + strings.Repeat("b,", n) + "]"},
		{"repeated keys", strings.Repeat("a:\n", n)},
		{"comments", strings.Repeat("# c\n", n)},
		{"documents", strings.Repeat("---\n", n)},
		{"one long text", "a: " + strings.Repeat("x", 4*n)},
		{"escapes", "a: \"" + strings.Repeat("\\n", 2*n) + "\""},
		{"literal", "a: |\n" + strings.Repeat(" x\n", n)},
		{"dollars", "listeners: { x: " + strings.Repeat("$", 4*n) + " }"},
		{"indentation", indented(1500)},
		{"entries", "pools:\n" + strings.Repeat("  a: 1\n", maxEntries)},
		{"flow entries", "pools: {" + strings.Repeat("a: 1, ", n) + "}"},
		{"fields of routes", "listeners: { web: { routes: [{ headers: {" + numbered("x%d: y, ", maxEntries-1) + "}, request_headers: { set: {" +
			numbered("x%d: y, ", maxEntries-1) + "}, remove: [" + numbered("x%d, ", maxEntries-1) + "] } }] } }"},
		{"networks", "listeners: { web: { allow: &all [" + numbered("\"2001:db8::%x\", ", maxEntries-1) + "], deny: *all } }"},
		{"networks of routes", "listeners: { web: { routes: [" + "{ source: &all [" + numbered("\"2001:db8::%x\", ", maxEntries-1) + "], pool: a }, " +
			strings.Repeat("{ source: *all, path: /a, pool: a }, ", 8) + "] } }"},
		{"items of a list", "include:\n" + strings.Repeat("- a\n", maxEntries)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			c, report := LoadBytes("x.yaml", []byte(tt.text), withFeatures(every()))
			if c != nil || report.Errors() == 0 {
				t.Error("it loads")
			}
			if took := time.Since(start); took > hostileBound {
				t.Errorf("took %v for %d bytes", took, len(tt.text))
			} else if testing.Verbose() {
				t.Logf("%v", took)
			}
		})
	}
}

// numbered repeats a format with the numbers from 0 to n-1.
func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// indented is a mapping in a mapping in a mapping …
func indented(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestAliasBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("listeners: { web: { protocol: http, address: \":80\", pool: app } }\npools:\n")
	b.WriteString("  p0: &p0 { health_check: { headers: &h0 {")
	for i := range 1000 {
		fmt.Fprintf(&b, "h%d: x, ", i)
	}
	b.WriteString("} }, backends: [\"10.0.0.1:80\"] }\n")
	for i := range 3000 {
		fmt.Fprintf(&b, "  q%d: *p0\n", i)
	}
	c, report := LoadBytes("x.yaml", []byte(b.String()))
	if c != nil || !strings.Contains(report.Err().Error(), fmt.Sprintf("more than %d values through aliases", maxAliased)) {
		t.Errorf("got %.200v", report.Err())
	}
	// The expressions that a merge key multiplies count too.
	merges := "a: &a0 { x: 1 }\n"
	for i := range 40 {
		merges += fmt.Sprintf("a%d: &a%d { <<: [*a%d, *a%d, *a%d, *a%d] }\n", i+1, i+1, i, i, i, i)
	}
	start := time.Now()
	if c, _ := LoadBytes("x.yaml", []byte(merges)); c != nil {
		t.Error("the merge bomb loads")
	}
	if took := time.Since(start); took > hostileBound {
		t.Errorf("the merge bomb took %v", took)
	}
	deep := "listeners:\n  l0: &a0 { protocol: http, address: \":80\", pool: p }\n"
	for i := range 40 {
		deep += fmt.Sprintf("  l%d: &a%d { <<: [*a%d, *a%d, *a%d, *a%d] }\n", i+1, i+1, i, i, i, i)
	}
	start = time.Now()
	if c, report := LoadBytes("x.yaml", []byte(deep)); c != nil || !strings.Contains(report.Err().Error(), "values") {
		t.Errorf("the deep merge bomb: %.300v", report.Err())
	}
	if took := time.Since(start); took > hostileBound {
		t.Errorf("the deep merge bomb took %v", took)
	}
}

func TestFileTooLarge(t *testing.T) {
	_, report := LoadBytes("x.yaml", make([]byte, maxFileBytes+1))
	if report.Err() == nil || !strings.Contains(report.Err().Error(), "larger than 8192 KiB") {
		t.Errorf("got %v", report.Err())
	}
}

// TestLargeConfiguration loads 1,000 pools of 20 backends.
func TestLargeConfiguration(t *testing.T) {
	data := large(1000, 20)
	start := time.Now()
	c, report := LoadBytes("x.yaml", data)
	took := time.Since(start)
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	if len(c.Pools) != 1000 || len(c.Pools["p999"].Backends) != 20 {
		t.Errorf("%d pools", len(c.Pools))
	}
	t.Logf("%d bytes in %v", len(data), took)
	if took > hostileBound {
		t.Errorf("took %v", took)
	}
}

// large is a configuration of many pools.
func large(pools, backends int) []byte {
	var b strings.Builder
	b.WriteString("listeners:\n  web:\n    protocol: http\n    address: \":80\"\n    routes:\n")
	for i := range pools {
		fmt.Fprintf(&b, "      - { host: h%d.example, pool: p%d }\n", i, i)
	}
	b.WriteString("pools:\n")
	for i := range pools {
		fmt.Fprintf(&b, "  p%d:\n    algorithm: least_connections\n    health_check: { protocol: http, path: /healthz, body: \"^ok\" }\n    backends:\n", i)
		for j := range backends {
			fmt.Fprintf(&b, "      b%d: { address: \"10.%d.%d.%d:8080\", weight: %d }\n", j, i/250, i%250, j+1, 1+j%5)
		}
	}
	return []byte(b.String())
}

func BenchmarkLoad(b *testing.B) {
	data := large(100, 20)
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, report := LoadBytes("x.yaml", data); report.Errors() > 0 {
			b.Fatal(report.Err())
		}
	}
}
