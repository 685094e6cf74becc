package admit

import (
	"net/netip"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noAllocs checks that f allocates nothing, except under the race detector, which allocates itself.
func noAllocs(t *testing.T, name string, f func()) {
	t.Helper()
	if raceEnabled {
		return
	}
	if n := testing.AllocsPerRun(1000, f); n != 0 {
		t.Errorf("%s allocates %v times", name, n)
	}
}

// nth is an IPv4 address for each i.
func nth(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

// anyAddr draws addresses that are near one another, in every form.
func anyAddr(t *rapid.T) netip.Addr {
	b := [4]byte{10, rapid.SampledFrom([]byte{0, 1, 128, 255}).Draw(t, "b"), byte(rapid.IntRange(0, 255).Draw(t, "c")), rapid.Byte().Draw(t, "d")}
	switch rapid.IntRange(0, 4).Draw(t, "form") {
	case 0, 1:
		return netip.AddrFrom4(b)
	case 2:
		return netip.AddrFrom16(netip.AddrFrom4(b).As16())
	case 3:
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 7: b[1], 8: b[2], 15: b[3]})
	}
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 7: b[1], 15: b[3]}).WithZone("eth0")
}
