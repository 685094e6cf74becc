package session

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFind(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		want  string
		found bool
	}{
		{"no line", nil, "", false},
		{"empty line", []string{""}, "", false},
		{"alone", []string{"WEIR=v"}, "v", true},
		{"first", []string{"WEIR=v; a=1"}, "v", true},
		{"last", []string{"a=1; WEIR=v"}, "v", true},
		{"no space", []string{"a=1;WEIR=v;b=2"}, "v", true},
		{"odd space", []string{" \ta = 1 ;\t WEIR \t=\t v \t; b"}, "v", true},
		{"quoted", []string{`a="1"; WEIR="v"`}, "v", true},
		{"quotes alone", []string{`WEIR=""`}, "", true},
		{"one quote", []string{`WEIR="`}, `"`, true},
		{"quote at one end", []string{`WEIR="v`}, `"v`, true},
		{"a semicolon within quotes ends it", []string{`a="; WEIR=v; b="`}, "v", true},
		{"twice: the first", []string{"WEIR=v; WEIR=w"}, "v", true},
		{"twice in two lines: the first", []string{"a=1", "WEIR=v", "WEIR=w"}, "v", true},
		{"equals in the value", []string{"WEIR=v==; a"}, "v==", true},
		{"no value", []string{"WEIR=; a=1"}, "", true},
		{"no equals", []string{"WEIR; WEIR=v"}, "", true},
		{"another case", []string{"Weir=v; weir=v"}, "", false},
		{"a part of a name", []string{"WEIRD=v; AWEIR=v; A WEIR=v"}, "", false},
		{"within a value", []string{"a=WEIR=v; b= WEIR=v"}, "", false},
		{"comma does not separate", []string{"a=1, WEIR=v"}, "", false},
		{"empty cookies", []string{";; ;=x;\t;WEIR=v;;"}, "v", true},
		{"bytes above ASCII", []string{"\xff=\xfe; WEIR=\xfd"}, "\xfd", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			value, ok := Find("WEIR", lines(tt.lines)...)
			if string(value) != tt.want || ok != tt.found {
				t.Errorf("got %q, %v, want %q, %v", value, ok, tt.want, tt.found)
			}
		})
	}
}

// Of several cookies the first that is good counts, however many of others stand before it.
func TestCodecFind(t *testing.T) {
	keys := [][]byte{[]byte("the first of the keys, 32 bytes."), []byte("the second of them, of 32 bytes.")}
	codec, err := NewCodec(keys, "app")
	if err != nil {
		t.Fatal(err)
	}
	before, err := NewCodec(keys[1:], "app")
	if err != nil {
		t.Fatal(err)
	}
	const timeout = time.Hour
	one, two := string(codec.Encode(nil, "b1", issue)), string(codec.Encode(nil, "b2", issue))
	old, expired := string(before.Encode(nil, "b1", issue)), string(codec.Encode(nil, "b1", issue-3600))
	forged := one[:len(one)-1] + "A"
	if forged == one {
		forged = one[:len(one)-1] + "B"
	}
	tag := func(value string) Tag {
		tag, _, _ := codec.Decode([]byte(value), issue, timeout)
		return tag
	}
	tests := []struct {
		name  string
		lines []string
		want  string // the cookie that counts; empty: none
		v     Verdict
		found bool
	}{
		{"none", []string{"a=1"}, "", Malformed, false},
		{"alone", []string{"WEIR=" + one}, one, Valid, true},
		{"garbage before it", []string{"WEIR=bad; WEIR=" + one}, one, Valid, true},
		{"no value before it", []string{"WEIR; WEIR=; WEIR=" + one}, one, Valid, true},
		{"a forged one before it", []string{"WEIR=" + forged + "; WEIR=" + one}, one, Valid, true},
		{"an expired one before it", []string{"WEIR=" + expired + "; WEIR=" + one}, one, Valid, true},
		{"in another line", []string{"WEIR=" + forged, "a=1; WEIR=" + two}, two, Valid, true},
		{"two good ones: the first", []string{"WEIR=" + two + "; WEIR=" + one}, two, Valid, true},
		{"an old key", []string{"WEIR=" + forged + "; WEIR=" + old}, old, Stale, true},
		{"another name", []string{"weir=" + one}, "", Malformed, false},
		{"none is good", []string{"WEIR=bad; WEIR=" + expired + "; WEIR=" + forged}, "", Expired, true},
		{"many of another length", []string{strings.Repeat("WEIR=x; ", 1000) + "WEIR=" + one}, one, Valid, true},
		{"15 of ours before it", []string{strings.Repeat("WEIR="+forged+"; ", 15) + "WEIR=" + one}, one, Valid, true},
		{"16 of ours before it", []string{strings.Repeat("WEIR="+forged+"; ", 16) + "WEIR=" + one}, "", Forged, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, v, found := codec.Find("WEIR", issue, timeout, lines(tt.lines)...)
			if tt.want == "" && got != 0 || tt.want != "" && (got == 0 || got != tag(tt.want)) || v != tt.v || found != tt.found {
				t.Errorf("got %x %v %v, want that of %q, %v %v", got, v, found, tt.want, tt.v, tt.found)
			}
		})
	}
}

