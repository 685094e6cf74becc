package admit

import (
	"bufio"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

func TestDescriptorsCeilings(t *testing.T) {
	tests := []struct {
		limit          uint64
		work, reserved int // how many enter
	}{
		{1000, 900, 64},
		{1024, 921, 64},
		{65_536, 58_982, 64},
		{640, 576, 64},
		{639, 575, 64}, // 90 % are also 64 below the limit
		{256, 192, 64}, // 90 % would leave 26
		{100, 45, 55},  // 64 would leave less than half of 90 %
		{64, 28, 36},   // likewise
		{1, 0, 1},
		{0, 0, 0},
		{1200, 1080, 64}, // the other 56 are nobody's
	}
	for _, tt := range tests {
		d := NewDescriptors(tt.limit)
		if n := fill(d.Enter); n != tt.work {
			t.Errorf("limit %d: %d enter, want %d", tt.limit, n, tt.work)
		}
		if n := fill(d.EnterReserved); n != tt.reserved {
			t.Errorf("limit %d: %d more enter for admin and probes, want %d", tt.limit, n, tt.reserved)
		}
		if d.Enter(1) {
			t.Errorf("limit %d: new work enters into what is reserved", tt.limit)
		}
		if n := d.Used(); n != tt.work+tt.reserved {
			t.Errorf("limit %d: %d are used, want %d", tt.limit, n, tt.work+tt.reserved)
		}
		d.Leave(tt.work + tt.reserved)
		if n := d.Used(); n != 0 {
			t.Errorf("limit %d: %d are used in the end", tt.limit, n)
		}
	}
	for _, limit := range []uint64{math.MaxUint64, math.MaxInt64} {
		if d := NewDescriptors(limit); !d.Enter(1<<50) || !d.EnterReserved(1) {
			t.Errorf("limit %d: nothing enters", limit)
		}
	}
}

// fill enters one by one until it is refused.
func fill(enter func(int) bool) int {
	n := 0
	for enter(1) {
		n++
	}
	return n
}

func TestDescriptorsEnterWholeOrNot(t *testing.T) {
	d := NewDescriptors(1000)
	if !d.Enter(898) || d.Enter(3) || d.Used() != 898 || !d.Enter(2) || d.Enter(1) {
		t.Errorf("%d are used, want 900", d.Used())
	}
	d.Leave(1)
	if d.Enter(2) || !d.Enter(1) {
		t.Error("what has left cannot be taken again")
	}
}

func TestDescriptorsObserve(t *testing.T) {
	d := NewDescriptors(1000)
	d.Enter(100)
	d.Observe(150)
	if n := d.Used(); n != 150 {
		t.Errorf("%d are used, want 150", n)
	}
	if n := fill(d.Enter); n != 750 {
		t.Errorf("%d enter beside 150, want 750", n)
	}
	d.Leave(750)
	if n := d.Used(); n != 150 {
		t.Errorf("%d are used, want 150: what left was never among the others", n)
	}
	d.Observe(60) // 100 have entered, 40 of them are not open yet
	if n := d.Used(); n != 100 {
		t.Errorf("%d are used, want the 100 that have entered", n)
	}
	d.Observe(5000)
	if d.Enter(1) || d.EnterReserved(1) {
		t.Error("somebody enters above the limit")
	}
	d.Observe(100)
	if !d.Enter(1) {
		t.Error("nobody enters when the pressure is gone")
	}
}

func TestDescriptorsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const ceiling, top = 900, 964
		d := NewDescriptors(1000)
		counted, others := 0, 0
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			n := rapid.IntRange(0, 300).Draw(t, "n")
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				n = min(n, counted)
				d.Leave(n)
				counted -= n
			case 1:
				others = max(2*n-counted, 0)
				d.Observe(2 * n)
			case 2:
				want := counted+others+n <= top
				if got := d.EnterReserved(n); got != want {
					t.Fatalf("EnterReserved(%d) = %v at %d + %d", n, got, counted, others)
				} else if got {
					counted += n
				}
			case 3:
				want := counted+others+n <= ceiling
				if got := d.Enter(n); got != want {
					t.Fatalf("Enter(%d) = %v at %d + %d", n, got, counted, others)
				} else if got {
					counted += n
				}
			}
			if got := d.Used(); got != counted+others {
				t.Fatalf("%d are used, want %d", got, counted+others)
			}
		}
	})
}

func TestDescriptorsPanicsOnLeaveWithoutEnter(t *testing.T) {
	d := NewDescriptors(1000)
	d.Enter(2)
	defer func() {
		if got, want := recover(), "admit: 3 descriptors leave, 1 more than have entered"; got != want {
			t.Errorf("recovered %v, want %s", got, want)
		}
	}()
	d.Leave(3)
}

// TestDescriptorsConcurrent lets goroutines compete for the last descriptor, often.
func TestDescriptorsConcurrent(t *testing.T) {
	d := NewDescriptors(256)
	if !d.Enter(191) { // of 192
		t.Fatal("191 do not enter")
	}
	var open, entered atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100_000 {
				if !d.Enter(1) {
					continue
				}
				entered.Add(1)
				if n := open.Add(1); n > 1 {
					t.Errorf("%d have the last one", n)
				}
				open.Add(-1)
				d.Leave(1)
			}
		})
	}
	wg.Wait()
	if n := d.Used(); n != 191 || entered.Load() == 0 {
		t.Errorf("%d are used in the end, %d entered", n, entered.Load())
	}
}

// TestDescriptorLimit compares with what the kernel shows.
func TestDescriptorLimit(t *testing.T) {
	got, err := DescriptorLimit()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open("/proc/self/limits")
	if err != nil {
		t.Skip("no /proc: ", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), "Max open files")
		if !ok {
			continue
		}
		if want := strings.Fields(rest)[0]; want != "unlimited" && want != strconv.FormatUint(got, 10) {
			t.Errorf("the limit is %d, want %s", got, want)
		}
		return
	}
	t.Errorf("no line with the limit: %v", lines.Err())
}

func TestDescriptorsAllocs(t *testing.T) {
	d := NewDescriptors(1000)
	noAllocs(t, "Descriptors", func() { d.Enter(2); d.EnterReserved(1); d.Leave(3) })
}

func BenchmarkDescriptors(b *testing.B) {
	d := NewDescriptors(1000)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if d.Enter(2) {
				d.Leave(2)
			}
		}
	})
}
