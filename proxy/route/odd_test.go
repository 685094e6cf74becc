package route

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"weir/config"
)

// guarded keeps /admin from all but a few; the backend behind "app" serves it.
var guarded = []config.Route{
	{PathPrefix: "/admin", Source: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Pool: "app"},
	{PathPrefix: "/admin", Respond: &config.Respond{Status: 403}},
	{Path: "/exact", Pool: "app"},
	{Path: "/exact/in", Pool: "app"},
	{PathPrefix: "/exact", Respond: &config.Respond{Status: 403}},
	{PathPrefix: "/pub", StripPrefix: "/pub", Rewrite: "/x{path}", Pool: "app"},
	{PathPrefix: "/moved", Redirect: &config.Redirect{To: "/new{path}", Status: 308}},
	{PathPrefix: "/api/v4", Pool: "git"},
}

var oddTests = []struct {
	name, target string
	want         string // pool; "respond" or "redirect" for an answer, refused, or NUL
}{
	{"as it is", "/admin", "respond"},
	{"two slashes", "//admin", refused},
	{"three slashes", "///admin", refused},
	{"encoded slash after dots", "/x/..%2fadmin", refused},
	{"encoded slash before dots", "/x%2f..%2fadmin", refused},
	{"encoded slash first", "/%2fadmin", refused},
	{"slashes before dots", "/x//../admin", refused},
	{"encoded slash behind", "/admin%2fx", refused},
	{"parameter", "/admin;x", refused},
	{"encoded parameter", "/admin%3bx", refused},
	{"parameter of dots", "/x/..;/admin", refused},
	{"parameter of the segment before", "/;x/admin", refused},
	{"parameter that hides a slash", "/exact;x%2fy", refused},
	{"backslash", `/x/..\admin`, refused},
	{"encoded backslash", "/x/..%5cadmin", refused},
	{"backslash first", `/\admin`, refused},
	{"encoded dots and slash", "/x%2F%2e%2E%2fadmin", refused},
	{"out by dots that only some see", "/admin%2fx%2f..;%2f..;%2fpub/..", refused},
	{"out by parameters that only some see", "/pub/y/..;/..;/admin/z/..%3b/..%3b/..%3b/pub", refused},
	{"empty segment by a parameter", "/a/;x/../admin", refused},
	{"hidden dot before dots", "/a/.;/../admin", refused},
	{"behind an encoded slash", "/exact%2fx", refused},
	{"a route between the forms", "/exact%2f/in", refused},
	{"dots between the forms", "/admin%2fx//..//../..", refused},
	{"malformed percent sign", "/%admin", "app"},
	{"twice encoded slash", "/x/..%252fadmin", "app"},
	{"twice encoded dots", "/x/%252e%252e/admin", "app"},
	{"escapes of escapes", "/%%32%66admin", "app"},
	{"NUL", "/admin%00", encodedNUL},
	{"NUL in a parameter", "/x;%00", encodedNUL},
	{"NUL behind a backslash", `/x\%00`, encodedNUL},
	{"twice encoded NUL", "/x%2500", "app"},
	{"NUL in the query", "/x?%00", "app"},
	{"encoded slash in one space", "/api/v4/projects/a%2Fb", "git"},
	{"two slashes in one space", "/api/v4//projects", "git"},
	{"parameter in one space", "/api/v4/projects;v=1/a", "git"},
	{"hidden dots in one space", "/api/v4/a/..%2fb", refused},
	{"no route is near", "/x%2fy", "app"},
	{"parameter far from routes", "/x/y;jsessionid=1A.2B", "app"},
	{"slashes far from routes", "/x//y", "app"},
	{"dots far from routes", "/x/../y", "app"},
	{"dots and parameters", "/x;v/../y", "app"},
	{"out of the prefix and what is before it", "/pub/..%2fadmin", refused},
	{"out of the prefix by a backslash", `/pub/..\admin`, refused},
	{"out of the prefix by a parameter", "/pub/..;/admin", refused},
	{"inside of the prefix", "/pub/a%2fb;c//d", "app"},
	{"redirection that climbs", `/moved/..\x`, refused},
	{"redirection", "/moved/a%2fb", "redirect"},
	{"asterisk", "*", "app"},
}