func TestSets(t *testing.T) {
	tests := []struct {
		in   string
		want bool
	}{
		{"WEIR=evil; Path=/", true}, {"WEIR=", true}, {" WEIR\t= x", true}, {"WEIR=x; Max-Age=0", true},
		{"WEIR", true}, {"WEIR; Path=/", true}, // has no name, comes back as "WEIR"
		{"=WEIR=evil; Path=/", true}, {" = WEIR = evil", true}, {"=WEIR", true}, // comes back as "WEIR=evil"
		{"weir=x", false}, {"WEIRD=x", false}, {"a=WEIR=x", false}, {"a=1; WEIR=x", false}, {"", false}, {"=", false}, {"==WEIR=x", false},
	}
	for _, tt := range tests {
		if got := Sets([]byte(tt.in), "WEIR"); got != tt.want {
			t.Errorf("Sets(%q) = %v, want %v", tt.in, got, tt.want)
		}
	}
}

func TestStrip(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", ""},
		{"alone", "WEIR=v", ""},
		{"first", "WEIR=v; a=1; b=2", "a=1; b=2"},
		{"middle", "a=1; WEIR=v; b=2", "a=1; b=2"},
		{"last", "a=1; b=2; WEIR=v", "a=1; b=2"},
		{"every one of the name", "WEIR=v; a=1; WEIR=w;WEIR; b=2;WEIR=", "a=1; b=2"},
		{"not there", "\ta=1;; b = \"2\" ; ", "\ta=1;; b = \"2\" ; "},
		{"only separators, not there", " ; ;", " ; ;"},
		{"no space", "a=1;WEIR=v;b=2", "a=1;b=2"},
		{"odd space stays", "a=1 ;  WEIR = \"v\" ;\t b=2; ", "a=1 ;\t b=2; "},
		{"space at the start goes with the first", "WEIR=v; \ta=1 ; b", "a=1 ; b"},
		{"empty cookies stay", "a=1;; WEIR=v;; b=2;", "a=1;;; b=2;"},
		{"separators alone are dropped", " ; WEIR=v;\t;", ""},
		{"trailing semicolon", "WEIR=v;", ""},
		{"trailing semicolon behind another", "a=1; WEIR=v;", "a=1;"},
		{"similar names", "WEIRD=1; weir=2; A=WEIR=v; WEI=3", "WEIRD=1; weir=2; A=WEIR=v; WEI=3"},
		{"within quotes", `a="; WEIR=v; b="`, `a="; b="`},
		{"nameless cookies stay", "=WEIR; WEIR=v; =x", "=WEIR; =x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(Strip([]byte("Cookie: "), []byte(tt.in), "WEIR")); got != "Cookie: "+tt.want {
				t.Errorf("got %q, want %q", got, "Cookie: "+tt.want)
			}
		})
	}
}

