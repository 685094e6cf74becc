package exchange

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"weir/balancer"
	"weir/config"
	"weir/proxy/http1"
	"weir/proxy/message"
)

// response is the parsed head of a 200 with these field lines.
func response(t testing.TB, lines string) *message.Head {
	t.Helper()
	h := &message.Head{}
	if size, err := http1.ParseResponse([]byte("HTTP/1.1 200 OK\r\n"+lines+"\r\n"), h, http1.Limits{}); size == 0 || err != nil {
		t.Fatalf("%q: %v", lines, err)
	}
	return h
}

func TestDropPublic(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"none", "", "private"},
		{"what a store must not keep", "Cache-Control: no-store, no-cache, max-age=0, s-maxage=0\r\n", "private, no-store, no-cache, max-age=0"},
		{"public", "Cache-Control: public, max-age=60\r\n", "private, max-age=60"},
		{"public alone", "Cache-Control: public\r\n", "private"},
		{"in any case", "cache-control: Max-Age=5 ,PUBLIC,S-MaxAge = \"5\"\r\n", "private, Max-Age=5"},
		{"nothing to take", "Cache-Control: no-store\r\n", "no-store|private"},
		{"private", "Cache-Control: private, max-age=60\r\n", "private, max-age=60"},
		{"private and public", "Cache-Control: private, public\r\n", "private"},
		{"private in another line", "Cache-Control: private\r\nCache-Control: max-age=1, s-maxage=2\r\n", "private|private, max-age=1"},
		{"private for a field", "Cache-Control: private=\"x\", must-understand, no-store\r\n", "private=\"x\", must-understand, no-store|private"},
		{"two lines", "Cache-Control: max-age=1\r\nCache-Control: s-maxage=2, no-transform\r\n", "max-age=1|private, no-transform"},
		{"two that are changed", "Cache-Control: public, a\r\nCache-Control: s-maxage=2, b=c\r\n", "private, a, b=c"},
		{"within quotes", "Cache-Control: no-cache=\"a, public, b\\\", s-maxage\"\r\n", "no-cache=\"a, public, b\\\", s-maxage\"|private"},
		{"quotes and public", "Cache-Control: no-cache=\"a, public\", public\r\n", "private, no-cache=\"a, public\""},
		{"quotes that do not end", "Cache-Control: no-cache=\"a, public, b\r\n", "private, no-cache=\"a, b"},
		{"similar names", "Cache-Control: publicity, s-maxages=1, x-public\r\n", "publicity, s-maxages=1, x-public|private"},
		{"empty elements", "Cache-Control: ,, public , ,no-cache,\r\n", "private, no-cache"},
		{"for caches of a kind", "CDN-Cache-Control: max-age=9\r\nAcme-CDN-Cache-Control: public\r\nSurrogate-Control: max-age=9\r\nX-Cache: x\r\n", "private"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, backend := cookieSticky(t, nil)
			res, m := response(t, tt.in), &membership{}
			rest := s.answered(nil, m, res, backend)
			out := http1.AppendResponse(nil, res, false)
			out = s.appendSetCookie(out, m, res, backend, rest, false)
			var got []string
			for _, line := range strings.Split(string(out), "\r\n") {
				name, value, _ := strings.Cut(line, ": ")
				if name = strings.ToLower(name); strings.Contains(name, "-control") {
					got = append(got, value)
				}
			}
			if strings.Join(got, "|") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if tt.name == "for caches of a kind" && !strings.Contains(string(out), "X-Cache: x") {
				t.Errorf("another field is gone: %q", out)
			}
		})
	}
}

