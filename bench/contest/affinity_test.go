package contest

import (
	"slices"
	"testing"
)

func TestSplit(t *testing.T) {
	tests := []struct {
		cpus  []int
		proxy int
		load  []int
		words string
	}{
		{[]int{3}, 3, []int{3}, "3"},
		{[]int{0, 1}, 1, []int{0}, "0"},
		{[]int{0, 1, 2, 4, 6, 7}, 7, []int{0, 1, 2, 4, 6}, "0-2,4,6"},
	}
	for _, tt := range tests {
		proxy, load := split(tt.cpus)
		if proxy != tt.proxy || !slices.Equal(load, tt.load) || cpuList(load) != tt.words {
			t.Errorf("%v: got %d and %v (%s), want %d and %v (%s)", tt.cpus, proxy, load, cpuList(load), tt.proxy, tt.load, tt.words)
		}
	}
}

func TestPinSelf(t *testing.T) {
	before, err := allowedCPUs()
	if err != nil {
		t.Fatal(err)
	}
	undo, err := pinSelf(before[:1])
	if err != nil {
		t.Fatal(err)
	}
	during, err := allowedCPUs()
	if err != nil || !slices.Equal(during, before[:1]) {
		t.Errorf("got CPUs %v, %v, want %v", during, err, before[:1])
	}
	if err := undo(); err != nil {
		t.Fatal(err)
	}
	after, err := allowedCPUs()
	if err != nil || !slices.Equal(after, before) {
		t.Errorf("got CPUs %v, %v afterwards, want %v", after, err, before)
	}
}
