package conformance

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// atATime is how many messages are under way at once: enough to wait for time-outs together.
const atATime = 48

// observation is what a proxy made of a message.
type observation struct {
	m         *message
	got       received
	follow    received
	arrivals  []arrival
	tunnelled string
}

// proxy is a running proxy with a listener for each message.
type proxy interface {
	addr(m *message) string
	stop() // and wait until its connections are closed
}

// observe sends every message through a proxy. begin starts it in front of the origins.
func observe(t *testing.T, list []*message, begin func(t *testing.T, list []*message, origins map[*message]*origin) proxy) map[string]*observation {
	t.Helper()
	origins := map[*message]*origin{}
	for _, m := range list {
		origins[m] = newOrigin(t, m)
	}
	p := begin(t, list, origins)
	seen := make([]*observation, len(list))
	slots := make(chan struct{}, atATime)
	var wg sync.WaitGroup
	for i, m := range list {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			seen[i] = &observation{m: m, got: play(t, p.addr(m), origins[m])}
			seen[i].follow = playFollow(t, p.addr(m), origins[m])
		})
	}
	wg.Wait()
	p.stop()
	byName := map[string]*observation{}
	for _, s := range seen {
		o := origins[s.m]
		o.stop(t)
		s.arrivals, s.tunnelled = o.arrivals, o.tunnelled
		byName[s.m.name] = s
	}
	return byName
}

// playFollow asks for something else on a new connection, after the late bytes of the origin.
func playFollow(t *testing.T, addr string, o *origin) received {
	t.Helper()
	if o.m.late != "" {
		close(o.late)
		await(o.lateSent, patience/4) // an origin that was not asked has nothing to send
	}
	quiet := &origin{m: &message{send: follow, alone: true}}
	return play(t, addr, quiet)
}

// responses are those to the message, without that to /behind, and whether there was one of that.
func (s *observation) responses() (list []response, behindServed bool) {
	list = readResponses(s.got.raw, s.m, !s.got.reset && !s.got.open)
	last := len(list) - 1
	if last < 0 || list[last].field("x-origin") != "GET /behind 0" {
		return list, false
	}
	if early := list[last].interims; len(early) > 0 {
		return append(list[:last], response{interims: early}), true // nothing of /behind is interim
	}
	return list[:last], true
}

// summary is the outcome for the client, in the words of the table.
func (s *observation) summary() string {
	list, behindServed := s.responses()
	if s.got.open {
		return "no end"
	}
	if len(list) == 0 && !behindServed {
		return noAnswer
	}
	var words []string
	for i := range list {
		words = append(words, list[i].kind())
	}
	word := strings.Join(words, "; ")
	switch {
	case behindServed:
		return word + ", kept"
	case strings.HasSuffix(word, cutOff), strings.Contains(word, illFormed):
		return word
	}
	return word + ", closed"
}

// requests are what the origin saw for the message: without /behind and /follow when they came
// as they were sent.
func (s *observation) requests() (list []arrival) {
	for _, a := range s.arrivals {
		if a.fault == "" && a.whole && (a.target == "/behind" || a.target == "/follow") {
			continue
		}
		list = append(list, a)
	}
	return list
}

// fault is a breach of what holds for every message whatever its outcome; empty: there is none.
// What is sent to one request must not get to another, and the origin must be able to read what it
// gets in one way only.
func (s *observation) fault() string {
	list, behindServed := s.responses()
	var asked []string
	counts := map[string]int{}
	for i := range s.arrivals {
		a := &s.arrivals[i]
		if !a.whole {
			continue
		}
		if a.fault != "" {
			return "the origin saw " + ticked(a.fault)
		}
		counts[a.target]++
		if a.target != "/behind" && a.target != "/follow" {
			asked = append(asked, a.name())
		}
	}
	if counts["/poison"] > 0 {
		return "the origin saw `/poison`"
	}
	for _, r := range list {
		if r.fault != "" {
			return "" // how the client goes on is not known
		}
	}
	if last := len(list) - 1; behindServed && last >= 0 && list[last].status == 0 {
		return "the client takes the answer to `/behind` for that to the message"
	}
	if counts["/behind"] > 1 || counts["/behind"] == 1 != behindServed {
		return fmt.Sprintf("/behind was seen %d times and answered: %v", counts["/behind"], behindServed)
	}
	for i, r := range list {
		if name := r.field("x-origin"); name != "" && name != "script" && (i >= len(asked) || name != asked[i]) {
			return fmt.Sprintf("response %d is the answer to %s, asked was %q", i+1, name, asked)
		}
	}
	followed := readResponses(s.follow.raw, &message{}, !s.follow.reset)
	if len(followed) != 1 || !followed[0].whole || followed[0].field("x-origin") != "GET /follow 0" || counts["/follow"] != 1 {
		return fmt.Sprintf("the answer to /follow is %s", quoted(s.follow.raw))
	}
	return ""
}
