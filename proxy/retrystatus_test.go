package proxy

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
)

// failing answers with a status.
func failing(t *testing.T, status int) *origin {
	return answering(t, fmt.Sprintf("HTTP/1.1 %d Not Now\r\nContent-Length: 4\r\n\r\nbusy", status))
}

func TestRetryOnStatus(t *testing.T) {
	for _, status := range []int{502, 503, 504} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			bad, good := failing(t, status), answering(t, ok200)
			r := start(t, site("", fmt.Sprintf("retries: { on: [\"%d\"], budget: 100%% }", status), bad.Addr(), good.Addr()))
			c := r.dial()
			for range 4 {
				c.get("/", "ok")
			}
			got := bad.requests() // of four, how many depends on where the rotation is
			if got == 0 {
				t.Error("the failing backend was never asked")
			}
			want := fmt.Sprintf("retried_ok %d", got)
			if got < 4 {
				want += fmt.Sprintf(" ok %d", 4-got)
			}
			r.wantOutcomes(want)
			answers := map[int]int{}
			for range 2 {
				c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
				answers[c.receive("POST").StatusCode]++
			}
			if answers[200] != 1 || answers[status] != 1 || bad.requests() != got+1 {
				t.Errorf("POSTs were answered %v; the failing backend got %d more", answers, bad.requests()-got)
			}
		})
	}
}

// When no other backend is left, the response is passed on as it is.
func TestRetryOnStatusWithoutAnother(t *testing.T) {
	first, second := failing(t, 503), failing(t, 503)
	r := start(t, site("", "retries: { on: [\"503\"], attempts: 5, budget: 100% }", first.Addr(), second.Addr()))
	c := r.dial()
	c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	c.want("GET", 503, "busy")
	if got := first.requests() + second.requests(); got != 2 {
		t.Errorf("%d requests, want one to each backend", got)
	}
	c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n") // the connection goes on
	c.want("GET", 503, "busy")
}

func TestRetryOnStatusOnlyWhereAsked(t *testing.T) {
	bad, good := failing(t, 503), answering(t, ok200)
	r := start(t, site("", "", bad.Addr(), good.Addr()))
	c := r.dial()
	statuses := ""
	for range 2 {
		c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		statuses += fmt.Sprint(c.receive("GET").StatusCode, " ")
	}
	if !strings.Contains(statuses, "503") {
		t.Errorf("got %s, want the 503 as it is", statuses)
	}
}

func TestRetryOnTimeout(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	slow := newOrigin(t, func(s *side) {
		if _, _, ok := s.request(); ok {
			<-over
		}
	})
	good := answering(t, ok200)
	r := start(t, site("", "retries: { on: [timeout], budget: 100% }\ntimeouts: { backend_response: 150ms }", slow.Addr(), good.Addr()))
	c := r.dial()
	for range 2 {
		c.get("/", "ok")
	}
	got := slow.requests() // one, or two
	if got == 0 {
		t.Error("the slow backend was never asked")
	}
	want := map[int]string{1: "ok 1 retried_ok 1", 2: "retried_ok 2"}
	r.wantOutcomes(want[got])
}

// What has gone to the client cannot be taken back: a status behind an interim response stays.
func TestStatusBehindAnInterimResponseIsNotRetried(t *testing.T) {
	const early = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
	const busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
	a, b := answering(t, early+busy), answering(t, early+busy)
	r := start(t, site("", "retries: { on: 503, budget: 100% }", a.Addr(), b.Addr()))
	c := r.dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if got := c.receive("GET"); got.StatusCode != 103 {
		t.Fatalf("got %d first, want 103", got.StatusCode)
	}
	c.want("GET", 503, "busy")
	if got := a.Accepted() + b.Accepted(); got != 1 {
		t.Errorf("%d backends were asked, want 1", got)
	}
}

// A session that may go nowhere else takes the status that its backend gives.
func TestStatusOfABoundSessionIsNotRetried(t *testing.T) {
	const busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
	var turns atomic.Int64
	serve := each(func(string, string) string {
		if turns.Add(1) == 1 {
			return ok200
		}
		return busy
	})
	a, b := newOrigin(t, serve), newOrigin(t, serve)
	r := start(t, site("", "retries: { on: 503, budget: 100% }\n"+strings.Replace(httpCookie, "type:", "fallback: fail, type:", 1), a.Addr(), b.Addr()))
	c := r.dial()
	cookie := issued(c.get("/", "ok"))
	if cookie == "" {
		t.Fatal("no session")
	}
	c.send("GET / HTTP/1.1\r\nHost: h\r\nCookie: " + cookie + "\r\n\r\n")
	c.want("GET", 503, "busy")
	if got := turns.Load(); got != 2 {
		t.Errorf("%d requests arrived, want 2", got)
	}
}
