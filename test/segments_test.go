package test

import (
	"bytes"
	encoding "encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	segmentSize  = 1400
	segmentCount = 40
)

// segmentsOf is what is sent in one call: each segment begins with its number.
func segmentsOf() []byte {
	b := make([]byte, segmentCount*segmentSize)
	for i := range segmentCount {
		copy(b[i*segmentSize:], bytes.Repeat([]byte{byte(i)}, segmentSize))
	}
	return b
}

// sendSegments hands datagrams to the kernel as one, to whom c is connected if to is nil.
func sendSegments(c *net.UDPConn, p []byte, to *net.UDPAddr) error {
	oob := make([]byte, unix.CmsgSpace(2))
	encoding.NativeEndian.PutUint64(oob, uint64(unix.CmsgLen(2)))
	encoding.NativeEndian.PutUint32(oob[8:], unix.IPPROTO_UDP)
	encoding.NativeEndian.PutUint32(oob[12:], unix.UDP_SEGMENT)
	encoding.NativeEndian.PutUint16(oob[16:], segmentSize)
	_, _, err := c.WriteMsgUDP(p, oob, to)
	return err
}

// receiveSegments reports whether every segment comes, whole and once, within the limit, and from where.
func receiveSegments(c *net.UDPConn, limit time.Duration) (from *net.UDPAddr, whole bool, err error) {
	if err := c.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return nil, false, err
	}
	var seen [segmentCount]bool
	b := make([]byte, 1<<16)
	for n := 0; n < segmentCount; n++ {
		size, a, err := c.ReadFromUDP(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return from, false, nil
		}
		if err != nil {
			return from, false, err
		}
		from = a
		i := int(b[0])
		if size != segmentSize || i >= segmentCount || seen[i] || !bytes.Equal(b[:size], bytes.Repeat(b[:1], size)) {
			return from, false, fmt.Errorf("a datagram of %d bytes, number %d, seen before: %v", size, i, i < segmentCount && seen[i])
		}
		seen[i] = true
	}
	return from, true, nil
}

// TestNetworkSegments sends datagrams of 1,400 bytes that the kernels keep together, over links that carry 1,280: one
// that weir's kernel has, and one behind a router. They must be taken apart there, and each be cut.
func TestNetworkSegments(t *testing.T) {
	w := newWires(t)
	w.router.ip("link set h1 mtu 1280")
	w.h1.ip("link set eth0 mtu 1280")
	d := w.start(`
listeners:
  v4: { protocol: udp, address: ":7004", pool: v4 }
  v6: { protocol: udp, address: ":7006", pool: v6 }
  wide: { protocol: udp, address: ":7008", pool: wide }
pools:
  v4: { protocol: udp, backends: ["10.77.1.2:7200"] }
  v6: { protocol: udp, backends: ["[fd77:1::2]:7200"] }
  wide: { protocol: udp, backends: ["10.77.2.2:7200"] }
`)
	p := segmentsOf()
	udp := func(c any) *net.UDPConn {
		u := c.(*net.UDPConn)
		if err := u.SetReadBuffer(4 << 20); err != nil {
			t.Fatal(err)
		}
		return u
	}
	for _, path := range []struct{ to, backend string }{{"10.77.0.1:7004", "10.77.1.2:7200"}, {"[fd77::1]:7006", "[fd77:1::2]:7200"}} {
		backend, client := udp(w.h1.packets(path.backend)), udp(w.client.dial("udp", path.to))
		var source *net.UDPAddr
		arrive := func(way string, c *net.UDPConn, send func() error) {
			t.Helper()
			// A router that cannot pass a datagram on drops it and says so: the next ones are cut.
			within(t, patience, path.to+": all datagrams arrive, "+way, func() bool {
				if err := send(); err != nil && !errors.Is(err, unix.EMSGSIZE) {
					t.Fatalf("%s: sent %s: %v", path.to, way, err)
				}
				from, whole, err := receiveSegments(c, 300*time.Millisecond)
				if err != nil {
					t.Fatalf("%s: %s: %v", path.to, way, err)
				}
				source = from
				return whole
			})
		}
		arrive("there", backend, func() error { return sendSegments(client, p, nil) })
		to := source
		arrive("back", client, func() error { // one by one: the backend's own kernel cannot keep them together
			for i := range segmentCount {
				if _, err := backend.WriteTo(p[i*segmentSize:(i+1)*segmentSize], to); err != nil {
					return err
				}
			}
			return nil
		})
	}

	// Replies that come together go to a client behind a narrow link of weir's own.
	w.client.ip("link set eth0 mtu 1280")
	w.weir.ip("link set front mtu 1280")
	backend, client := udp(w.h2.packets(":7200")), udp(w.client.dial("udp", "10.77.0.1:7008"))
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := backend.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	_, source, err := backend.ReadFromUDP(make([]byte, 10))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := sendSegments(backend, p, source); err != nil {
			t.Fatal(err)
		}
		if _, whole, err := receiveSegments(client, patience); err != nil || !whole {
			t.Fatalf("not all replies arrive: %v", err)
		}
	}
	if n := d.metric("weir_udp_datagrams_dropped_total"); n != 0 {
		t.Errorf("weir has dropped %v datagrams", n)
	}
}
