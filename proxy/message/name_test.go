package message

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

var names = map[string]Name{
	"host": Host, "connection": Connection, "keep-alive": KeepAlive, "proxy-connection": ProxyConnection,
	"proxy-authenticate": ProxyAuthenticate, "proxy-authorization": ProxyAuthorization, "te": TE, "trailer": Trailer,
	"transfer-encoding": TransferEncoding, "upgrade": Upgrade, "content-length": ContentLength, "expect": Expect,
	"x-forwarded-for": XForwardedFor, "x-forwarded-proto": XForwardedOther, "x-forwarded-host": XForwardedOther,
	"x-forwarded-port": XForwardedOther, "x-forwarded-": XForwardedOther, "x-forwarded-foo": XForwardedOther,
	"forwarded": Forwarded, "x-real-ip": XRealIP, "cookie": Cookie, "set-cookie": SetCookie,
	"x_forwarded_for": ForwardedAlias, "x-forwarded_proto": ForwardedAlias, "x_real-ip": ForwardedAlias, "x.real.ip": ForwardedAlias,
}

// nameOf is NameOf, plainly.
func nameOf(b []byte) Name {
	s := strings.ToLower(string(b))
	if n, ok := names[s]; ok {
		return n
	}
	switch folded := notAlnum.ReplaceAllString(s, "-"); {
	case strings.HasPrefix(s, "x-forwarded-") && folded == s:
		return XForwardedOther
	case strings.HasPrefix(folded, "x-forwarded-"), folded == "x-real-ip":
		return ForwardedAlias
	}
	return Other
}

var notAlnum = regexp.MustCompile("[^a-z0-9]")

// TestNameOf tries every name, in several cases, and with each of its bytes replaced by every
// other, removed or doubled.
func TestNameOf(t *testing.T) {
	check := func(b []byte) {
		if got, want := NameOf(b), nameOf(b); got != want {
			t.Fatalf("NameOf(%q) = %d, want %d", b, got, want)
		}
	}
	for name := range names {
		check([]byte(name))
		check([]byte(strings.ToUpper(name)))
		for i := range name {
			for c := range 128 { // strings.ToLower folds beyond ASCII, NameOf must not
				b := []byte(name)
				b[i] = byte(c)
				check(b)
			}
			check([]byte(name[:i] + name[i+1:]))
			check([]byte(name[:i] + name[i:i+1] + name[i:]))
			check([]byte(name[:i]))
		}
		check([]byte(name + "x"))
	}
	for a := range 256 {
		check([]byte{byte(a)})
	}
	if got := NameOf([]byte("\xe2\x84\xaaeep-alive")); got != Other {
		t.Errorf("the Kelvin sign folds: %d", got)
	}
	if got := NameOf(nil); got != Other {
		t.Errorf("no name is %d", got)
	}
}

func TestEqual(t *testing.T) {
	for a := range 256 {
		for b := range 256 {
			x, y := []byte{'k', byte(a)}, []byte{'K', byte(b)}
			want := bytes.Equal(asciiLower(x), asciiLower(y))
			if got := EqualFold(x, y); got != want {
				t.Fatalf("EqualFold(%q, %q) = %v, want %v", x, y, got, want)
			}
			if lower := asciiLower(y); Equal(x, string(lower)) != want {
				t.Fatalf("Equal(%q, %q) = %v, want %v", x, lower, !want, want)
			}
		}
	}
	if EqualFold([]byte("a"), []byte("ab")) || Equal([]byte("ab"), "a") {
		t.Error("lengths do not matter")
	}
}

func TestResembles(t *testing.T) {
	tests := []struct {
		in, lower string
		want      bool
	}{
		{"X-User", "x-user", true}, {"x_user", "x-user", true}, {"X.User", "x-user", true}, {"X-Users", "x-user", false},
		{"X-Uses", "x-user", false}, {"X0User", "x-user", false}, {"X-User", "x0user", false}, {"", "", true},
		{"X_User", "x_user", true}, {"X.User", "x_user", true}, {"X-User", "x_user", false}, {"X-User", "x.user", false},
	}
	for _, tt := range tests {
		if got := Resembles([]byte(tt.in), tt.lower); got != tt.want {
			t.Errorf("Resembles(%q, %q) = %v, want %v", tt.in, tt.lower, got, tt.want)
		}
	}
	for c := range 256 {
		b := []byte{'X', byte(c), 'a'}
		if got, want := Resembles(b, "x-a"), FoldsTo(b, "x-a"); got != want {
			t.Errorf("Resembles(%q) = %v, FoldsTo %v", b, got, want)
		}
	}
}

func TestFoldsTo(t *testing.T) {
	tests := []struct {
		in   string
		want bool
	}{
		{"x-request-id", true}, {"X_Request_ID", true}, {"x_request-id", true}, {"X.Request!Id", true}, {"X-REQUEST~ID", true},
		{"x-request-i", false}, {"x-request-idd", false}, {"xarequest-id", false}, {"x-request-1d", false}, {"", false},
	}
	for _, tt := range tests {
		if got := FoldsTo([]byte(tt.in), "x-request-id"); got != tt.want {
			t.Errorf("FoldsTo(%q) = %v", tt.in, got)
		}
	}
	for c := range 256 { // a letter stands for itself, and nothing else stands for a letter
		b := []byte{byte(c)}
		folded := notAlnum.ReplaceAll(asciiLower(b), []byte("-"))
		for _, want := range []string{"a", "z", "0", "9", "-"} {
			if got := FoldsTo(b, want); got != (string(folded) == want) {
				t.Errorf("FoldsTo(%q, %q) = %v", b, want, got)
			}
		}
	}
}

func asciiLower(b []byte) []byte {
	lower := bytes.Clone(b)
	for i, c := range lower {
		if c >= 'A' && c <= 'Z' {
			lower[i] = c + ('a' - 'A')
		}
	}
	return lower
}
