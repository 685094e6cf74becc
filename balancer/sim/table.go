package sim

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Table prints the report for a reader at a terminal: one row per interval with the share of each
// backend, the totals, and the curve of each slow start.
func (r Report) Table(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "pool %s: %s, %v at %s flows/s, %d clients, seed %d\n\n",
		r.Pool, r.Algorithm, r.Duration, strconv.FormatFloat(r.Rate, 'f', -1, 64), r.Clients, r.Seed)
	r.intervals().write(b)
	if q := r.Queue; q != nil {
		fmt.Fprintf(b, "\nqueue of %d places, time-out %v: %d flows waited, the longest %v; %d wait at the end\n",
			q.Places, q.Timeout, q.Flows, q.Longest, q.Left)
	}
	for _, ramp := range r.Ramps {
		fmt.Fprintf(b, "\nslow start of %s from %v\n", ramp.Backend, ramp.Began)
		ramp.table().write(b)
	}
	return b.Flush()
}

// grid is a table: cells by row. All columns but the first and the last are aligned to the right.
type grid [][]string

func (r Report) intervals() grid {
	head := []string{"time"}
	for _, b := range r.Backends {
		head = append(head, b.Name)
	}
	head = append(head, "refused")
	if r.Queue != nil {
		head = append(head, "queued")
	}
	if r.Moved != nil {
		head = append(head, "moved")
	}
	g := grid{append(head, "events")}
	for _, row := range r.Intervals {
		cells := []string{fmt.Sprintf("%v–%v", row.From, row.To)}
		for _, b := range r.Backends {
			cells = append(cells, percent(row.Shares[b.Name]))
		}
		cells = append(cells, strconv.Itoa(row.Refused))
		if r.Queue != nil {
			cells = append(cells, strconv.Itoa(row.Queued))
		}
		if r.Moved != nil {
			cells = append(cells, strconv.Itoa(row.Moved))
		}
		g = append(g, append(cells, row.remarks()))
	}
	share, picks, leases := []string{"share"}, []string{"picks"}, []string{"most leases"}
	for _, b := range r.Backends {
		share = append(share, percent(b.Share))
		picks = append(picks, strconv.Itoa(b.Picks))
		leases = append(leases, strconv.Itoa(b.MaxLeases))
	}
	picks = append(picks, strconv.Itoa(r.Refused))
	if r.Queue != nil {
		picks = append(picks, strconv.Itoa(r.Queue.Flows))
	}
	if r.Moved != nil {
		picks = append(picks, strconv.Itoa(*r.Moved))
	}
	return append(g, nil, share, picks, leases)
}

// remarks are the events of an interval, and the tier if it is not the usual one.
func (i Interval) remarks() string {
	var words []string
	for _, e := range i.Events {
		words = append(words, e.String())
	}
	if i.Tier != "primary" {
		words = append(words, "tier "+i.Tier)
	}
	return strings.Join(words, ", ")
}

// maxRampRows is the most rows that a table shows of a ramp. JSON has all points.
const maxRampRows = 20

func (r Ramp) table() grid {
	g := grid{{"time", "ratio", "want", "got", ""}}
	every := (len(r.Points) + maxRampRows - 1) / maxRampRows
	for points := range slices.Chunk(r.Points, every) {
		p := merge(points)
		at := Offset(time.Duration(p.At).Round(time.Millisecond))
		g = append(g, []string{at.String(), percent(p.Ratio), percent(p.Want), percent(p.Got), ""})
	}
	return g
}

// merge makes one point of several: the beginning and ratio of the first, the shares of all flows.
func merge(points []Point) Point {
	m := points[0]
	if len(points) == 1 {
		return m
	}
	var want, got float64
	m.Flows = 0
	for _, p := range points {
		m.Flows += p.Flows
		want += p.Want * float64(p.Flows)
		got += p.Got * float64(p.Flows)
	}
	if m.Flows > 0 {
		m.Want, m.Got = want/float64(m.Flows), got/float64(m.Flows)
	}
	return m
}

func percent(f float64) string { return fmt.Sprintf("%.1f %%", 100*f) }

func (g grid) write(b *bufio.Writer) {
	var widths []int
	for _, row := range g {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range g {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			switch i {
			case 0:
				line.WriteString(cell + pad)
			case len(widths) - 1:
				line.WriteString("  " + cell)
			default:
				line.WriteString("  " + pad + cell)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}