func TestParseSetCookie(t *testing.T) {
	const past, future = "Thu, 01 Jan 1970 00:00:00 GMT", "Wed, 01 Jan 2070 00:00:00 GMT"
	tests := []struct {
		in, name, value string
		deleted, ok     bool
	}{
		{"a=1", "a", "1", false, true},
		{"a=1; Path=/; HttpOnly", "a", "1", false, true},
		{" a\t= \"1\" ;Path=/", "a", "1", false, true},
		{"a=", "a", "", false, true},
		{"a=b=c", "a", "b=c", false, true},
		{"a=1; Max-Age=0", "a", "1", true, true},
		{"a=1; max-AGE = -5 ", "a", "1", true, true},
		{"a=1; Max-Age=000", "a", "1", true, true},
		{"a=1; Max-Age=99999999999999999999999", "a", "1", false, true},
		{"a=1; Max-Age=-99999999999999999999999", "a", "1", true, true},
		{"a=1; Max-Age=; Max-Age=-; Max-Age=+0; Max-Age=0x; Max-Age", "a", "1", false, true},
		{"a=1; Max-Age=0; Max-Age=5", "a", "1", false, true},
		{"a=1; Max-Age=5; Max-Age=0", "a", "1", true, true},
		{"a=1; Max-Age=0; Max-Age=x", "a", "1", true, true},
		{"a=1; Expires=" + past, "a", "1", true, true},
		{"a=1; expires=Thu, 01-Jan-1970 00:00:01 GMT", "a", "1", true, true},
		{"a=1; expires=Thu, 01-Jan-70 00:00:01 GMT", "a", "1", true, true},
		{"a=1; Expires=" + future, "a", "1", false, true},
		{"a=1; Expires=Fri, 15 Jan 2027 08:00:00 GMT", "a", "1", true, true},
		{"a=1; Expires=Fri, 15 Jan 2027 08:00:01 GMT", "a", "1", false, true},
		{"a=1; Expires=" + past + "; Expires=" + future, "a", "1", false, true},
		{"a=1; Expires=" + past + "; Max-Age=5", "a", "1", false, true},
		{"a=1; Max-Age=0; Expires=" + future, "a", "1", true, true},
		{"a=1; Max-Age=x; Expires=" + past, "a", "1", true, true},
		{"a=1; Expires=0; Expires=" + strings.Repeat("9", 100), "a", "1", false, true},
		{"a", "", "", false, false},
		{"", "", "", false, false},
		{"=1", "", "", false, false},
		{" =1; a=2", "", "", false, false},
		{"a; b=2", "", "", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			c, ok := ParseSetCookie([]byte(tt.in), issue)
			if ok != tt.ok || string(c.Name) != tt.name || string(c.Value) != tt.value || c.Deleted != tt.deleted {
				t.Errorf("got %q %q deleted %v, %v", c.Name, c.Value, c.Deleted, ok)
			}
		})
	}
}

func TestCookieAllocs(t *testing.T) {
	a, b := []byte("a=1; b=\"2\"; c = 3"), []byte("d=4; WEIR=v; e=5")
	buf := make([]byte, 0, 100)
	allocs(t, "Find", func() {
		if _, ok := Find("WEIR", a, b); !ok {
			t.Fatal("not found")
		}
	})
	allocs(t, "Strip", func() { buf = Strip(buf[:0], b, "WEIR") })
	set := []byte("a=1; Path=/; Max-Age=0; HttpOnly")
	allocs(t, "ParseSetCookie", func() { ParseSetCookie(set, issue) })
	allocs(t, "Sets", func() { Sets(set, "WEIR") })
	codec, err := NewCodec([][]byte{[]byte("a key that all machines share...")}, "web")
	if err != nil {
		t.Fatal(err)
	}
	both := append([]byte("WEIR=bad; WEIR="), codec.Encode(nil, "b1", issue)...)
	allocs(t, "Codec.Find", func() {
		if _, v, _ := codec.Find("WEIR", issue, 0, a, both); v != Valid {
			t.Fatal(v)
		}
	})
}

