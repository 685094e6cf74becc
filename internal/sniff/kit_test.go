package sniff

import (
	"encoding/binary"
	"errors"
	"testing"
)

// checkStream calls parse with beginnings of b, as if b came in pieces, and compares what it says
// with the outcome for all of b: it may only have been undecided before. All beginnings of a short b
// are tried, some of a long one.
func checkStream(t *testing.T, b []byte, bound int, parse func([]byte) (size int, state State, err error)) {
	t.Helper()
	size, state, err := parse(b)
	if (err != nil) != (state == Foreign || state == Malformed) {
		t.Fatalf("state %v with error %v", state, err)
	}
	if err != nil && !errors.As(err, new(*Error)) {
		t.Fatalf("error of type %T", err)
	}
	if state == Done && (size <= 0 || size > len(b) || size > bound) || state != Done && size != 0 {
		t.Fatalf("state %v with size %d of %d", state, size, len(b))
	}
	if state == More && len(b) >= bound {
		t.Fatalf("undecided after %d bytes; the bound is %d", len(b), bound)
	}
	step := 1 + len(b)/512
	for n := 0; n < len(b); n += step {
		// A copy of its own capacity, so that reading beyond its end is noticed.
		s, st, e := parse(append(make([]byte, 0, n), b[:n]...))
		switch {
		case st == More && s == 0 && e == nil && (state != Done || n < size):
		case st != state || s != size || e != err:
			t.Fatalf("%v, %d, %v after %d bytes of %d; %v, %d, %v after all", st, s, e, n, len(b), state, size, err)
		}
	}
}

// vector8 and vector16 put the length of what they join in front of it.
func vector8(parts ...[]byte) []byte {
	b := concat(parts...)
	return append([]byte{byte(len(b))}, b...)
}

func vector16(parts ...[]byte) []byte {
	b := concat(parts...)
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

func concat(parts ...[]byte) []byte {
	b := []byte{}
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// bytes16 are numbers in network byte order.
func bytes16(numbers ...uint16) []byte {
	b := []byte{}
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	return b
}

// checkAllocs fails unless f allocates want times.
func checkAllocs(t *testing.T, want float64, f func()) {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	if got := testing.AllocsPerRun(100, f); got != want {
		t.Errorf("%v allocations, want %v", got, want)
	}
}
