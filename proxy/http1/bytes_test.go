package http1

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
)

// TestValidValue puts every byte at every position of values around the word size.
func TestValidValue(t *testing.T) {
	for size := 1; size <= 17; size++ {
		for at := range size {
			for c := range 256 {
				for _, filler := range []byte{'a', ' ', '\t', 0x80, 0xff, 0x21, '~'} {
					b := bytes.Repeat([]byte{filler}, size)
					b[at] = byte(c)
					want := c == '\t' || (c >= 0x20 && c != 0x7f)
					if got := validValue(b); got != want {
						t.Fatalf("validValue(%q) = %v, want %v", b, got, want)
					}
					end := size
					if !want {
						end = at
					}
					for from := range at + 1 {
						if got := valueEnd(b, from); got != end {
							t.Fatalf("valueEnd(%q, %d) = %d, want %d", b, from, got, end)
						}
					}
				}
			}
		}
	}
	if !validValue(nil) {
		t.Error("the empty value is not valid")
	}
}

func TestClasses(t *testing.T) {
	for c := range 256 {
		b := byte(c)
		letter := b|0x20 >= 'a' && b|0x20 <= 'z' && b < 0x80
		token := letter || digit(b) || strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
		target := b > 0x20 && b < 0x7f && b != '#'
		host := letter || digit(b) || strings.IndexByte("-._~!$&'()*+,;=:[]", b) >= 0
		for _, k := range []struct {
			bit  uint8
			want bool
		}{{isToken, token}, {isTarget, target}, {isHost, host}} {
			if got := class[b]&k.bit != 0; got != k.want {
				t.Errorf("class of %q, bit %d: %v, want %v", b, k.bit, got, k.want)
			}
		}
	}
}

var ipv6Seeds = []string{
	"::", "::1", "1::", "1::8", "2001:db8::1", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:7", ":", ":::", "1:::2",
	"1::2::3", "1:2:3:4:5:6:7:8:9", "1:2:3:4::5:6:7:8", "12345::", "g::", "::1.2.3.4", "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4",
	"::1.2.3", "::1.2.3.256", "::01.2.3.4", "::1.2.3.4.5", "::1.2.3.4:5", "1.2.3.4", ":1", "1:", "::1:", "::a.b.c.d", "::1a.2.3.4", "::12345.1.1.1", "::1..2.3", "",
	"ABCD:ef01::",
}

func TestValidIPv6(t *testing.T) {
	for _, s := range ipv6Seeds {
		checkIPv6(t, s)
	}
}

func FuzzValidIPv6(f *testing.F) {
	for _, s := range ipv6Seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkIPv6(t, s) })
}

// checkIPv6 takes netip for the truth.
func checkIPv6(t *testing.T, s string) {
	t.Helper()
	a, err := netip.ParseAddr(s)
	want := err == nil && a.Is6() && a.Zone() == ""
	if got := validIPv6([]byte(s)); got != want {
		t.Errorf("validIPv6(%q) = %v, want %v", s, got, want)
	}
}
