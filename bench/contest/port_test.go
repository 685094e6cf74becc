package contest

import "testing"

func TestFreePorts(t *testing.T) {
	tests := []struct {
		text      string
		low, high int
	}{
		{"32768\t60999\n", 10240, 32768},
		{"1024\t65535", 10240, 65536},
		{"", 10240, 65536},
	}
	for _, tt := range tests {
		if low, high := freePorts(tt.text); low != tt.low || high != tt.high {
			t.Errorf("%q: got %d to %d, want %d to %d", tt.text, low, high, tt.low, tt.high)
		}
	}
	one, other, err := freeAddrs()
	if err != nil || one == other || one.Port() < 10240 || other.Port() < 10240 {
		t.Errorf("got %v and %v, %v", one, other, err)
	}
}