const encodedNUL = "NUL"

func TestMatchOddPaths(t *testing.T) {
	table := New(guarded, "app", identity)
	for _, tt := range oddTests {
		t.Run(tt.name, func(t *testing.T) {
			if got := wordOf(table.Match(requestHead("GET", "a", tt.target), nobody)); got != tt.want {
				t.Errorf("%s leads to %s, want %s", tt.target, got, tt.want)
			}
		})
	}
}

func wordOf(m Match[string]) string {
	switch {
	case m.Refused == EncodedNUL:
		return encodedNUL
	case m.Refused == AmbiguousPath:
		return refused
	case m.HasTarget:
		return m.Target
	case m.Action != nil && m.Action.Redirect != nil:
		return "redirect"
	case m.Action != nil && m.Action.Respond != nil:
		return "respond"
	}
	return "none"
}

// TestMatchOddPathsWhereNoneIsAskedFor has nothing that the form of a path could change.
func TestMatchOddPathsWhereNoneIsAskedFor(t *testing.T) {
	tests := []struct {
		name, target string
		routes       []config.Route
		want         string
	}{
		{"no routes", `/a\..%2f..;/b`, nil, "app"},
		{"no routes, NUL", "/a%00", nil, encodedNUL},
		{"no route with a path", `/a\..%2f..;/b`, []config.Route{{Methods: []string{"GET"}, Pool: "get"}}, "get"},
		{"another host has paths", "/a/..%2fb", []config.Route{{Host: "b", PathPrefix: "/b", Pool: "b"}}, "app"},
		{"paths behind the route", "/a/..%2fb", []config.Route{{Host: "a", Pool: "a"}, {PathPrefix: "/b", Pool: "b"}}, "a"},
		{"paths that lead to the same", "/a/..%2fb", []config.Route{{PathPrefix: "/b", Pool: "app"}}, "app"},
		{"paths before the route", "/a/..%2fb", []config.Route{{PathPrefix: "/b", Pool: "b"}, {Pool: "a"}}, refused},
		{"a prefix that is not there", "/a/..%2fb", []config.Route{{StripPrefix: "/b", Pool: "b"}}, refused},
		{"a redirection with the path", "/a/..%2fb", []config.Route{{Redirect: &config.Redirect{To: "/new{path}", Status: 302}}}, refused},
		{"a redirection without it", "/a/..%2fb", []config.Route{{Redirect: &config.Redirect{To: "/new", Status: 302}}}, "redirect"},
		{"an expression that takes both forms", "/a%2fb", []config.Route{{PathRegex: "^/a", Pool: "a"}}, "a"},
		{"an expression that takes one", "/a%2fb", []config.Route{{PathRegex: "^/[^/]+$", Pool: "a"}}, refused},
		{"a route with a parameter", "/a;v=1/b", []config.Route{{PathPrefix: "/a;v=1", Pool: "a"}}, "a"},
		{"a route with another parameter", "/a;v=2/b", []config.Route{{PathPrefix: "/a;v=1", Pool: "a"}}, refused},
		{"a route with a percent sign", "/100%25", []config.Route{{Path: "/100%25", Pool: "a"}}, "a"},
		{"a percent sign that is not encoded", "/100%", []config.Route{{Path: "/100%25", Pool: "a"}}, refused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := wordOf(New(tt.routes, "app", identity).Match(requestHead("GET", "a", tt.target), nobody)); got != tt.want {
				t.Errorf("%s leads to %s, want %s", tt.target, got, tt.want)
			}
		})
	}
}

