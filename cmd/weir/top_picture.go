package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/api"
)

// picture is what top shows of one moment.
type picture struct {
	now    time.Time
	status api.Status
	before api.Status // of the moment since; without one there are no rates
	since  time.Time
	fault  string // why the status is an old one
}

// heading is how many lines stay while the others scroll.
const heading = 2

// lines are the lines of the picture, the heading first.
func (p picture) lines() ([]line, error) {
	s := p.status
	word, colour := "ready", bold
	switch {
	case s.Draining:
		word, colour = "DRAINING", yellow
	case !s.Ready:
		word, colour = "NOT READY (weir health says why)", red
	}
	up, all := 0, 0
	for _, pool := range s.Pools {
		up, all = up+pool.Up, all+len(pool.Backends)
	}
	uptime := age(time.Duration(s.UptimeSeconds * float64(time.Second)))
	list := []line{{fmt.Sprintf("weir %s  pid %d  up %s  generation %d  %d/%d backends up  %s", s.Version, s.PID, uptime, s.Generation, up, all, word), colour}}
	if p.fault != "" {
		list = append(list, line{"no answer: " + strings.Join(strings.Fields(p.fault), " "), red})
	} else {
		list = append(list, line{})
	}
	listeners, err := table([]string{"LISTENER", "PROTOCOL", "CONNS", "NEW/S", "ADDRESS"}, p.listenerRows(), nil)
	if err != nil {
		return nil, err
	}
	rows, colours := p.backendRows()
	backends, err := table([]string{"BACKEND", "HEALTH", "STATE", "WEIGHT", "ACTIVE", "FLOWS/S", "REASON"}, rows, colours)
	if err != nil {
		return nil, err
	}
	return slices.Concat(list, listeners, []line{{}}, backends), nil
}

// table is a heading and rows in colours, of which there may be fewer.
func table(head []string, rows [][]string, colours []string) (list []line, err error) {
	var b bytes.Buffer
	if err := writeTable(&b, head, rows); err != nil {
		return nil, err
	}
	for i, text := range strings.Split(strings.TrimRight(b.String(), "\n"), "\n") {
		l := line{text: text}
		switch {
		case i == 0:
			l.colour = bold
		case i <= len(colours):
			l.colour = colours[i-1]
		}
		list = append(list, l)
	}
	return list, nil
}

func (p picture) listenerRows() (rows [][]string) {
	before := map[string]uint64{}
	for _, l := range p.before.Listeners {
		before[l.Name] = l.ConnectionsTotal
	}
	for _, l := range p.status.Listeners {
		was, known := before[l.Name]
		rows = append(rows, []string{l.Name, l.Protocol, strconv.FormatInt(l.ConnectionsActive, 10),
			p.rate(was, l.ConnectionsTotal, known), strings.Join(l.Addresses, ",")})
	}
	return rows
}

// shownBackend is a backend with its pool.
type shownBackend struct {
	name string
	api.BackendStatus
	was   uint64
	known bool
}

// worry is 0 for a backend that is out of service although it should not be, and more for others.
func (b *shownBackend) worry() int {
	switch {
	case b.Health == "down":
		return 0
	case b.Health != "up":
		return 1
	case !b.Eligible && b.State == "ready" && !b.Backup && b.Weight > 0:
		return 2
	case b.State != "ready":
		return 3
	}
	return 4
}

// backendRows are the backends and the colours of their rows: those to worry about first, then the busiest.
func (p picture) backendRows() (rows [][]string, colours []string) {
	before := map[string]uint64{}
	for _, pool := range p.before.Pools {
		for _, b := range pool.Backends {
			before[pool.Name+"/"+b.Name] = b.Picks
		}
	}
	var list []shownBackend
	for _, pool := range p.status.Pools {
		for _, b := range pool.Backends {
			s := shownBackend{name: pool.Name + "/" + b.Name, BackendStatus: b}
			s.was, s.known = before[s.name]
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b shownBackend) int {
		return cmp.Or(cmp.Compare(a.worry(), b.worry()), cmp.Compare(b.grown(), a.grown()), cmp.Compare(b.Active, a.Active))
	})
	for _, b := range list {
		rows = append(rows, []string{b.name, b.Health, stateCell(b.BackendStatus), weightCell(b.BackendStatus), activeCell(b.BackendStatus),
			p.rate(b.was, b.Picks, b.known), b.Reason})
		colours = append(colours, []string{red, yellow, yellow, cyan, ""}[b.worry()])
	}
	return rows, colours
}

// grown is how many flows came since the picture before.
func (b *shownBackend) grown() uint64 {
	if !b.known || b.Picks < b.was {
		return 0
	}
	return b.Picks - b.was
}

// rate is how much a counter grows in a second. One that is new, or has begun again, has none.
func (p picture) rate(was, is uint64, known bool) string {
	seconds := p.now.Sub(p.since).Seconds()
	if !known || p.since.IsZero() || is < was || seconds <= 0 || p.fault != "" {
		return ""
	}
	perSecond := float64(is-was) / seconds
	if perSecond > 0 && perSecond < 10 {
		return strconv.FormatFloat(perSecond, 'f', 1, 64)
	}
	return strconv.FormatFloat(perSecond, 'f', 0, 64)
}
