package session

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/balancer"
)

func learner(name string) *Learner { return NewLearner(name, NewTable(1000, time.Minute)) }

// session is the backend of a request with these Cookie fields.
func session(l *Learner, now int64, cookies ...string) *balancer.Backend {
	_, b := l.Session(now, lines(cookies)...)
	return b
}

func TestLearnerNamed(t *testing.T) {
	b := backendsOf(2)
	l := learner("SID")
	for _, line := range []string{"sid=1", "SIDE=1", "SID", "SID=", `SID=""; Path=/`, "=SID", "SID=gone; Max-Age=0"} {
		if l.Learn([]byte(line), b[0], 0, issue) {
			t.Errorf("%q is learned", line)
		}
	}
	if got := l.table.Stats().Entries; got != 0 {
		t.Fatalf("got %d entries, want 0", got)
	}
	if !l.Learn([]byte(`SID="one"; Path=/; HttpOnly`), b[0], 0, issue) || !l.Learn([]byte("SID=two"), b[1], 0, issue) {
		t.Fatal("not learned")
	}
	tests := []struct {
		cookies []string
		want    *balancer.Backend
	}{
		{[]string{"SID=one"}, b[0]},
		{[]string{`a=1; SID="one"`}, b[0]},
		{[]string{"a=1", "b=2; SID=two; c=3"}, b[1]},
		{[]string{"SID=one; SID=two"}, b[0]},
		{[]string{"SID=three; SID=two"}, nil},
		{[]string{"OTHER=one"}, nil},
		{[]string{"SID="}, nil},
		{nil, nil},
	}
	for _, tt := range tests {
		if got := session(l, 1, tt.cookies...); got != tt.want {
			t.Errorf("%q: got %v, want %v", tt.cookies, got, tt.want)
		}
	}
	if got, want := l.table.Stats(), (Stats{Entries: 2, Hits: 4, Misses: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if session(l, 60*second+1, "SID=one") != nil {
		t.Error("a session does not expire")
	}
}

// TestLearnerMoves: an application that shares its sessions goes on under the same cookie.
func TestLearnerMoves(t *testing.T) {
	b := backendsOf(2)
	for _, name := range []string{"SID", Any} {
		l := learner(name)
		l.Learn([]byte("SID=one"), b[0], 0, issue)
		k, _ := l.Session(1, []byte("a=1; SID=one"))
		l.table.Put(k, b[1], 2)
		l.Learn([]byte("SID=one"), b[1], 3, issue)
		if got := session(l, 4, "SID=one"); got != b[1] {
			t.Errorf("%s: got %v, want b1", name, got)
		}
		if l.Learn([]byte("SID=one; Max-Age=0"), b[1], 5, issue) || session(l, 6, "SID=one") != nil {
			t.Errorf("%s: the session outlives its cookie", name)
		}
	}
}

func TestLearnerAny(t *testing.T) {
	p, _ := poolOf(2)
	b := members(p)
	l := learner(Any)
	l.Learn([]byte("lang=en"), b[0], 0, issue)
	l.Learn([]byte("SID=one"), b[0], 0, issue)
	if got := session(l, 1, "x=1; lang=en; SID=one"); got != b[0] {
		t.Errorf("got %v, want b0", got)
	}
	// A second client: what both have says nothing.
	l.Learn([]byte("lang=en"), b[1], 2, issue)
	l.Learn([]byte("SID=two"), b[1], 2, issue)
	for cookies, want := range map[string]*balancer.Backend{
		"lang=en; SID=one": b[0], "lang=en; SID=two": b[1], "lang=en": nil, "SID=three; lang=en": nil,
	} {
		if got := session(l, 3, cookies); got != want {
			t.Errorf("%q: got %v, want %v", cookies, got, want)
		}
	}
	if !l.Learn([]byte("lang=en"), b[1], 4, issue) || session(l, 5, "lang=en") != nil {
		t.Error("what was shared names a session again")
	}
	if got, want := l.table.Stats(), (Stats{Entries: 3, Hits: 3, Misses: 2 + 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	// A backend that is down loses its sessions to the one that goes on with them.
	p.Report(b[0], false, time.Unix(1, 0))
	l.Learn([]byte("SID=one"), b[1], 6, issue)
	if got := session(l, 7, "SID=one"); got != b[1] {
		t.Errorf("got %v, want b1", got)
	}
}

// TestLearnerBoundsWork: a request of a thousand cookies is not looked up a thousand times.
func TestLearnerBoundsWork(t *testing.T) {
	b := backendsOf(1)[0]
	l := learner(Any)
	l.Learn([]byte("SID=one"), b, 0, issue)
	var first, second strings.Builder
	for i := range maxCookies - 1 {
		fmt.Fprintf(&first, "c%d=%d;", i, i%2)
	}
	if got := session(l, 1, first.String(), "SID=one"); got != b {
		t.Errorf("cookie %d: got %v, want b0", maxCookies, got)
	}
	second.WriteString("another=;")
	if got := session(l, 1, first.String(), second.String(), "SID=one"); got != nil {
		t.Errorf("cookie %d: got %v, want none", maxCookies+1, got)
	}
}

func TestLearnerAllocs(t *testing.T) {
	b := backendsOf(1)[0]
	cookie, set := []byte("a=1; b=2; SID=0123456789abcdef"), []byte("SID=0123456789abcdef; Path=/; HttpOnly")
	for _, name := range []string{"SID", Any} {
		l := learner(name)
		l.Learn(set, b, 0, issue)
		allocs(t, "Session "+name, func() {
			if _, got := l.Session(1, cookie); got != b {
				t.Fatal("not found")
			}
		})
		allocs(t, "Learn "+name, func() { l.Learn(set, b, 1, issue) })
	}
}

// A lost session is the answer only if no other cookie names one that is not.
func TestLearnerFindsLostSessions(t *testing.T) {
	p, c := poolOf(2)
	b := members(p)
	for _, name := range []string{"SID", Any} {
		l := learner(name)
		l.table.SetKeep(true)
		l.Learn([]byte("SID=one"), b[0], 0, issue)
		l.Learn([]byte("OTHER=two"), b[1], 0, issue)
		c.Backends = c.Backends[len(c.Backends)-1:]
		p.Apply(c, time.Unix(1, 0))
		if got := session(l, 1, "a=1; SID=one"); got != b[0] {
			t.Errorf("%s: got %v, want b0, which has left", name, got)
		}
		want := b[0]
		if name == Any {
			want = b[1]
		}
		if got := session(l, 1, "SID=one; OTHER=two"); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		l.Learn([]byte("SID=one"), b[1], 2, issue) // another backend knows it
		if got := session(l, 3, "SID=one"); got != b[1] {
			t.Errorf("%s: got %v, want b1", name, got)
		}
	}
}