// FuzzCookie: Find agrees with net/http wherever that accepts the whole field; after Strip the name
// is gone and every other cookie is there, in order.
func FuzzCookie(f *testing.F) {
	for _, seed := range []string{
		"", "WEIR=v", "a=1; WEIR=v; b=2", `a="1"; WEIR="v"`, ";; WEIR;WEIR = ;=;\t", "WEIR=v;", " ; WEIR=x; ", "a=;WEIR=a=b,c",
	} {
		f.Add([]byte(seed), "WEIR")
	}
	f.Add([]byte("a=1; b=2; a=3"), "a")
	f.Fuzz(func(t *testing.T, line []byte, name string) {
		if !token(name) {
			return
		}
		compareCookies(t, line)
		value, found := Find(name, line)
		stripped := Strip(nil, line, name)
		if _, still := Find(name, stripped); still {
			t.Fatalf("%q is in %q, stripped of %q", name, stripped, line)
		}
		if !found && !bytes.Equal(stripped, line) {
			t.Fatalf("%q became %q", line, stripped)
		}
		var want, same []string
		for n, v := range Pairs(line) {
			if string(n) == name {
				same = append(same, string(v))
			} else {
				want = append(want, string(n), string(v))
			}
		}
		if found != (len(same) > 0) || (found && string(value) != same[0]) {
			t.Fatalf("found %q, %v among %q", value, found, same)
		}
		if got := flat(stripped); !slices.Equal(got, want) {
			t.Fatalf("%q leaves %q, want %q", line, got, want)
		}
	})
}

// compareCookies holds Pairs against net/http. Both split alike; net/http keeps space around values,
// and takes line ends for space, which no field value holds.
func compareCookies(t *testing.T, line []byte) {
	t.Helper()
	theirs, err := http.ParseCookie(string(line))
	if err != nil || bytes.ContainsAny(line, "\r\n") {
		return
	}
	var want []string
	for _, c := range theirs {
		want = append(want, c.Name, strings.Trim(c.Value, blank))
	}
	// net/http cuts quotes before it trims, so `" x "` differs in white space alone.
	got := flat(line)
	for i := range got {
		got[i] = strings.Trim(got[i], blank)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%q: got %q, net/http %q", line, got, want)
	}
}

// FuzzParseSetCookie: name and value agree with net/http wherever that accepts the field, and never
// hold what would end them.
func FuzzParseSetCookie(f *testing.F) {
	for _, seed := range []string{
		"a=1; Path=/; HttpOnly", `a="1"; Max-Age=0`, "a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "=;Max-Age=-", "a", ";=",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		c, ok := ParseSetCookie(line, issue)
		if ok && (len(c.Name) == 0 || bytes.ContainsAny(c.Name, "=;") || bytes.IndexByte(c.Value, ';') >= 0) {
			t.Fatalf("%q gives %q %q", line, c.Name, c.Value)
		}
		theirs, err := http.ParseSetCookie(string(line))
		if err != nil || bytes.ContainsAny(line, "\r\n") {
			return
		}
		value := strings.Trim(string(c.Value), blank)
		if !ok || string(c.Name) != theirs.Name || value != strings.Trim(theirs.Value, blank) {
			t.Fatalf("%q: got %q %q %v, net/http %q %q", line, c.Name, c.Value, ok, theirs.Name, theirs.Value)
		}
	})
}

// lines are field values as bytes.
func lines(values []string) [][]byte {
	var b [][]byte
	for _, v := range values {
		b = append(b, []byte(v))
	}
	return b
}

// flat is the names and values of a field, one behind the other.
func flat(line []byte) []string {
	var all []string
	for n, v := range Pairs(line) {
		all = append(all, string(n), string(v))
	}
	return all
}
