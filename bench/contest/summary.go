package contest

import (
	"fmt"
	"io"
	"strings"
)

// WriteSummary prints, for several reports, the CPU time of each contestant and the ratios of which
// something was promised: as text, or as Markdown.
func WriteSummary(w io.Writer, reports []Report, markdown bool) error {
	var b strings.Builder
	for i, t := range []table{costs(reports), promises(reports)} {
		if len(t) < 2 {
			continue
		}
		if i > 0 {
			fmt.Fprintln(&b)
		}
		if markdown {
			t.markdown(&b)
			continue
		}
		if err := t.text(&b); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// costs is a table of scenarios and contestants.
func costs(reports []Report) table {
	names := []string{Weir, Haproxy, HaproxyCopy, Nginx, Floor}
	t := table{append([]string{"CPU µs"}, names...)}
	for _, r := range reports {
		row := []string{r.Scenario + ", per " + r.Unit}
		for _, name := range names {
			cell := "–"
			for _, s := range r.Standings {
				if s.Name == name {
					cell = ranged("%.1f", s.CPU)
				}
			}
			row = append(row, cell)
		}
		t = append(t, row)
	}
	return t
}

// promises is a table of the ratios with a target.
func promises(reports []Report) table {
	t := table{{"scenario", "ratio", "median", "range", "promised"}}
	for _, r := range reports {
		for _, ratio := range r.Ratios {
			if ratio.Must == 0 {
				continue
			}
			t = append(t, []string{
				r.Scenario,
				ratio.pair(),
				fmt.Sprintf("%.3f", ratio.Median),
				fmt.Sprintf("%.3f–%.3f", ratio.Min, ratio.Max),
				ratio.promise(),
			})
		}
	}
	return t
}