func TestFold(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""}, {"*", "*"}, {"/", "/"}, {"/a/b", "/a/b"}, {"//a///b//", "/a/b/"}, {`/a\b%5cc%5C`, "/a/b/c/"},
		{"/a%2fb%2F%2f", "/a/b/"}, {"/a;x/b;y;z/;", "/a/b/"}, {"/a%3bx%2fb", "/a/b"}, {"/x/..;y/a", "/a"}, {"/x/..%2fa", "/a"}, {"/x//../a", "/a"},
		{"/%252f%25", "/%2f%"}, {"/%2%zz%", "/%2%zz%"}, {"/%2e%2E/a", "/a"}, {"/a/b/..", "/a/"}, {"/%%32%66", "/%2f"},
	}
	for _, tt := range tests {
		if got := string(fold([]byte("/x"), []byte(tt.in))); got != "/x"+tt.want {
			t.Errorf("fold(%q) = %q behind what was there, want %q", tt.in, got, tt.want)
		}
	}
}

func TestLook(t *testing.T) {
	tests := []struct {
		path string
		want survey
	}{
		{"/", survey{}}, {"*", survey{}}, {"", survey{}}, {"/a/b%20c/", survey{}}, {"/./a/%2e", survey{}}, {"/...", survey{}},
		{"/a/../%2e%2E/b/..", survey{up: true}},
		{"/a%00", survey{nul: true}},
		{"/a;%00", survey{nul: true, odd: true}},
		{"/%25", survey{odd: true}}, {"/%", survey{odd: true}}, {"/a;b", survey{odd: true}}, {"/a;b/../c", survey{odd: true, up: true}},
		{"/a%2fb", survey{odd: true, uneven: true}}, {`/a\b`, survey{odd: true, uneven: true}}, {"/a%5Cb", survey{odd: true, uneven: true}},
		{"//a", survey{odd: true, uneven: true}}, {"/a//", survey{odd: true, uneven: true}}, {"/;b/a", survey{odd: true, uneven: true}},
		{"/.;b/a", survey{odd: true, uneven: true}}, {"/;b", survey{odd: true, uneven: true}}, {"/.%2fa", survey{odd: true, uneven: true}},
		{"/a/..;b", survey{odd: true, up: true, hidden: true}}, {"/..%3bb", survey{odd: true, up: true, hidden: true}},
		{"/a%2f..", survey{odd: true, uneven: true, up: true, hidden: true}}, {`/..\a`, survey{odd: true, uneven: true, up: true, hidden: true}},
		{"/a;b%2fc", survey{odd: true, uneven: true, hidden: true}},
	}
	for _, tt := range tests {
		if got := look([]byte(tt.path)); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.path, got, tt.want)
		}
	}
}

// reader is a server of its own ways with paths.
type reader struct {
	slash      bool // an encoded slash is one
	backslash  bool
	encoded    bool // an encoded backslash is one too
	merge      bool
	parameters int // 0: data; 1: dropped before escapes are decoded; 2: after that as well
}

// readers are all of them.
func readers() (all []reader) {
	for i := range 1 << 4 {
		for p := range 3 {
			all = append(all, reader{slash: i&1 != 0, backslash: i&2 != 0, encoded: i&6 == 6, merge: i&8 != 0, parameters: p})
		}
	}
	return all
}

// read is the path that a reader serves, written without escapes. What stays encoded for it has marks
// that are in no route.
func (r reader) read(path string) string {
	if r.parameters > 0 {
		path = dropParameters(path)
	}
	var out strings.Builder
	for rest := []byte(path); len(rest) > 0; {
		c, n := octet(rest)
		rest = rest[n:]
		switch {
		case c == '/' && n == 3 && !r.slash:
			c = 1
		case c == '\\' && n == 1 && r.backslash, c == '\\' && n == 3 && r.encoded:
			c = '/'
		}
		out.WriteByte(c)
	}
	path = out.String()
	if r.parameters > 1 {
		path = dropParameters(path)
	}
	if r.merge {
		for strings.Contains(path, "//") {
			path = strings.ReplaceAll(path, "//", "/")
		}
	}
	var kept []string
	segments := strings.Split(path, "/")
	for i, s := range segments {
		switch {
		case s == ".." && len(kept) > 1:
			kept = kept[:len(kept)-1]
		case s != "." && s != "..":
			kept = append(kept, s)
		}
		if i == len(segments)-1 && (s == "." || s == "..") {
			kept = append(kept, "")
		}
	}
	return strings.Join(kept, "/")
}

