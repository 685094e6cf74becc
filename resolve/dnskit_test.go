package resolve

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// The codes and types of DNS (RFC 1035) that the tests use.
const (
	codeServfail, codeNXDomain, codeRefused = 2, 3, 5
	typeA, typeCNAME, typeAAAA              = 1, 5, 28
)

// record is what a server says of a name, to questions of one type.
type record struct {
	addrs []netip.Addr // of the type of the question
	alias string       // these are the addresses of another name
	code  byte
	mute  bool // it does not answer
	cut   bool // over UDP it says that the answer is too long
	lie   func(reply []byte) []byte
}

// dnsServer is a name server that says what a test wants, over UDP and TCP.
type dnsServer struct {
	address string
	mu      sync.Mutex
	says    map[string]record // by "name/A" or "name/AAAA"; none: NXDOMAIN
	asked   map[string]int    // by the same, with "/tcp" behind for those over TCP
}

func newDNS(t *testing.T) *dnsServer {
	t.Helper()
	l, udp := listenBoth(t)
	s := &dnsServer{address: l.Addr().String(), says: map[string]record{}, asked: map[string]int{}}
	var wg sync.WaitGroup
	wg.Go(func() { s.serveUDP(udp) })
	wg.Go(func() { s.serveTCP(l) })
	t.Cleanup(func() {
		_, _ = l.Close(), udp.Close()
		wg.Wait()
	})
	return s
}

// listenBoth binds a port of TCP and UDP.
func listenBoth(t *testing.T) (net.Listener, net.PacketConn) {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if udp, err := net.ListenPacket("udp", l.Addr().String()); err == nil {
			return l, udp
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("no port is free for both TCP and UDP")
	return nil, nil
}

func (s *dnsServer) say(name string, r record, types ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range types {
		s.says[name+"/"+t] = r
	}
}

func (s *dnsServer) count(question string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[question]
}

// dial reaches the server whatever resolv.conf says.
func (s *dnsServer) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, s.address)
}

func (s *dnsServer) serveUDP(c net.PacketConn) {
	buffer := make([]byte, 4096)
	for {
		n, from, err := c.ReadFrom(buffer)
		if err != nil {
			return
		}
		if reply := s.reply(buffer[:n], true); reply != nil {
			_, _ = c.WriteTo(reply, from)
		}
	}
}

func (s *dnsServer) serveTCP(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err == nil {
			question := make([]byte, binary.BigEndian.Uint16(size[:]))
			if _, err := io.ReadFull(c, question); err == nil {
				reply := s.reply(question, false)
				_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
			}
		}
		_ = c.Close()
	}
}

// reply answers a question; nil: not.
func (s *dnsServer) reply(question []byte, udp bool) []byte {
	name, rest := "", question[12:]
	for rest[0] != 0 {
		name += string(rest[1:1+rest[0]]) + "."
		rest = rest[1+rest[0]:]
	}
	kind := binary.BigEndian.Uint16(rest[1:])
	key := strings.ToLower(name) + "/" + map[uint16]string{typeA: "A", typeAAAA: "AAAA"}[kind]
	s.mu.Lock()
	r, known := s.says[key]
	if s.asked[key]++; !udp {
		s.asked[key+"/tcp"]++
	}
	s.mu.Unlock()
	if !known {
		r.code = codeNXDomain
	}
	if r.mute {
		return nil
	}
	questionEnd := len(question) - len(rest) + 5
	out := bytes.Clone(question[:questionEnd])
	out[2], out[3] = 0x81, 0x80|r.code // response, recursion
	clear(out[6:12])
	if r.cut && udp {
		out[2] |= 0x02
	} else {
		out = r.answer(out, kind)
	}
	if r.lie != nil {
		out = r.lie(out)
	}
	return out
}

// answer appends the records.
func (r record) answer(out []byte, kind uint16) []byte {
	owner := []byte{0xc0, 12} // the name in the question
	resource := func(kind uint16, data []byte) {
		out = append(out, owner...)
		out = binary.BigEndian.AppendUint16(out, kind)
		out = binary.BigEndian.AppendUint16(out, 1)
		out = binary.BigEndian.AppendUint32(out, 60)
		out = binary.BigEndian.AppendUint16(out, uint16(len(data)))
		out = append(out, data...)
		out[7]++
		if out[7] == 0 {
			out[6]++
		}
	}
	if r.alias != "" {
		var target []byte
		for label := range strings.SplitSeq(strings.TrimSuffix(r.alias, "."), ".") {
			target = append(append(target, byte(len(label))), label...)
		}
		target = append(target, 0)
		resource(typeCNAME, target)
		owner = target
	}
	for _, a := range r.addrs {
		if a.Is4() == (kind == typeA) {
			resource(kind, a.AsSlice())
		}
	}
	return out
}
