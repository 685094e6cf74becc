package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"weir/api"
)

// writeExplanation prints the steps of an explanation; the last line is the outcome.
func writeExplanation(w io.Writer, e api.Explanation) error {
	var b bytes.Buffer
	line := func(step, format string, a ...any) { fmt.Fprintf(&b, "%-10s %s\n", step, fmt.Sprintf(format, a...)) }
	line("listener", "%s, %s on %s: %s", e.Listener.Name, e.Listener.Protocol, strings.Join(e.Listener.Addresses, ", "), e.Listener.Why)
	if e.Flow.Request != "" {
		line("request", "%s", e.Flow.Request)
	}
	line("client", "%s: %s", e.Flow.Client, e.Flow.ClientWhy)
	if e.Admission.Why != "" {
		word := "refused"
		if e.Admission.Allowed {
			word = "let in"
		}
		line("admission", "%s: %s", word, e.Admission.Why)
	}
	for _, limit := range e.Admission.Limits {
		line("", "limit %s", limit)
	}
	if err := writeSteps(&b, e); err != nil {
		return err
	}
	if e.If != nil {
		var list []string
		for _, s := range e.If.Suppositions {
			list = append(list, fmt.Sprintf("%s/%s %s", s.Pool, s.Backend, s.State))
		}
		line("if", "%s: %s", strings.Join(list, ", "), e.If.Result)
	}
	outcome := e.Outcome
	if outcome == "backend" {
		outcome = "goes to"
	}
	line(outcome, "%s", e.Result)
	_, err := w.Write(b.Bytes())
	return err
}

// writeSteps prints what has a table of its own.
func writeSteps(b *bytes.Buffer, e api.Explanation) error {
	if len(e.Routes) > 0 {
		rows := make([][]string, 0, len(e.Routes))
		for _, r := range e.Routes {
			rows = append(rows, []string{r.Route, r.Does, yes(r.Taken), r.Why})
		}
		b.WriteByte('\n')
		if err := writeTable(b, []string{"ROUTE", "DOES", "TAKEN", "WHY"}, rows); err != nil {
			return err
		}
	}
	if e.Session != nil {
		fmt.Fprintf(b, "\n%-10s %s, fallback %s: %s\n", "session", e.Session.Type, orDash(e.Session.Fallback), e.Session.Why)
	}
	if e.Pick == nil {
		b.WriteByte('\n')
		return nil
	}
	b.WriteByte('\n')
	return writePick(b, e)
}

func writePick(b *bytes.Buffer, e api.Explanation) error {
	p := e.Pick
	fmt.Fprintf(b, "%-10s %s, %s; served by %s\n", "pool", e.Pool, p.Algorithm, p.Tier)
	if k := p.Key; k != nil {
		fmt.Fprintf(b, "%-10s %s of %s, seed %d\n", "key", k.Hash, strings.Join(k.Covers, ", "), k.Seed)
	}
	if t := p.Table; t != nil {
		fmt.Fprintf(b, "%-10s entry %d of %d is %s's\n", "table", t.Entry, t.Size, t.Owner)
		if r := t.Ramp; r != nil {
			fmt.Fprintf(b, "%-10s %s has the keys with a draw below %.3f so far; this one drew %.3f, else it is %s's (entry %d)\n",
				"slow start", t.Owner, r.Accepted, r.Draw, r.Owner, r.Entry)
		}
	}
	if t := p.Turn; t != nil {
		fmt.Fprintf(b, "%-10s slot %d of a cycle of %d; next: %s\n", "turn", t.Place, t.Length, strings.Join(t.Next, " "))
	}
	rows := make([][]string, 0, len(p.Candidates))
	for _, c := range p.Candidates {
		share := ""
		if c.Share != nil && c.Eligible {
			share = fmt.Sprintf("%.1f%%", 100**c.Share)
		}
		state := c.State
		if c.Overridden {
			state += "*"
		}
		rows = append(rows, []string{c.Name, c.Address, c.Health, state,
			weightCell(api.BackendStatus{Weight: c.Weight, EffectiveWeight: c.EffectiveWeight}),
			activeCell(api.BackendStatus{Active: c.Active, MaxConnections: c.MaxConnections}), share, yes(c.Name == p.Backend), c.Why})
	}
	if err := writeTable(b, []string{"BACKEND", "ADDRESS", "HEALTH", "STATE", "WEIGHT", "ACTIVE", "SHARE", "PICKED", "WHY"}, rows); err != nil {
		return err
	}
	b.WriteByte('\n')
	return nil
}

// yes is a cell that is empty for no.
func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