func dropParameters(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i], _, _ = strings.Cut(s, ";")
	}
	return strings.Join(segments, "/")
}

// decides says without tables where a path without escapes leads, of those of guarded.
func decides(path string) string {
	below := func(prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }
	switch {
	case below("/admin"):
		return "respond"
	case path == "/exact", path == "/exact/in":
		return "app"
	case below("/exact"):
		return "respond"
	case below("/pub"):
		return "x"
	case below("/moved"):
		return "redirect"
	case below("/api/v4"):
		return "git"
	}
	return "app"
}

// FuzzLook: a path in which nothing is odd has one form.
func FuzzLook(f *testing.F) {
	for _, tt := range oddTests {
		f.Add(tt.target)
	}
	f.Fuzz(func(t *testing.T, path string) {
		path, _, _ = strings.Cut(path, "?")
		if strings.Contains(path, "\x00") {
			return // no target has one
		}
		b := []byte("/" + path)
		s := look(b)
		plain, folded := string(Normalize(nil, b)), string(fold(nil, b))
		if !s.odd && (s.wild() || plain != folded || strings.Contains(plain, "%")) {
			t.Fatalf("%q is %+v, but its forms are %q and %q", b, s, plain, folded)
		}
		if len(folded) > len(b) || folded[0] != '/' || strings.Contains(folded, "//") {
			t.Fatalf("%q is %q when folded", b, folded)
		}
		if only, plain := splitPath(b); plain && (s != survey{} || string(only) != string(Normalize(nil, only))) {
			t.Fatalf("%q passes for plain, and is %+v", b, s)
		}
	})
}

// checkReaders wants of a path that is forwarded that it leads to where it has gone however a server
// reads it; and of one that was changed that it stays where the route puts it.
func checkReaders(t *testing.T, table *Table[string], all []reader, target string) Refusal {
	t.Helper()
	h := requestHead("GET", "a", target)
	m := table.Match(h, nobody)
	if m.Refused != NotRefused {
		return m.Refused
	}
	got, changed, below := wordOf(m), "", ""
	switch {
	case got == "redirect":
		changed, below = string(m.Action.Location(nil, h)), "/new"
	case m.Action.ChangesTarget():
		got, changed, below = "x", string(m.Action.Target(nil, h)), "/x"
	}
	for _, r := range all {
		if word := decides(r.read(target)); word != got {
			t.Fatalf("%q leads to %s, but %+v reads %q: %s", target, got, r, r.read(target), word)
		}
		if below == "" {
			continue
		}
		if read := r.read(changed); read != below && !strings.HasPrefix(read, below+"/") {
			t.Fatalf("%q becomes %q, which %+v reads as %q: not below %s", target, changed, r, read, below)
		}
	}
	return NotRefused
}

func FuzzRoute(f *testing.F) {
	for _, tt := range oddTests {
		f.Add(tt.target)
	}
	table, all := New(guarded, "app", identity), readers()
	f.Fuzz(func(t *testing.T, target string) {
		if target == "" || target[0] != '/' {
			target = "/" + target
		}
		if strings.ContainsAny(target, "?\x00\x01") {
			return
		}
		checkReaders(t, table, all, target)
	})
}

// TestRouteReaders makes paths of what readers differ about, and counts those that pass.
func TestRouteReaders(t *testing.T) {
	parts := []string{"/", "/", "/", "/", "%2f", `\`, "%5C", ";", "%3b", ".", "..", "..", "%2e", "%25", "%2", "x", "admin", "admin", "exact", "exact/", "in", "pub", "moved", "api", "v4"}
	table, all := New(guarded, "app", identity), readers()
	random := rand.New(rand.NewPCG(7, 11))
	counts := map[Refusal]int{}
	for range 20_000 {
		target := "/"
		for range 1 + random.IntN(12) {
			target += parts[random.IntN(len(parts))]
		}
		counts[checkReaders(t, table, all, target)]++
	}
	if counts[NotRefused] < 2000 || counts[AmbiguousPath] < 2000 {
		t.Errorf("%v: want some that pass and some that do not", counts)
	}
}
