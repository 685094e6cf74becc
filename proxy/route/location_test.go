package route

import (
	"net/url"
	"strings"
	"testing"

	"weir/config"
	"weir/proxy/message"
)

var locationTests = []struct{ name, to, host, target, want string }{
	{"fixed", "https://new.example/x", "a", "/y?z", "https://new.example/x"},
	{"to https", "https://{host}{path}{query}", "Shop.example:80", "/a%2fb/c?d=e?f", "https://Shop.example/a%2fb/c?d=e?f"},
	{"another port", "https://{host}:8443{path}", "shop.example:80", "/a", "https://shop.example:8443/a"},
	{"below a host", "https://www.{host}/", "shop.example.", "/a", "https://www.shop.example/"},
	{"no query", "https://{host}{path}{query}", "a", "/b", "https://a/b"},
	{"empty query", "https://{host}{path}{query}", "a", "/b?", "https://a/b?"},
	{"query without path", "/new{query}", "a", "/b?c", "/new?c"},
	{"IPv6", "https://{host}{path}", "[2001:db8::1]:80", "/", "https://[2001:db8::1]/"},
	{"IPv4", "https://{host}{path}", "192.0.2.1:80", "/", "https://192.0.2.1/"},
	{"local", "/new{path}", "a", "/b", "/new/b"},
	{"slashes", "https://a.example{path}", "a", "//evil.example/x", "https://a.example/evil.example/x"},
	{"slashes and backslashes", "/new{path}", "a", `/\/evil.example`, "/new/evil.example"},
	{"slashes alone", "https://a.example{path}", "a", "///", "https://a.example/"},
	{"dots do not climb", "/new{path}", "a", "/../../b/./%2e%2e/c%20", "/new/c%20"},
	{"dots before slashes", "https://a.example{path}", "a", "/..//evil.example/%2e", "https://a.example/evil.example/"},
	{"later slashes stay", "/new{path}", "a", "/a//b", "/new/a//b"},
	{"asterisk", "https://{host}{path}", "a", "*", "https://a/"},
	{"control bytes", "/new{path}{query}", "a", "/\r\nX: y\x00\x7f\xff#?\n ", "/new/%0D%0AX:%20y%00%7F%FF%23?%0A%20"},
	{"no host", "https://{host}{path}", "", "/a", ""},
	{"only a port", "https://{host}{path}", ":80", "/a", ""},
	{"only a dot", "https://{host}{path}", ".", "/a", ""},
	{"escape in the host", "https://{host}{path}", "evil.example%2f", "/a", ""},
	{"mark in the host", "https://{host}{path}", "a;b", "/a", ""},
	{"user in the host", "https://{host}{path}", "a@evil.example", "/a", ""},
	{"line in the host", "https://{host}{path}", "a\r\nX", "/a", ""},
	{"two colons in the host", "https://{host}{path}", "a:b:80", "/a", ""},
	{"broken brackets", "https://{host}{path}", "[x]", "/a", ""},
	{"a host that is not asked for", "/new", "", "/a", "/new"},
}

func TestLocation(t *testing.T) {
	for _, tt := range locationTests {
		t.Run(tt.name, func(t *testing.T) {
			a := actionOf(config.Route{Redirect: &config.Redirect{To: tt.to, Status: 301}})
			h := requestHead("GET", tt.host, tt.target)
			if got := string(a.Location([]byte("Location: "), h)); got != "Location: "+tt.want {
				t.Errorf("got %q, want %q behind what was there", got, tt.want)
			}
			if string(h.Target) != tt.target || string(h.Authority) != tt.host {
				t.Errorf("the request became %q, %q", h.Target, h.Authority)
			}
		})
	}
}

// FuzzLocation: whatever the request is, the URL has no byte that could end a line, and the
// template's scheme and host, by net/url and by browsers, for which a backslash is a slash.
func FuzzLocation(f *testing.F) {
	for _, tt := range locationTests {
		f.Add(tt.host, tt.target)
	}
	templates := []struct{ to, scheme, host string }{
		{"https://{host}{path}{query}", "https", "{host}"},
		{"https://{host}:8443{path}", "https", "{host}:8443"},
		{"http://new.example{path}{query}", "http", "new.example"},
		{"/new{path}{query}", "", ""},
		{"/{host}{path}", "", ""},
		{"/{query}", "", ""},
	}
	f.Fuzz(func(t *testing.T, host, target string) {
		h := requestHead("GET", host, target)
		for _, tt := range templates {
			a := actionOf(config.Route{Redirect: &config.Redirect{To: tt.to, Status: 302}})
			got := string(a.Location(nil, h))
			bare := string(hostOnly([]byte(host)))
			if got == "" {
				if !strings.Contains(tt.to, "{host}") || validName(bare) {
					t.Fatalf("%q of %q, %q is empty", tt.to, host, target)
				}
				continue
			}
			if strings.ContainsFunc(got, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }) {
				t.Fatalf("%q of %q, %q is %q", tt.to, host, target, got)
			}
			authority := strings.ReplaceAll(tt.host, "{host}", bare)
			rest, scheme := got, ""
			if tt.scheme != "" {
				scheme = tt.scheme + "://"
				rest = strings.TrimPrefix(got, scheme+authority)
			}
			if !strings.HasPrefix(got, scheme+authority) || !strings.HasPrefix(rest, "/") || strings.HasPrefix(rest, "//") || strings.HasPrefix(rest, `/\`) {
				t.Fatalf("%q of %q, %q is %q: want %s%s and a path", tt.to, host, target, got, scheme, authority)
			}
			if u, err := url.Parse(got); err == nil && (u.Scheme != tt.scheme || u.Host != authority || u.User != nil) {
				t.Fatalf("%q of %q, %q is %q, which leads to %q", tt.to, host, target, got, u.Host)
			}
		}
	})
}

// validName reports whether s is one or more letters, as no host may be refused that is.
func validName(s string) bool { return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == "" }

func TestLocationAllocs(t *testing.T) {
	a := actionOf(config.Route{Redirect: &config.Redirect{To: "https://{host}{path}{query}", Status: 308}})
	h := &message.Head{Authority: []byte("shop.example:80"), Target: []byte("/a/b?c=d")}
	dst := make([]byte, 0, 256)
	if allocs := testing.AllocsPerRun(100, func() { a.Location(dst, h) }); allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}

func TestUnknownPlaceholder(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a template that validation refuses was taken")
		}
	}()
	newTemplate("/x{unknown}")
}
