package session

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"strings"
	"testing"
	"time"
)

const (
	keyA = "the first key of the tests......"
	keyB = "the second key of the tests....."
	day  = 24 * time.Hour
	// issue is when the cookies of the tests are made.
	issue = int64(1_800_000_000)
)

// golden is the cookie of backend b1 of pool web under keyA at issue: what other machines and other
// versions must read.
const golden = "AZlwej3oYmRk8oIYAzCuapMAAGtJ0gD1IRliadRNZTUDGKiAYR9N"

func TestEncodeIsFixed(t *testing.T) {
	got := string(mustCodec(t, "web", keyA).Encode(nil, "b1", issue))
	if got != golden {
		t.Errorf("got %q, want %q", got, golden)
	}
	if len(got) != EncodedSize {
		t.Errorf("got %d bytes, want %d", len(got), EncodedSize)
	}
}

func TestRoundTrip(t *testing.T) {
	backends := backendsOf(300)
	c := mustCodec(t, "web", keyA, keyB)
	x := c.Index(backends)
	for i, b := range backends {
		at := issue + int64(i)
		value := c.Encode([]byte("WEIR="), b.Name(), at)
		tag, issued, v := c.Decode(value[len("WEIR="):], at, day)
		if v != Valid || issued != at || x.Backend(tag) != b {
			t.Fatalf("%s: got %v issued %d by %v", b.Name(), v, issued, x.Backend(tag))
		}
	}
	if b := x.Backend(0); b != nil {
		t.Errorf("an unknown tag finds %s", b.Name())
	}
	gone := mustCodec(t, "web", keyA).Encode(nil, "gone", issue)
	if tag, _, v := c.Decode(gone, issue, day); v != Valid || x.Backend(tag) != nil {
		t.Errorf("the cookie of a backend that is gone: got %v", v)
	}
}

func TestDecodeAge(t *testing.T) {
	c := mustCodec(t, "web", keyA)
	tests := []struct {
		name    string
		now     int64
		timeout time.Duration
		want    Verdict
	}{
		{"at once", issue, day, Valid},
		{"just before half", issue + 43199, day, Valid},
		{"at half", issue + 43200, day, Stale},
		{"the last second", issue + 86399, day, Stale},
		{"the end", issue + 86400, day, Expired},
		{"long after", math.MaxInt64, day, Expired},
		{"a clock ahead by five minutes", issue - 300, day, Valid},
		{"a clock ahead by more", issue - 301, day, Future},
		{"far before", math.MinInt64, day, Future},
		{"odd timeout before half", issue + 1, 3 * time.Second, Valid},
		{"odd timeout after half", issue + 2, 3 * time.Second, Stale},
		{"part of a second is rounded up", issue, 500 * time.Millisecond, Valid},
		{"part of a second ends", issue + 1, 500 * time.Millisecond, Expired},
		{"longest timeout", issue + 1<<33, math.MaxInt64, Stale},
		{"no timeout", math.MaxInt64, 0, Valid},
		{"no timeout, future", issue - 301, 0, Future},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tag, issued, v := c.Decode([]byte(golden), tt.now, tt.timeout)
			if v != tt.want {
				t.Fatalf("got %v, want %v", v, tt.want)
			}
			if v.OK() != (v == Valid || v == Stale) || v.OK() != (tag != 0) || v.OK() != (issued == issue) {
				t.Errorf("%v: OK is %v, tag %x, issued %d", v, v.OK(), tag, issued)
			}
		})
	}
}

