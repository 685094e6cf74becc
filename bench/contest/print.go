package contest

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// table is a heading row and rows of as many cells.
type table [][]string

// text prints a table for a terminal.
func (t table) text(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, row := range t {
		fmt.Fprintln(tw, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	return tw.Flush()
}

// markdown prints a table for a page.
func (t table) markdown(w io.Writer) {
	for i, row := range t {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(w, "|%s\n", strings.Repeat("---|", len(row)))
		}
	}
}

// WriteText prints the report for a terminal.
func (r Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, line := range r.facts() {
		fmt.Fprintln(&b, line)
	}
	for _, t := range []table{r.standingsTable(), r.ratiosTable()} {
		if len(t) < 2 {
			continue
		}
		fmt.Fprintln(&b)
		if err := t.text(&b); err != nil {
			return err
		}
	}
	if rest := r.remarks(); len(rest) > 0 {
		fmt.Fprintln(&b)
		for _, line := range rest {
			fmt.Fprintln(&b, line)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteMarkdown prints the report for a page.
func (r Report) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	for _, line := range r.facts() {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	for _, t := range []table{r.standingsTable(), r.ratiosTable()} {
		if len(t) < 2 {
			continue
		}
		fmt.Fprintln(&b)
		t.markdown(&b)
	}
	if rest := r.remarks(); len(rest) > 0 {
		fmt.Fprintln(&b)
		for _, line := range rest {
			fmt.Fprintf(&b, "- %s\n", line)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// facts say what was measured, where and how.
func (r Report) facts() []string {
	m := r.Machine
	cpu := fmt.Sprintf("%d × %s", m.CPUs, m.CPU)
	if m.Virtual {
		cpu += " (virtual)"
	}
	if m.Governor != "" {
		cpu += ", governor " + m.Governor
	}
	loop := "closed loop"
	if r.Rate > 0 {
		loop = fmt.Sprintf("open loop at %.0f requests/s", r.Rate)
	}
	facts := []string{
		fmt.Sprintf("%s: %s", r.Scenario, r.Summary),
		fmt.Sprintf("%d connections, %s, %d backends; in turns, rounds: %d, each %s after %s of warm-up, %v of load in all",
			r.Connections, loop, r.Backends, r.Rounds, r.Duration, r.Warmup, r.took()),
		fmt.Sprintf("%s, %d MiB, %s, %s", cpu, m.MemoryMiB, m.Kernel, m.Go),
		fmt.Sprintf("proxy on CPU %s, generator and origin on CPU %s", m.ProxyCPUs, m.LoadCPUs),
	}
	if m.Commit != "" {
		facts = append(facts, "commit "+m.Commit)
	}
	for _, s := range r.Standings {
		facts = append(facts, fmt.Sprintf("%s: %s", s.Name, s.Version))
	}
	for _, a := range r.Absent {
		facts = append(facts, fmt.Sprintf("%s: left out: %s", a.Name, a.Reason))
	}
	return facts
}

func (r Report) standingsTable() table {
	t := table{{"", "CPU µs/" + r.Unit, "user", r.perSecond(), "p50 µs", "p99 µs", "p99.9 µs", "max ms", "RSS MiB", "proxy CPU", "load CPU"}}
	for _, s := range r.Standings {
		t = append(t, []string{
			s.Name,
			ranged("%.2f", s.CPU),
			fmt.Sprintf("%.0f %%", 100*s.UserShare.Median),
			fmt.Sprintf("%.0f", s.Rate.Median*r.PerExchange),
			fmt.Sprintf("%.0f", s.P50.Median),
			ranged("%.0f", s.P99),
			fmt.Sprintf("%.0f", s.P999.Median),
			fmt.Sprintf("%.1f", s.Max.Median/1000),
			fmt.Sprintf("%.1f", s.RSS.Median/(1<<20)),
			fmt.Sprintf("%.0f %%", 100*s.ProxyLoad.Median),
			fmt.Sprintf("%.0f %%", 100*s.LoadLoad.Median),
		})
	}
	return t
}

// perSecond heads the column of throughput.
func (r Report) perSecond() string {
	if r.Unit == "MiB" {
		return "MiB/s"
	}
	return r.Unit + "s/s"
}

func (r Report) ratiosTable() table {
	t := table{{"ratio", "of", "median", "range", "", "promised"}}
	for _, m := range r.measures() {
		for _, ratio := range r.Ratios {
			if ratio.Measure != m {
				continue
			}
			t = append(t, []string{
				ratio.pair(),
				m.words(r.Unit),
				fmt.Sprintf("%.3f", ratio.Median),
				fmt.Sprintf("%.3f–%.3f", ratio.Min, ratio.Max),
				ratio.verdict(),
				ratio.promise(),
			})
		}
	}
	return t
}

// promise prints what was promised of a ratio, and whether it holds.
func (r Ratio) promise() string {
	if r.Must == 0 {
		return ""
	}
	text := fmt.Sprintf("%.2f", r.Must)
	if r.Aim > 0 {
		text += fmt.Sprintf(", aim %.2f", r.Aim)
	}
	return text + ": " + r.promised()
}

// remarks are the notes, as sentences to print.
func (r Report) remarks() []string {
	var all []string
	for _, n := range r.Notes {
		all = append(all, "Note: "+n+".")
	}
	return all
}

// ranged prints a median with its range.
func ranged(format string, s Spread) string {
	return fmt.Sprintf(format+" ("+format+"–"+format+")", s.Median, s.Min, s.Max)
}
