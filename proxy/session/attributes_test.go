package session

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestSetter(t *testing.T) {
	tests := []struct {
		name string
		in   Attributes
		tls  bool
		want string
	}{
		{"least", Attributes{Name: "W", SameSite: SameSiteUnset}, false, "W=v"},
		{"all", Attributes{Name: "WEIR", Domain: "shop.example", Path: "/a", MaxAge: time.Hour, Secure: SecureOn, HTTPOnly: true, SameSite: SameSiteStrict}, false,
			"WEIR=v; Path=/a; Domain=shop.example; Max-Age=3600; HttpOnly; SameSite=Strict; Secure"},
		{"lax is the default", Attributes{Name: "W", Path: "/"}, false, "W=v; Path=/; SameSite=Lax"},
		{"auto over TLS", Attributes{Name: "W", SameSite: SameSiteNone}, true, "W=v; SameSite=None; Secure"},
		{"never over TLS", Attributes{Name: "W", Secure: SecureNever}, true, "W=v; SameSite=Lax"},
		{"part of a second", Attributes{Name: "W", MaxAge: time.Second + 1, SameSite: SameSiteUnset}, false, "W=v; Max-Age=2"},
		{"least of a second", Attributes{Name: "W", MaxAge: 1, SameSite: SameSiteUnset}, false, "W=v; Max-Age=1"},
		{"host prefix", Attributes{Name: "__Host-W", Path: "/", SameSite: SameSiteUnset}, true, "__Host-W=v; Path=/; Secure"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := NewSetter(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			got := string(s.Append([]byte("Set-Cookie: "), []byte("v"), tt.tls))
			if got != "Set-Cookie: "+tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			c, err := http.ParseSetCookie(strings.TrimPrefix(got, "Set-Cookie: "))
			if err != nil || len(c.Unparsed) > 0 || c.Name != tt.in.Name || c.Domain != tt.in.Domain || c.Path != tt.in.Path || c.HttpOnly != tt.in.HTTPOnly {
				t.Errorf("net/http reads %v, %v", c, err)
			}
		})
	}
}

func TestNewSetterRefuses(t *testing.T) {
	tests := []struct {
		name string
		in   Attributes
		want string
	}{
		{"no name", Attributes{}, `cookie name "" is not a token`},
		{"name with equals", Attributes{Name: "a=b"}, `cookie name "a=b" is not a token`},
		{"name with a line end", Attributes{Name: "a\r\nb"}, `cookie name "a\r\nb" is not a token`},
		{"name above ASCII", Attributes{Name: "é"}, `cookie name "é" is not a token`},
		{"domain", Attributes{Name: "a", Domain: "a;b"}, `cookie domain "a;b" is not a host name`},
		{"domain with a line end", Attributes{Name: "a", Domain: "a\n"}, `cookie domain "a\n" is not a host name`},
		{"path", Attributes{Name: "a", Path: "a"}, `cookie path "a" does not start with a slash or has a byte that a path cannot have`},
		{"path with semicolon", Attributes{Name: "a", Path: "/;b"}, `cookie path "/;b" does not start with a slash or has a byte that a path cannot have`},
		{"path with DEL", Attributes{Name: "a", Path: "/\x7f"}, `cookie path "/\x7f" does not start with a slash or has a byte that a path cannot have`},
		{"age", Attributes{Name: "a", MaxAge: -time.Second}, "cookie max_age -1s is negative"},
		{"none without secure", Attributes{Name: "a", SameSite: SameSiteNone, Secure: SecureNever}, "cookie with same_site none must be secure"},
		{"secure prefix", Attributes{Name: "__secure-a", Secure: SecureNever}, `cookie "__secure-a" must be secure because of its name`},
		{"host prefix with domain", Attributes{Name: "__HOST-a", Path: "/", Domain: "b"}, `cookie "__HOST-a" must have path / and no domain because of its name`},
		{"host prefix without path", Attributes{Name: "__Host-a"}, `cookie "__Host-a" must have path / and no domain because of its name`},
		{"all at once", Attributes{Name: ";", Domain: ";", MaxAge: -1}, "cookie name \";\" is not a token\ncookie domain \";\" is not a host name\ncookie max_age -1ns is negative"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if s, err := NewSetter(tt.in); err == nil || err.Error() != tt.want || s != nil {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestSetterAllocs(t *testing.T) {
	s, err := NewSetter(Attributes{Name: "WEIR", Path: "/", HTTPOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	buf, value := make([]byte, 0, 200), []byte(golden)
	allocs(t, "Append", func() { buf = s.Append(buf[:0], value, true) })
}
