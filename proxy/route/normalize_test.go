package route

import (
	"bytes"
	"net/url"
	"path"
	"strings"
	"testing"
)

var normalizeTests = []struct{ in, want string }{
	{"/", "/"}, {"", ""}, {"*", "*"}, {"/a", "/a"}, {"/a/", "/a/"}, {"//a//b", "//a//b"},
	// RFC 3986, section 5.2.4
	{"/a/b/c/./../../g", "/a/g"}, {"/mid/content=5/../6", "/mid/6"},
	{"/.", "/"}, {"/./", "/"}, {"/..", "/"}, {"/../", "/"}, {"/a/.", "/a/"}, {"/a/..", "/"}, {"/a/b/..", "/a/"}, {"/a/b/../", "/a/"},
	{"/../../a", "/a"}, {"/a/../../b", "/b"}, {"/a//../b", "/a/b"}, {"/a/./b", "/a/b"},
	{"/.a", "/.a"}, {"/..a", "/..a"}, {"/...", "/..."}, {"/a.", "/a."}, {"/.well-known/x", "/.well-known/x"}, {"/a/..;/b", "/a/..;/b"},
	// Percent-encoding.
	{"/%41%7a", "/Az"}, {"/%2e%2E/a", "/a"}, {"/a/%2e", "/a/"}, {"/a/.%2e/b", "/b"}, {"/%00", "/\x00"}, {"/%ff", "/\xff"},
	{"/a%2fb", "/a%2Fb"}, {"/a%2Fb", "/a%2Fb"}, {"/a%2f..%2fb", "/a%2F..%2Fb"}, {"/%252e", "/%252e"}, {"/%25", "/%25"},
	{"/%", "/%"}, {"/%4", "/%4"}, {"/%zz", "/%zz"}, {"/%4g", "/%4g"}, {"/%%41", "/%A"}, {"/%3f%23", "/?#"},
}

func TestNormalize(t *testing.T) {
	for _, tt := range normalizeTests {
		if got := string(Normalize(nil, []byte(tt.in))); got != tt.want {
			t.Errorf("Normalize(%q) = %q, want %q", tt.in, got, tt.want)
		}
		if normal([]byte(tt.in)) && tt.in != tt.want {
			t.Errorf("%q passes for normal and is not", tt.in)
		}
	}
	if got := string(Normalize([]byte("/x/y"), []byte("/../a"))); got != "/x/y/a" {
		t.Errorf("appended to what was there: %q, want /x/y/a", got)
	}
}

// FuzzNormalize: never longer, no dot segments, the same as net/url and path make of it where those
// apply, and stable unless percent signs are malformed.
func FuzzNormalize(f *testing.F) {
	for _, tt := range normalizeTests {
		f.Add(tt.in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if !strings.HasPrefix(in, "/") {
			in = "/" + in
		}
		b := []byte(in)
		out := Normalize(nil, b)
		if string(b) != in || len(out) > len(in) {
			t.Fatalf("Normalize(%q) = %q", in, out)
		}
		for segment := range bytes.SplitSeq(out, []byte("/")) {
			if s := string(segment); s == "." || s == ".." {
				t.Fatalf("Normalize(%q) = %q: a dot segment is left", in, out)
			}
		}
		if out[0] != '/' {
			t.Fatalf("Normalize(%q) = %q: not absolute", in, out)
		}
		if normal(b) && string(out) != in {
			t.Fatalf("%q passes for normal, but becomes %q", in, out)
		}
		decoded, err := url.PathUnescape(in)
		if err != nil {
			return
		}
		if again := Normalize(nil, out); !bytes.Equal(again, out) {
			t.Fatalf("%q becomes %q and then %q", in, out, again)
		}
		if lower := strings.ToLower(in); strings.Contains(lower, "%2f") || strings.Contains(lower, "%25") || strings.Contains(decoded, "//") {
			return
		}
		want := path.Clean(decoded)
		if got := strings.TrimSuffix(string(out), "/"); got != strings.TrimSuffix(want, "/") {
			t.Fatalf("Normalize(%q) = %q, path.Clean has %q", in, out, want)
		}
	})
}
