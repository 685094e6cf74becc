package exchange

import (
	"math/rand/v2"
	"testing"
)

// TestRecordsInPieces cuts a stream of records anywhere and wants none exactly at their ends, once
// they have been read.
func TestRecordsInPieces(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var r records
		for range 8 {
			length := rng.IntN(700)
			if rng.IntN(4) == 0 {
				length = 0
			}
			record := make([]byte, 5+length)
			record[0], record[1], record[2], record[3], record[4] = 23, 3, 3, byte(length>>8), byte(length)
			for len(record) > 0 {
				n := 1 + rng.IntN(len(record))
				r.given(record[:n])
				if record = record[n:]; r.none() {
					t.Fatal("none, although a record has not been read")
				}
			}
			if r.read(false); r.none() {
				t.Fatal("none, although part of a record has been left")
			}
			if r.read(true); !r.none() {
				t.Fatalf("the only record was read, and left are %+v", r)
			}
		}
	}
}

func TestRecordsTogether(t *testing.T) {
	var r records
	r.given([]byte{23, 3, 3, 0, 1, 'a', 23, 3, 3, 0, 1, 'b'})
	if r.read(true); r.none() {
		t.Error("none, although a second record came with the first")
	}
	if r.asked(); !r.none() {
		t.Errorf("more was wanted, and left are %+v", r)
	}
	r.given([]byte{23, 3, 3})
	if r.asked(); r.none() {
		t.Error("none, although a record has begun")
	}
}
