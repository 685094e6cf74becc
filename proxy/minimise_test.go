package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// minimise makes a session that differs smaller for as long as it still does. It returns the last one
// and how that differs.
func minimise(s session, why string, differs func(*session) string) (session, string) {
	deadline := time.Now().Add(patience)
	for smaller := true; smaller; {
		smaller = false
		for _, try := range s.reductions() {
			if time.Now().After(deadline) {
				return s, why
			}
			if w := differs(&try); w != "" {
				s, why, smaller = try, w, true
				break
			}
		}
	}
	return s, why
}

// reductions are the sessions that lack one thing.
func (s session) reductions() (all []session) {
	for i := range s.trials {
		if len(s.trials) > 1 {
			all = append(all, session{slices.Delete(slices.Clone(s.trials), i, i+1), s.pipelined})
		}
	}
	if s.pipelined {
		all = append(all, session{s.trials, false})
	}
	for i := range s.trials {
		for _, t := range s.trials[i].reductions() {
			trials := slices.Clone(s.trials)
			trials[i] = t
			all = append(all, session{trials, s.pipelined})
		}
	}
	return all
}

func (t trial) reductions() (all []trial) {
	if len(t.interims) > 0 {
		less := t
		less.interims = t.interims[1:]
		all = append(all, less)
	}
	for _, p := range t.asked.reductions() {
		less := t
		less.asked = p
		all = append(all, less)
	}
	for _, p := range t.answered.reductions() {
		less := t
		less.answered = p
		all = append(all, less)
	}
	if path, _, ok := strings.Cut(t.target, "?"); ok && path != "" {
		less := t
		less.target = path
		all = append(all, less)
	}
	return all
}

func (p payload) reductions() (all []payload) {
	for i, line := range p.lines {
		// Without these it would be another exchange, which differs for another reason.
		if name, _, _ := strings.Cut(strings.ToLower(line), ":"); !slices.Contains([]string{"x-trial", "host", "date", "content-type", "connection"}, name) {
			less := p
			less.lines = slices.Delete(slices.Clone(p.lines), i, i+1)
			all = append(all, less)
		}
	}
	for _, n := range []int{0, len(p.content) / 2, len(p.content) - 1} {
		if n >= 0 && n < len(p.content) {
			less := p
			less.content = p.content[:n]
			all = append(all, less)
		}
	}
	for i := range p.chunks {
		less := p
		less.chunks = slices.Delete(slices.Clone(p.chunks), i, i+1)
		all = append(all, less)
	}
	if len(p.trailer) > 0 {
		less := p
		less.trailer = p.trailer[1:]
		all = append(all, less)
	}
	if p.odd {
		less := p
		less.odd = false
		all = append(all, less)
	}
	return all
}

// String shows what goes over the wire.
func (s session) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "pipelined: %v\n", s.pipelined)
	for i := range s.trials {
		fmt.Fprintf(&b, "%.400q\n\tanswered by %.400q\n", s.trials[i].requestText(), s.trials[i].responseText())
	}
	return b.String()
}

// A difference that needs one line of one exchange is reported with little else.
func TestMinimise(t *testing.T) {
	big := trial{method: "GET", target: "/a?b", version: "HTTP/1.1"}
	big.asked = payload{lines: []string{"X-Trial: 1", "A: 1", "Bad: 1", "B: 2"}, coding: chunks, content: "content", chunks: []int{1, 2}, odd: true, trailer: []string{"T: 1"}}
	differs := func(s *session) string {
		for i := range s.trials {
			if slices.Contains(s.trials[i].asked.lines, "Bad: 1") && len(s.trials[i].asked.content) >= 3 {
				return "bad"
			}
		}
		return ""
	}
	got, why := minimise(session{[]trial{{}, big, {}}, true}, "bad", differs)
	want := "pipelined: false\n" + `"GET /a HTTP/1.1\r\nX-Trial: 1\r\nBad: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ncon\r\n0\r\n\r\n"` + "\n"
	if shown, _, _ := strings.Cut(got.String(), "\tanswered"); why != "bad" || shown != want {
		t.Errorf("got %s %s, want %s", why, shown, want)
	}
}