func TestIssuedBounds(t *testing.T) {
	c := mustCodec(t, "web", keyA)
	for _, tt := range []struct{ issued, want int64 }{
		{-1, 0}, {math.MinInt64, 0}, {0, 0}, {1<<48 - 1, 1<<48 - 1}, {1 << 48, 1<<48 - 1}, {math.MaxInt64, 1<<48 - 1},
	} {
		if _, got, v := c.Decode(c.Encode(nil, "b1", tt.issued), tt.want, day); got != tt.want || v != Valid {
			t.Errorf("issued %d: got %d, %v, want %d", tt.issued, got, v, tt.want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	c := mustCodec(t, "web", keyA)
	otherVersion, _ := base64.RawURLEncoding.DecodeString(golden)
	otherVersion[0]++
	tests := []struct {
		name, value string
		want        Verdict
	}{
		{"empty", "", Malformed},
		{"truncated", golden[:EncodedSize-1], Malformed},
		{"a quantum less", golden[:EncodedSize-4], Malformed},
		{"longer", golden + "A", Malformed},
		{"twice", golden + golden, Malformed},
		{"quoted", `"` + golden + `"`, Malformed},
		{"padded", golden[:EncodedSize-1] + "=", Malformed},
		{"standard alphabet", strings.Repeat("+", EncodedSize), Malformed},
		{"line ends within", "\r\n\r\n" + golden[4:], Malformed},
		{"line ends behind", golden[:EncodedSize-4] + "\n\n\n\n", Malformed},
		{"another version", base64.RawURLEncoding.EncodeToString(otherVersion), Malformed},
		{"another pool", string(mustCodec(t, "api", keyA).Encode(nil, "b1", issue)), Foreign},
		{"another key", string(mustCodec(t, "web", keyB).Encode(nil, "b1", issue)), Foreign},
		{"nothing known", "AQ" + strings.Repeat("A", EncodedSize-2), Foreign},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tag, issued, v := c.Decode([]byte(tt.value), issue, day); v != tt.want || tag != 0 || issued != 0 {
				t.Errorf("got tag %x issued %d %v, want %v", tag, issued, v, tt.want)
			}
		})
	}
}

// TestEveryBitCounts flips each bit of a cookie: none may be without effect.
func TestEveryBitCounts(t *testing.T) {
	c := mustCodec(t, "web", keyA)
	raw, err := base64.RawURLEncoding.DecodeString(golden)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(raw) * 8 {
		forged := bytes.Clone(raw)
		forged[bit/8] ^= 1 << (bit % 8)
		want := Forged
		switch {
		case bit < 8:
			want = Malformed
		case bit < 8*(1+tagSize):
			want = Foreign
		}
		value := []byte(base64.RawURLEncoding.EncodeToString(forged))
		if _, _, v := c.Decode(value, issue, day); v != want {
			t.Errorf("bit %d: got %v, want %v", bit, v, want)
		}
	}
}

func TestRotation(t *testing.T) {
	old, both, last := mustCodec(t, "web", keyA), mustCodec(t, "web", keyB, keyA), mustCodec(t, "web", keyB)
	backends := backendsOf(2)
	x := both.Index(backends)
	before := old.Encode(nil, "b1", issue)
	tag, _, v := both.Decode(before, issue, day)
	if v != Stale || x.Backend(tag) != backends[1] {
		t.Errorf("under the old key: got %v for %v, want stale for b1", v, x.Backend(tag))
	}
	after := both.Encode(nil, "b1", issue)
	if tag, _, v = both.Decode(after, issue, day); v != Valid || x.Backend(tag) != backends[1] {
		t.Errorf("under the new key: got %v for %v, want valid for b1", v, x.Backend(tag))
	}
	if _, _, v = both.Decode(before, issue+86400, day); v != Expired {
		t.Errorf("an old cookie under the old key: got %v, want expired", v)
	}
	if _, _, v = last.Decode(after, issue, day); v != Valid {
		t.Errorf("after the old key is gone: got %v, want valid", v)
	}
	if _, _, v = last.Decode(before, issue, day); v != Foreign {
		t.Errorf("under a key that is gone: got %v, want foreign", v)
	}
	twice := mustCodec(t, "web", keyA, keyA)
	if tag, _, v = twice.Decode(before, issue, day); v != Valid || twice.Index(backends).Backend(tag) != backends[1] {
		t.Errorf("with a key given twice: got %v, want valid", v)
	}
}

// TestCookieIsOpaque: nothing of the backend, its pool or the key shows, and tags differ from pool
// to pool.
func TestCookieIsOpaque(t *testing.T) {
	raw := func(pool, backend string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(string(mustCodec(t, pool, keyA).Encode(nil, backend, issue)))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, secret := range []string{"backend-7", "10.0.0.7", "pool-seven", keyA[:8]} {
		if bytes.Contains(raw("pool-seven", "backend-7"), []byte(secret)) || bytes.Contains(raw("pool-seven", "10.0.0.7"), []byte(secret)) {
			t.Errorf("%q is in the cookie", secret)
		}
	}
	tagOf := func(pool, backend string) uint64 { return binary.BigEndian.Uint64(raw(pool, backend)[1+tagSize:]) }
	if tagOf("web", "b1") == tagOf("api", "b1") || tagOf("web", "b1") == tagOf("web", "b2") || tagOf("we", "bb1") == tagOf("web", "b1") {
		t.Error("tags of different backends are equal")
	}
}

func TestSharedTagFindsNobody(t *testing.T) {
	b := backendsOf(2)
	x := mustCodec(t, "web", keyA).Index(b)
	x.add(7, b[0])
	x.add(7, b[0])
	if x.Backend(7) != b[0] {
		t.Error("a backend that was added twice is not found")
	}
	x.add(7, b[1])
	x.add(7, b[1])
	if x.Backend(7) != nil {
		t.Error("a tag of two backends finds one of them")
	}
}

func TestNewCodecRefuses(t *testing.T) {
	for _, keys := range [][][]byte{nil, {}, {[]byte("fifteen bytes..")}, {[]byte(keyA), nil}} {
		if c, err := NewCodec(keys, "web"); err == nil || c != nil {
			t.Errorf("%q is accepted", keys)
		}
	}
	_, err := NewCodec([][]byte{[]byte(keyA), []byte("secret")}, "web")
	if want := "key 2 of session cookies has 6 bytes, want 16 or more"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if a, b := NewKey(), NewKey(); len(a) < MinKey || bytes.Equal(a, b) {
		t.Errorf("keys %x and %x", a, b)
	}
}

// TestCodecConcurrently also runs under the race detector: states are shared through a pool.
func TestCodecConcurrently(t *testing.T) {
	c := mustCodec(t, "web", keyA, keyB)
	backends := backendsOf(4)
	x := c.Index(backends)
	done := make(chan bool)
	for _, b := range backends {
		go func() {
			ok := true
			for i := range 500 {
				tag, _, v := c.Decode(c.Encode(nil, b.Name(), issue+int64(i)), issue, day)
				ok = ok && v.OK() == (i <= maxSkew) && (!v.OK() || x.Backend(tag) == b)
			}
			done <- ok
		}()
	}
	for range backends {
		if !<-done {
			t.Error("a cookie was read wrong")
		}
	}
}

func TestCodecAllocs(t *testing.T) {
	c := mustCodec(t, "web", keyB, keyA)
	x := c.Index(backendsOf(4))
	value, buf := c.Encode(nil, "b1", issue), make([]byte, 0, EncodedSize)
	allocs(t, "Decode", func() {
		if tag, _, v := c.Decode(value, issue, day); !v.OK() || x.Backend(tag) == nil {
			t.Fatal(v)
		}
	})
	allocs(t, "Decode, second key", func() { c.Decode([]byte(golden), issue, day) })
	allocs(t, "Encode", func() { buf = c.Encode(buf[:0], "b1", issue) })
}

// FuzzDecode: what is accepted was made by Encode, byte for byte.
func FuzzDecode(f *testing.F) {
	c := mustCodec(f, "web", keyA)
	x := c.Index(backendsOf(3))
	for _, name := range []string{"b0", "b1", "b2"} {
		f.Add(c.Encode(nil, name, issue))
	}
	f.Add([]byte(""))
	f.Add([]byte(golden[:30]))
	f.Add([]byte("\n" + golden[:51]))
	f.Fuzz(func(t *testing.T, value []byte) {
		tag, issued, v := c.Decode(value, issue, 0)
		if !v.OK() {
			if tag != 0 || issued != 0 {
				t.Fatalf("%v with tag %x issued %d", v, tag, issued)
			}
			return
		}
		b := x.Backend(tag)
		if b == nil {
			t.Fatalf("%q passes and names nobody", value)
		}
		if want := c.Encode(nil, b.Name(), issued); !bytes.Equal(value, want) {
			t.Fatalf("%q passes for %q", value, want)
		}
	})
}
