package conformance

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/conformance.md")

const reportFile = "../../docs/conformance.md"

// column is what one proxy made of the messages.
type column struct {
	name    string
	version string
	cells   map[string]string // by the name of the message
}

// newColumn makes the cells of a proxy.
func newColumn(name, version string, seen map[string]*observation) column {
	c := column{name, version, map[string]string{}}
	for id, s := range seen {
		if c.cells[id] = s.m.varies[name]; c.cells[id] == "" {
			c.cells[id] = s.cell()
		}
	}
	return c
}

// difference is how a peer differs from weir.
type difference uint8

const (
	same       difference = iota
	takes                 // what weir refuses
	refuses               // what weir takes
	otherwise             // both refuse or cut off, in other ways
	forwardsIt            // both take it, and the other side gets something else
	differences
)

var differenceNames = [differences]string{
	same:       "the same as weir",
	takes:      "takes what weir refuses or cuts off",
	refuses:    "refuses or cuts off what weir takes",
	otherwise:  "refuses or cuts off with another answer",
	forwardsIt: "takes it as weir does, but does something else with it",
}

// taken reports whether the last answer of a cell is the origin's.
func taken(cell string) bool {
	outcome := cell
	for _, end := range []string{", kept", ", closed"} {
		if before, _, found := strings.Cut(cell, end); found {
			outcome = before
			break
		}
	}
	parts := strings.Split(outcome, "; ")
	last := parts[len(parts)-1]
	return strings.Contains(last, "forwarded") || strings.Contains(last, "passed") || strings.Contains(outcome, illFormed)
}

func compare(weir, peer string) difference {
	switch ours, theirs := taken(weir), taken(peer); {
	case weir == peer:
		return same
	case theirs && !ours:
		return takes
	case ours && !theirs:
		return refuses
	case ours:
		return forwardsIt
	}
	return otherwise
}

// report is the whole page.
func report(t *testing.T, weir column, peers []column) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, introduction, len(weir.cells), peers[0].version, peers[1].version)
	writeSummary(&b, weir, peers)
	for _, topic := range table() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| message | weir | %s | %s | rule |\n|---|---|---|---|---|\n", topic.name, topic.about, peers[0].name, peers[1].name)
		for _, m := range topic.messages {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", m.name,
				escaped(weir.cells[m.name]), escaped(peers[0].cells[m.name]), escaped(peers[1].cells[m.name]), escaped(m.why))
		}
	}
	writeDifferences(t, &b, weir, peers)
	return b.String()
}

func escaped(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// confuses reports whether a cell tells of more than an outcome: the origin, or the client, was left
// with something that can be read in two ways.
func confuses(cell string) bool {
	return strings.Contains(cell, "; the origin saw") || strings.Contains(cell, "; the client takes") ||
		strings.Contains(cell, "; the answer") || strings.Contains(cell, illFormed)
}

func writeSummary(b *strings.Builder, weir column, peers []column) {
	fmt.Fprintf(b, "| | %s | %s |\n|---|---:|---:|\n", peers[0].name, peers[1].name)
	var counts [2][differences]int
	var confusing [2]int
	for id, ours := range weir.cells {
		for i, p := range peers {
			counts[i][compare(ours, p.cells[id])]++
			if confuses(p.cells[id]) {
				confusing[i]++
			}
		}
	}
	for d := range differences {
		fmt.Fprintf(b, "| %s | %d | %d |\n", differenceNames[d], counts[0][d], counts[1][d])
	}
	fmt.Fprintf(b, "| hands on what is ill-formed, or can be read in two ways (weir: 0) | %d | %d |\n", confusing[0], confusing[1])
}

// writeDifferences lists what differs by topic and kind. Each such group needs its sentence.
func writeDifferences(t *testing.T, b *strings.Builder, weir column, peers []column) {
	t.Helper()
	b.WriteString("\n## Where weir differs, and why\n")
	used := 0
	for _, topic := range table() {
		var text strings.Builder
		for d := same + 1; d < differences; d++ {
			lists := differing(&topic, d, weir, peers)
			sentence := reasons[topic.name][d]
			if (lists == "") != (sentence == "") {
				t.Errorf("%s: %s: differences %q and reason %q do not go together", topic.name, differenceNames[d], lists, sentence)
			}
			if lists != "" {
				fmt.Fprintf(&text, "- %s\n%s", sentence, lists)
				used++
			}
		}
		if text.Len() > 0 {
			fmt.Fprintf(b, "\n### %s\n\n%s", topic.name, &text)
		}
	}
	given := 0
	for _, r := range reasons {
		given += len(r)
	}
	if used != given {
		t.Errorf("%d reasons, %d groups of differences", given, used)
	}
}

// differing lists the messages of a topic that peers treat so.
func differing(topic *topic, d difference, weir column, peers []column) string {
	var b strings.Builder
	for _, p := range peers {
		var list []string
		for _, m := range topic.messages {
			if compare(weir.cells[m.name], p.cells[m.name]) == d {
				list = append(list, m.name)
			}
		}
		if len(list) > 0 {
			fmt.Fprintf(&b, "  - *%s %s:* %s.\n", p.name, differenceNames[d], strings.Join(list, " · "))
		}
	}
	return b.String()
}

var versionLine = regexp.MustCompile(`haproxy (\S+) and nginx (\S+) of Debian`)

// committed reads the columns of the peers out of the page.
func committed(t *testing.T) (page string, columns []column) {
	t.Helper()
	text, err := os.ReadFile(reportFile)
	if err != nil && !*update {
		t.Fatal(err)
	}
	page = string(text)
	found := versionLine.FindStringSubmatch(page)
	if found == nil {
		found = []string{"", "", ""}
	}
	for i, p := range peers {
		columns = append(columns, column{p.name, found[i+1], map[string]string{}})
	}
	for l := range strings.Lines(page) {
		cells := strings.Split(strings.ReplaceAll(strings.TrimSpace(l), `\|`, "\x00"), " | ")
		if len(cells) != 5 || !strings.HasPrefix(l, "| ") {
			continue
		}
		name := strings.TrimPrefix(cells[0], "| ")
		for i := range columns {
			columns[i].cells[name] = strings.ReplaceAll(cells[2+i], "\x00", "|")
		}
	}
	return page, columns
}

// checkReport compares the page with what was seen, or writes it.
func checkReport(t *testing.T, page string, weir column, peers []column) {
	t.Helper()
	text := report(t, weir, peers)
	if text == page {
		return
	}
	if *update {
		if t.Failed() {
			return
		}
		if err := os.WriteFile(reportFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, want := strings.Split(text, "\n"), strings.Split(page, "\n")
	shown := 0
	for _, l := range got {
		if shown < 20 && !slices.Contains(want, l) {
			t.Errorf("not in %s: %s", reportFile, l)
			shown++
		}
	}
	t.Errorf("%s is out of date: run 'go test ./test/conformance -update' where haproxy and nginx are installed", reportFile)
}
