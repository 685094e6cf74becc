package store

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"weir/config"
)

// logOf is a log of n changes.
func logOf(t testing.TB, n int) []byte {
	t.Helper()
	data := []byte(logHeader)
	for i := range n {
		f, err := frame(record{Sequence: uint64(i + 1), Number: uint64(i + 2), Overrides: []listed{{BackendRef{"app", "b1"}, config.Override{Weight: new(i)}}}})
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, f...)
	}
	return data
}

// TestTornLog cuts a log at every place: the changes before the cut are there, the one that was cut is not.
func TestTornLog(t *testing.T) {
	whole := logOf(t, 5)
	ends := map[int]int{0: 0, len(logHeader): 0}
	for n := 1; n <= 5; n++ {
		ends[len(logOf(t, n))] = n
	}
	records := 0
	for size := range len(whole) + 1 {
		n, atEnd := ends[size]
		if atEnd {
			records = n
		}
		l, err := readLog(whole[:size])
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if len(l.records) != records || l.torn == 0 != atEnd || l.size+l.torn != int64(size) {
			t.Errorf("%d bytes: got %d records, %d whole and %d torn bytes; want %d records", size, len(l.records), l.size, l.torn, records)
		}
		zeros := append(bytes.Clone(whole[:size]), make([]byte, 100)...)
		if l, err = readLog(zeros); size >= len(logHeader) && (err != nil || len(l.records) != records) {
			t.Errorf("%d bytes and zeros: got %d records, %v; want %d", size, len(l.records), err, records)
		}
	}
}

// TestDamagedLog changes each byte: damage in front of whole changes is an error that says what to do, and
// damage of the last change leaves the others.
func TestDamagedLog(t *testing.T) {
	whole, last := logOf(t, 4), len(logOf(t, 3))
	for i := range whole {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 0x40
		l, err := readLog(damaged)
		if i < last {
			if err == nil {
				t.Errorf("byte %d: the damage is not noticed", i)
			} else if text := err.Error(); !strings.Contains(text, "move it away") && !strings.Contains(text, "move the file away") {
				t.Errorf("byte %d: %q does not say what to do", i, text)
			}
			continue
		}
		if err != nil || len(l.records) != 3 {
			t.Errorf("byte %d: got %d records and %v, want 3", i, len(l.records), err)
		}
	}
}

func FuzzReadLog(f *testing.F) {
	whole := logOf(f, 3)
	f.Add(whole)
	f.Add(whole[:len(whole)-7])
	f.Add(append(bytes.Clone(whole), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
	f.Add([]byte(logHeader))
	f.Add([]byte("weir state.log 2\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := readLog(data)
		if err != nil {
			return
		}
		if l.size+l.torn != int64(len(data)) {
			t.Errorf("%d whole and %d torn bytes of %d", l.size, l.torn, len(data))
		}
		again, err := readLog(data[:l.size])
		if err != nil || again.torn != 0 || !reflect.DeepEqual(again.records, l.records) {
			t.Errorf("the whole part is read in another way: %+v, %v", again, err)
		}
		written := []byte(logHeader)
		for _, r := range l.records {
			b, err := frame(r)
			if err != nil {
				t.Fatal(err)
			}
			written = append(written, b...)
		}
		if back, err := readLog(written); err != nil || back.torn != 0 || len(back.records) != len(l.records) {
			t.Errorf("what was read does not come back: %v", err)
		}
	})
}
