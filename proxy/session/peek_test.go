package session

import (
	"net/netip"
	"testing"
	"time"
)

// To look at a session is no use of it, and counted nowhere.
func TestPeekIsNoUse(t *testing.T) {
	b := backendsOf(2)
	tb := NewTable(10, time.Minute)
	client := netip.MustParseAddr("192.0.2.1")
	if got, why := tb.Explain(client, 0); got != nil || why != "nothing is known of 192.0.2.1" {
		t.Errorf("empty: got %v, %q", got, why)
	}
	tb.Put(AddressKey(client), b[0], 0)
	before := tb.Stats()
	if got, left := tb.Peek(AddressKey(client), 20*second); got != b[0] || left != 40*time.Second {
		t.Errorf("got %v, %v", got, left)
	}
	if got, why := tb.Explain(client, 59*second); got != b[0] || why != "192.0.2.1 was sent to b0; that lasts another 1s" {
		t.Errorf("got %v, %q", got, why)
	}
	if after := tb.Stats(); after != before {
		t.Errorf("counted: got %+v, want %+v", after, before)
	}
	if got, _ := tb.Peek(AddressKey(client), 60*second); got != nil {
		t.Errorf("after a minute: got %v, although nobody has used it", got)
	}
}

func TestPeekAgreesWithSession(t *testing.T) {
	b := backendsOf(3)
	for _, name := range []string{"sid", Any} {
		l := learner(name)
		l.Learn([]byte("sid=one"), b[0], 0, 0)
		l.Learn([]byte("other=two"), b[1], 0, 0)
		for _, cookies := range []string{"", "sid=one", "a=b; sid=one", "sid=two; sid=one", "other=two", "a=b; other=two; sid=one", "sid="} {
			got := l.Peek(1, []byte(cookies))
			if want := session(l, 1, cookies); got != want {
				t.Errorf("%s, %q: got %v, want %v", name, cookies, got, want)
			}
		}
	}
}
