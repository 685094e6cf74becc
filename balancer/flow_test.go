package balancer

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

// canonical is what Hash says it covers, put together the plain way.
func canonical(f Flow, t Tuple) []byte {
	if t == ConnectionID {
		return binary.BigEndian.AppendUint64(nil, f.CID)
	}
	addresses := []netip.Addr{f.Src.Addr()}
	if t >= TwoTuple {
		addresses = append(addresses, f.Dst.Addr())
	}
	short := true
	for _, a := range addresses {
		short = short && a.Unmap().Is4()
	}
	var b []byte
	for _, a := range addresses {
		switch {
		case !a.IsValid():
			b = append(b, make([]byte, 16)...)
		case short:
			b = append(b, a.Unmap().AsSlice()...)
		default:
			long := a.As16()
			b = append(b, long[:]...)
		}
	}
	if t >= ThreeTuple {
		b = append(b, byte(f.Proto))
	}
	if t >= FiveTuple {
		b = binary.BigEndian.AppendUint16(b, f.Src.Port())
		b = binary.BigEndian.AppendUint16(b, f.Dst.Port())
	}
	return b
}

func drawAddress(t *rapid.T, name string) netip.Addr {
	b := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, name)
	switch rapid.IntRange(0, 3).Draw(t, name+" kind") {
	case 0:
		return netip.AddrFrom4([4]byte(b))
	case 1:
		return netip.AddrFrom16(netip.AddrFrom4([4]byte(b)).As16())
	case 2:
		return netip.Addr{}
	default:
		return netip.AddrFrom16([16]byte(b))
	}
}

func TestHashIsXXH64OfCanonicalBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := Flow{
			Src:   netip.AddrPortFrom(drawAddress(t, "src"), rapid.Uint16().Draw(t, "sport")),
			Dst:   netip.AddrPortFrom(drawAddress(t, "dst"), rapid.Uint16().Draw(t, "dport")),
			Proto: Proto(rapid.Byte().Draw(t, "proto")),
			CID:   rapid.Uint64().Draw(t, "cid"),
		}
		tuple := Tuple(rapid.IntRange(int(SourceIP), int(ConnectionID)).Draw(t, "tuple"))
		seed := rapid.Uint64().Draw(t, "seed")
		var d xxhash.Digest
		d.ResetWithSeed(seed)
		if _, err := d.Write(canonical(f, tuple)); err != nil {
			t.Fatal(err)
		}
		if got, want := f.Hash(tuple, seed), d.Sum64(); got != want {
			t.Fatalf("%+v tuple %d seed %d: got %#x, want %#x", f, tuple, seed, got, want)
		}
	})
}

func TestHashTreatsMappedAddressesAsIPv4(t *testing.T) {
	plain := Flow{Src: netip.MustParseAddrPort("192.0.2.7:1"), Dst: netip.MustParseAddrPort("192.0.2.8:2")}
	mapped := Flow{Src: netip.MustParseAddrPort("[::ffff:192.0.2.7]:1"), Dst: netip.MustParseAddrPort("[::ffff:192.0.2.8]:2")}
	for tuple := SourceIP; tuple <= ConnectionID; tuple++ {
		if got, want := mapped.Hash(tuple, 1), plain.Hash(tuple, 1); got != want {
			t.Errorf("tuple %d: got %#x, want %#x", tuple, got, want)
		}
	}
}
