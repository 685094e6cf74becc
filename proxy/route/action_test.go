package route

import (
	"bytes"
	"strings"
	"testing"

	"weir/config"
	"weir/proxy/message"
)

func actionOf(r config.Route) *Action {
	r.Pool = "a"
	return newAction(&r)
}

var targetTests = []struct{ name, strip, rewrite, target, want string }{
	{"prefix", "/api", "", "/api/v1?x=y", "/v1?x=y"},
	{"prefix alone", "/api", "", "/api", "/"},
	{"prefix and a slash", "/api", "", "/api/", "/"},
	{"prefix and a query", "/api", "", "/api?/api/x", "/?/api/x"},
	{"prefix in part of a segment", "/api", "", "/apix/y", "/apix/y"},
	{"prefix that is not there", "/api", "", "/x/api", "/x/api"},
	{"prefix in another case", "/api", "", "/API/x", "/API/x"},
	{"prefix twice", "/api", "", "/api/api/x", "/api/x"},
	{"prefix with a slash at its end", "/api/", "", "/api/x", "/x"},
	{"prefix with a slash at its end, alone", "/api/", "", "/api", "/"},
	{"prefix of several segments", "/a/b", "", "/a/b/c", "/c"},
	{"half a prefix", "/a/b", "", "/a/bc", "/a/bc"},
	{"shorter than the prefix", "/a/b", "", "/a", "/a"},
	{"no authority comes up", "/api", "", "/api//evil.example/x", "/evil.example/x"},
	{"no authority comes up from many slashes", "/api", "", "/api////evil.example", "/evil.example"},
	{"later slashes stay", "/api", "", "/api/a//b", "/a//b"},
	{"escapes of the rest stay", "/api", "", "/api/caf%c3%a9%20x%0d%0a?%20", "/caf%c3%a9%20x%0d%0a?%20"},
	{"prefix in another spelling", "/api", "", "/%61p%69/x%20", "/x%20"},
	{"prefix that is escaped itself", "/caf%C3%A9", "", "/caf%c3%a9/x", "/x"},
	{"prefix with dots", "/x/../api", "", "/api/x", "/x"},
	{"prefix with an encoded slash", "/a%2Fb", "", "/a%2fb/c", "/c"},
	{"encoded slash is no slash", "/a/b", "", "/a%2fb/c", "/a%2fb/c"},
	{"encoded slash is no boundary", "/a", "", "/a%2fb", "/a%2fb"},
	{"slash is no encoded slash", "/a%2Fb", "", "/a/b/c", "/a/b/c"},
	{"percent sign", "/a%25b", "", "/a%25b/c", "/c"},
	{"dots behind the prefix", "/api", "", "/api/x/../y", "/y"},
	{"dots before the prefix", "/api", "", "/x/../api/y", "/y"},
	{"encoded dots", "/api", "", "/%2e%2E/api/x/.%2e/%2e/y%20", "/y%20"},
	{"out and in again", "/api", "", "/api/../api/x", "/x"},
	{"out to above the root and in again", "/api", "", "/api/../../../api/x", "/x"},
	{"dots and slashes", "/api", "", "/api//../x", "/x"},
	{"dots at the end", "/api", "", "/api/x/..", "/"},
	{"dots that leave the prefix", "/api", "", "/api/../x", "/api/../x"},
	{"twice encoded dots are data", "/api", "", "/api/%252e%252e/x", "/%252e%252e/x"},
	{"dots of escaped hex are data", "/api", "", "/api/%%32%65%%32%65/x", "/%%32%65%%32%65/x"},
	{"segment that begins with a dot", "/api", "", "/api/.well-known/..x/...", "/.well-known/..x/..."},
	{"asterisk", "/api", "/x", "*", "*"},
	{"rewrite", "", "/new", "/old?x", "/new?x"},
	{"rewrite to the same", "", "/v2{path}", "/a/b?x={path}", "/v2/a/b?x={path}"},
	{"rewrite in the middle", "", "/v2{path}.html", "/a", "/v2/a.html"},
	{"rewrite with the path twice", "", "/a{path}/b{path}", "/x", "/a/x/b/x"},
	{"rewrite what is left", "/api", "/v2{path}", "/api/x", "/v2/x"},
	{"rewrite when nothing is left", "/api", "/v2{path}", "/api", "/v2/"},
	{"rewrite without the prefix", "/api", "/v2{path}", "/apix", "/v2/apix"},
	{"rewrite without climbing out", "", "/v2{path}", "/../../secret", "/v2/secret"},
	{"rewrite without climbing out in escapes", "", "/v2{path}", "/a/%2e%2e/%2e./secret%2f", "/v2/secret%2f"},
	{"rewrite of a path that leaves the prefix", "/api", "/v2{path}", "/api/../x", "/v2/x"},
	{"slashes stay without a prefix", "", "/v2{path}", "//a", "/v2//a"},
	{"no change", "", "", "/a/../b?c", "/a/../b?c"},
	{"long path", "/api", "", "/x/../api/" + strings.Repeat("y", 5000), "/" + strings.Repeat("y", 5000)},
}