// FuzzDropPublic: whatever a backend says, public and s-maxage are gone, and nothing else is.
func FuzzDropPublic(f *testing.F) {
	for _, s := range []string{"", "public", "no-store, s-maxage=0", "a=\"b, public\", public", "\"", "a=\"\\", ",,public=\"x\",", "private=\"a\", public"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
			return
		}
		rest := string(appendPrivate(nil, []byte(value)))
		if hasDirective([]byte(rest), sharing) || hasDirective([]byte(rest), private) {
			t.Errorf("%q leaves %q", value, rest)
		}
		if again := string(appendPrivate(nil, []byte(rest))); again != rest && strings.Count(value, "\"")%2 == 0 {
			t.Errorf("%q leaves %q, and that %q", value, rest, again)
		}
	})
}

// cookieSticky is the persistence by cookie of a pool with one backend, with those keys or one of its own.
func cookieSticky(t testing.TB, keys [][]byte) (*sticky, *balancer.Backend) {
	t.Helper()
	if keys == nil {
		keys = [][]byte{[]byte("a key that all machines share...")}
	}
	c := &config.Pool{Name: "app", Algorithm: config.WeightedRoundRobin,
		Backends: []*config.Backend{{Name: "b1", Weight: 1, State: config.Ready}},
		Persistence: &config.Persistence{Type: config.PersistHTTPCookie, Timeout: time.Hour,
			Cookie: config.SessionCookie{Name: "WEIR", Path: "/", Keys: keys}}}
	s, err := newSticky(c, nil, zap.NewNop(), nil)
	if err != nil {
		t.Fatal(err)
	}
	p := balancer.NewPool(c, balancer.Options{}, time.Now())
	s.follow(p, nil)
	return s, p.Snapshot().Members()[0].Backend
}

// cookieOf is the cookie that a client has after a response of b to a request with that cookie, and
// whether it is a new one.
func (s *sticky) cookieOf(t testing.TB, cookie string, b *balancer.Backend) (now string, issued bool) {
	t.Helper()
	h := &message.Head{}
	in := "GET / HTTP/1.1\r\nHost: h\r\nCookie: " + cookie + "\r\n\r\n"
	if _, err := http1.ParseRequest([]byte(in), h, http1.Limits{}); err != nil {
		t.Fatal(err)
	}
	m := s.lookUp(h, &balancer.Flow{})
	if cookie != "" && m.backend != b {
		t.Fatalf("%q names %v, want %s", cookie, m.backend, b.Name())
	}
	res := response(t, "")
	out := string(s.appendSetCookie(nil, &m, res, b, s.answered(nil, &m, res, b), false))
	if out == "" {
		return cookie, false
	}
	now, _, _ = strings.Cut(strings.TrimPrefix(out, "Set-Cookie: "), ";")
	return now, true
}

// A cookie is issued again when half of its time is over, and not before.
func TestCookieIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := cookieSticky(t, nil)
		first, issued := s.cookieOf(t, "", b)
		if !issued {
			t.Fatal("no cookie")
		}
		time.Sleep(29 * time.Minute)
		if _, again := s.cookieOf(t, first, b); again {
			t.Error("issued again after 29 minutes of an hour")
		}
		time.Sleep(time.Minute)
		second, again := s.cookieOf(t, first, b)
		if !again || second == first {
			t.Errorf("after 30 minutes of an hour: issued %v, %q after %q", again, second, first)
		}
		time.Sleep(29 * time.Minute)
		if _, again := s.cookieOf(t, second, b); again {
			t.Error("the second was issued again after 29 minutes")
		}
	})
}

// A cookie that a former key has signed is good, and issued again under the one that signs now.
func TestCookieIsRenewedForAnotherKey(t *testing.T) {
	old, fresh := []byte("the key that was there before..."), []byte("the key that takes its place....")
	s, b := cookieSticky(t, [][]byte{old})
	first, _ := s.cookieOf(t, "", b)
	s, b = cookieSticky(t, [][]byte{fresh, old})
	second, issued := s.cookieOf(t, first, b)
	if !issued {
		t.Fatal("not issued again after a change of keys")
	}
	s, b = cookieSticky(t, [][]byte{fresh})
	if _, issued := s.cookieOf(t, second, b); issued {
		t.Error("the new cookie is not of the new key")
	}
}
