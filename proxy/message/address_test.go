package message

import (
	"net/netip"
	"strings"
	"testing"
)

var addrSeeds = []string{
	"1.2.3.4", "0.0.0.0", "255.255.255.255", "256.1.1.1", "01.2.3.4", "1.2.3", "1.2.3.4.5", "1..2.3", ".1.2.3", "1.2.3.", "00.0.0.0", "1.2.3.4 ",
	"::", "::1", "1::", "2001:db8::1", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1::2::3",
	":1", "1:", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "g::", "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4",
	"::1.2.3.4:5", "::1.2.3", "64:ff9b::192.0.2.33", "ABCD:EF01::abcd", "1.2.3.4::", "::01.2.3.4", "", "x", "fe80::1%eth0", "1.2.3.4%eth0", "%", "::%",
}

func TestParseAddr(t *testing.T) {
	for _, in := range addrSeeds {
		checkAddr(t, in)
	}
}

// checkAddr wants what net/netip says.
func checkAddr(t *testing.T, in string) {
	t.Helper()
	want, err := netip.ParseAddr(in)
	wantOK := err == nil && !strings.Contains(in, "%")
	got, ok := ParseAddr([]byte(in))
	if ok != wantOK || (ok && got != want) {
		t.Errorf("ParseAddr(%q) = %v, %v, want %v, %v", in, got, ok, want, wantOK)
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, in := range addrSeeds {
		f.Add(in)
	}
	f.Fuzz(checkAddr)
}

func TestParseClient(t *testing.T) {
	tests := []struct{ in, want string }{
		{"1.2.3.4", "1.2.3.4"}, {" 1.2.3.4\t", "1.2.3.4"}, {"1.2.3.4:80", "1.2.3.4"}, {"::ffff:1.2.3.4", "1.2.3.4"},
		{"2001:db8::1", "2001:db8::1"}, {"[2001:db8::1]:80", "2001:db8::1"}, {"[2001:db8::1]", "2001:db8::1"}, {"[::ffff:1.2.3.4]:1", "1.2.3.4"},
		{"fe80::1%eth0", "fe80::1"}, {"[fe80::1%eth0]:1", "fe80::1"}, {"1.2.3.4:65535", "1.2.3.4"}, {"1.2.3.4:00080", "1.2.3.4"},
		{"", ""}, {"unknown", ""}, {"1.2.3", ""}, {"1.2.3.4.5", ""}, {"01.2.3.4", ""}, {"1.2.3.4 5", ""}, {"_hidden", ""}, {"1.2.3.4:", ""},
		{"1.2.3.4:65536", ""}, {"1.2.3.4:000080", ""}, {"1.2.3.4:8a", ""}, {"[::1]80", ""}, {"[::1]:", ""}, {"[::1", ""}, {"[1.2.3.4]:80", ""},
		{"[]", ""}, {"[", ""}, {"::1]:80", ""}, {"1.2.3.4%eth0", ""}, {"fe80::1%", ""}, {`"1.2.3.4"`, ""}, {":80", ""}, {"1.2.3:80", ""}, {"::1:70000", ""},
	}
	for _, tt := range tests {
		got, ok := ParseClient([]byte(tt.in))
		if ok != (tt.want != "") || ok != got.IsValid() || ok && got.String() != tt.want {
			t.Errorf("ParseClient(%q) = %v, %v, want %q", tt.in, got, ok, tt.want)
		}
	}
}
