package conformance

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestConformance sends every message through weir and holds what comes of it against the table, and
// then through the peers, if they are installed in the versions of the report.
func TestConformance(t *testing.T) {
	list := all(t)
	seen := observe(t, list, startWeir)
	for _, topic := range table() {
		t.Run(topic.name, func(t *testing.T) {
			for _, m := range topic.messages {
				t.Run(m.name, func(t *testing.T) { judge(t, seen[m.name]) })
			}
		})
	}
	if t.Failed() && *update {
		t.Fatal("weir differs from the table, so the report is not written")
	}
	page, columns := committed(t)
	t.Run("peers", func(t *testing.T) {
		for i := range peers {
			t.Run(peers[i].name, func(t *testing.T) {
				t.Parallel()
				observePeer(t, &peers[i], list, &columns[i])
			})
		}
	})
	t.Run("report", func(t *testing.T) {
		checkReport(t, page, newColumn("weir", "", seen), columns)
	})
}

// observePeer fills in the column of a peer, or leaves it as the report has it.
func observePeer(t *testing.T, p *peer, list []*message, c *column) {
	_, version, found := p.find()
	switch {
	case !found && *update:
		t.Fatalf("%s is not installed, so the report cannot be written; 'make bench-deps' installs it", p.name)
	case !found:
		t.Skipf("%s is not installed, so its column is not compared; 'make bench-deps' installs it", p.name)
	case version != c.version && !*update:
		t.Skipf("%s is %s and the report is about %s, so its column is not compared", p.name, version, c.version)
	}
	*c = newColumn(p.name, version, observe(t, list, p.start))
}

// judge holds an observation of weir against the outcome that its message states, and against what
// holds for all messages.
func judge(t *testing.T, s *observation) {
	t.Helper()
	m := s.m
	if got := s.summary(); got != m.want {
		t.Errorf("outcome: got %q, want %q; the client got %s", got, m.want, quoted(s.got.raw))
	}
	if fault := s.fault(); fault != "" {
		t.Error(fault)
	}
	if got := s.saw(t); !slices.Equal(got, m.saw) && !m.isBeginning(got) {
		t.Errorf("the origin saw\n  %s\nwant\n  %s", quotedAll(got), quotedAll(m.saw))
	}
	if m.fresh && s.reused() {
		t.Error("the connection to the origin was used again")
	}
	s.judgeResponses(t)
	if want := m.tunnel(); s.tunnelled != want {
		t.Errorf("the tunnel carried %q to the origin, want %q", s.tunnelled, want)
	}
}

// reused reports whether another request came on the connection of the message.
func (s *observation) reused() bool {
	for i := 1; i < len(s.arrivals); i++ {
		if s.arrivals[i].conn == s.arrivals[0].conn {
			return true
		}
	}
	return false
}

// isBeginning tells of a request that may have been seen in part, and has been.
func (m *message) isBeginning(got []string) bool {
	if !slices.Equal(m.saw, []string{unfinished}) || len(got) > 1 {
		return false
	}
	return len(got) == 0 || strings.HasSuffix(got[0], unfinished)
}

// tunnel is what the origin has to get after its 101.
func (m *message) tunnel() string {
	if !strings.HasPrefix(m.reply, "HTTP/1.1 101") || m.want != passedLast {
		return ""
	}
	return strings.TrimPrefix(m.send, m.saw[0]) + m.then
}

// saw lists the requests of the message as the origin saw them, without the fields that weir adds.
func (s *observation) saw(t *testing.T) (list []string) {
	t.Helper()
	for _, a := range s.requests() {
		head, body, whole := strings.Cut(a.raw, "\r\n\r\n")
		if whole {
			rest, clean := without(head+"\r\n", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "X-Real-IP")
			if !clean || !strings.Contains(head, "\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n") {
				t.Errorf("forwarding fields: %s", quoted(head))
			}
			head = rest + "\r\n" + body
		}
		if !a.whole {
			head += unfinished
		}
		list = append(list, head)
	}
	return list
}

// ourDate is the line that weir writes into a response without one. The dates of the origin are none.
var ourDate = regexp.MustCompile(`Date: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT\r\n`)

// judgeResponses wants the origin's replies byte for byte, but for the Date that they have not, and
// responses of weir's own in good order.
func (s *observation) judgeResponses(t *testing.T) {
	t.Helper()
	list, behindServed := s.responses()
	var fromOrigin strings.Builder
	for i, r := range list {
		if r.field("x-origin") != "" {
			sent := ourDate.ReplaceAllLiteralString(r.raw, "")
			if n := len(ourDate.FindAllString(r.raw, -1)); (n == 1) != (r.field("date") != "x") || n > 1 {
				t.Errorf("%d lines Date are weir's own: %s", n, quoted(r.raw))
			}
			fromOrigin.WriteString(sent)
			continue
		}
		if !r.whole {
			continue
		}
		last := i == len(list)-1 && !behindServed
		if closes := strings.EqualFold(r.field("connection"), "close"); closes != last {
			t.Errorf("Connection: close is %v in response %d of %d, /behind was served: %v", closes, i+1, len(list), behindServed)
		}
		if last && s.got.reset {
			t.Error("the connection was reset, so that the response can be lost")
		}
	}
	want := s.m.got
	if want == "" {
		want = s.m.reply
	}
	if strings.Contains(s.m.want, "passed") && fromOrigin.String() != want {
		t.Errorf("the client got\n  %s\nwant\n  %s", quoted(fromOrigin.String()), quoted(want))
	}
}

func quotedAll(list []string) string {
	var b strings.Builder
	for _, s := range list {
		b.WriteString("`" + quoted(s) + "` ")
	}
	return b.String()
}
