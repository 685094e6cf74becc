package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/config"
	"weir/telemetry"
)

var observability = filepath.Join("..", "..", "docs", "observability.md")

// The marks around what is generated.
const (
	beginMetrics = "<!-- Begin of metrics: made by `make docs` from the program itself. -->\n"
	endMetrics   = "<!-- End of metrics. -->\n"
)

// TestReferenceMetrics keeps the table of metrics equal to what telemetry says of them.
func TestReferenceMetrics(t *testing.T) {
	page := readPage(t)
	before, rest, begun := strings.Cut(page, beginMetrics)
	_, after, ended := strings.Cut(rest, endMetrics)
	if !begun || !ended {
		t.Fatal("the page has no place for the metrics")
	}
	var table strings.Builder
	table.WriteString("| metric | type | labels | |\n|---|---|---|---|\n")
	for _, s := range telemetry.Describe() {
		labels := ""
		if len(s.Labels) > 0 {
			labels = "`" + strings.Join(s.Labels, "` `") + "`"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", s.Name, s.Kind, labels, cell(s.Help))
	}
	golden(t, observability, []byte(before+beginMetrics+table.String()+endMetrics+after))
}

// TestObservabilityNames: the page speaks of no metric that there is not.
func TestObservabilityNames(t *testing.T) {
	var known []string
	for _, s := range telemetry.Describe() {
		known = append(known, s.Name)
	}
	page := readPage(t)
	names := regexp.MustCompile(`weir_[a-z_]+`).FindAllString(page, -1)
	for _, name := range names {
		if !slices.Contains(known, name) && !slices.Contains(known, strings.TrimSuffix(name, "_bucket")) {
			t.Errorf("there is no metric %s", name)
		}
	}
	if len(names) < len(known) {
		t.Errorf("found %d names, want %d at least", len(names), len(known))
	}
}

// TestObservabilityOutcomes: the page has every word, and no other.
func TestObservabilityOutcomes(t *testing.T) {
	var words []string
	for o := telemetry.Outcome(0); ; o++ {
		words = append(words, o.String())
		// Which is the last, and stands for what is outside of the set.
		if o.String() == telemetry.OutcomeInternalError.String() {
			break
		}
	}
	if got := firstColumn(t, "| outcome | status | meaning |\n"); !slices.Equal(got, words) {
		t.Errorf("got %q, want %q", got, words)
	}
}

// TestObservabilityAccessLog holds the fields against a line with all of them.
func TestObservabilityAccessLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.log")
	log, err := telemetry.OpenAccessLog(config.AccessLog{Output: file, Format: "json", Sample: 1}, func(uint64) {})
	if err != nil {
		t.Fatal(err)
	}
	log.Write(&telemetry.Entry{Time: time.Now(), RequestID: "1", Reason: "why", Outcome: telemetry.OutcomeNoRoute})
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	line, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var fields []string
	decoder := json.NewDecoder(bytes.NewReader(line))
	for {
		token, err := decoder.Token()
		if err != nil {
			break
		}
		if _, opens := token.(json.Delim); opens {
			continue
		}
		fields = append(fields, fmt.Sprint(token))
		if _, err := decoder.Token(); err != nil { // its value
			t.Fatal(err)
		}
	}
	if got := firstColumn(t, "| field | type | meaning |\n"); !slices.Equal(got, fields) {
		t.Errorf("got  %q,\nwant %q", got, fields)
	}
}

// firstColumn lists what stands in the first column of the table with a heading.
func firstColumn(t *testing.T, heading string) (cells []string) {
	t.Helper()
	_, table, found := strings.Cut(readPage(t), heading)
	if !found {
		t.Fatalf("no table %q", heading)
	}
	table, _, _ = strings.Cut(table, "\n\n")
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(table, -1) {
		cells = append(cells, row[1])
	}
	return cells
}

func readPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(observability)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