func TestTarget(t *testing.T) {
	for _, tt := range targetTests {
		t.Run(tt.name, func(t *testing.T) {
			a := actionOf(config.Route{StripPrefix: tt.strip, Rewrite: tt.rewrite})
			h := requestHead("GET", "a", tt.target)
			if got := string(a.Target([]byte("/x/.."), h)); got != "/x/.."+tt.want {
				t.Errorf("got %q, want %q behind what was there", got, tt.want)
			}
			if string(h.Target) != tt.target {
				t.Errorf("the target became %q", h.Target)
			}
			if got, want := a.ChangesTarget(), tt.strip != "" || tt.rewrite != ""; got != want {
				t.Errorf("changes the target: %v, want %v", got, want)
			}
		})
	}
}

// FuzzTarget: what the backend gets is, in plain form, what the route matched without the prefix,
// whatever the spelling; under a rewrite it stays below what stands before it; and no byte comes
// from anywhere but the request.
func FuzzTarget(f *testing.F) {
	for _, tt := range targetTests {
		if len(tt.target) < 200 {
			f.Add(tt.target, tt.strip)
		}
	}
	f.Fuzz(func(t *testing.T, target, strip string) {
		if strip != "" && strip[0] != '/' || strings.ContainsAny(strip, "?#") {
			return
		}
		if target == "" || target[0] != '/' {
			target = "/" + target
		}
		h := requestHead("GET", "a", target)
		path, query, _ := strings.Cut(target, "?")
		normalized := string(Normalize(nil, []byte(path)))
		a := actionOf(config.Route{StripPrefix: strip, Rewrite: "/v2{path}"})
		got, gotQuery, _ := strings.Cut(string(a.Target(nil, h)), "?")
		prefix := strings.TrimSuffix(string(Normalize(nil, []byte(strip))), "/")
		left, found := strings.CutPrefix(normalized, prefix)
		if prefix == "" || !found || (left != "" && left[0] != '/') {
			left = normalized
		} else {
			left = "/" + strings.TrimLeft(left, "/")
		}
		if g := string(Normalize(nil, []byte(got))); g != "/v2"+left {
			t.Fatalf("%q without %q becomes %q, which is %q, want %q", target, strip, got, g, "/v2"+left)
		}
		if gotQuery != query {
			t.Fatalf("the query of %q becomes %q", target, gotQuery)
		}
		plain := actionOf(config.Route{StripPrefix: strip})
		out := string(plain.Target(nil, h))
		if prefix != "" && left != normalized && (len(out) < 1 || out[0] != '/' || strings.HasPrefix(out, "//")) {
			t.Fatalf("%q without %q becomes %q: want one slash at its beginning", target, strip, out)
		}
		if g := string(Normalize(nil, pathOf([]byte(out)))); g != left {
			t.Fatalf("%q without %q becomes %q, which is %q, want %q", target, strip, out, g, left)
		}
		for _, c := range []byte(out) {
			if strings.IndexByte(target, c) < 0 {
				t.Fatalf("%q becomes %q: %q is new", target, out, c)
			}
		}
	})
}

func TestTargetAllocs(t *testing.T) {
	a := actionOf(config.Route{StripPrefix: "/api", Rewrite: "/v2{path}"})
	heads := []*message.Head{requestHead("GET", "a", "/api/x?y"), requestHead("GET", "a", "/%61pi/../api/x?y")}
	dst := make([]byte, 0, 256)
	allocs := testing.AllocsPerRun(100, func() {
		for _, h := range heads {
			if out := a.Target(dst, h); !bytes.Equal(out, []byte("/v2/x?y")) {
				panic(string(out))
			}
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}
