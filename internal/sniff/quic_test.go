package sniff

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"
)

// unhex decodes hexadecimal digits and adds zero bytes up to size.
func unhex(digits string, size int) []byte {
	b, err := hex.DecodeString(digits)
	if err != nil {
		panic(err)
	}
	return append(b, make([]byte, max(size-len(b), 0))...)
}

// bytesOf is n bytes from first on, each one larger.
func bytesOf(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

// long builds a long header.
func long(first byte, version uint32, dcid, scid []byte, rest ...[]byte) []byte {
	b := concat([]byte{first}, bytes16(uint16(version>>16), uint16(version)), vector8(dcid), vector8(scid))
	return append(b, concat(rest...)...)
}

const (
	rfcID     = "8394c8f03e515708" // the connection ID of the examples
	rfcServer = "f067a5502a4262b5"
)

// TestPublishedPackets reads the protected packets of RFC 9001, appendix A, and RFC 9369, appendix A.
// Payloads are cut off where they are of no interest, and filled up with zeroes.
func TestPublishedPackets(t *testing.T) {
	tests := []struct {
		name       string
		in         []byte
		kind       PacketType
		version    uint32
		dcid, scid string
		token      string
		small      bool
	}{
		{"client Initial", unhex("c000000001088394c8f03e5157080000449e7b9aec34", 1200), Initial, QUICv1, rfcID, "", "", false},
		{"server Initial", unhex("cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a", 135), Initial, QUICv1, "", rfcServer, "", true},
		{"Retry", unhex("ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba", 0), Retry, QUICv1, "", rfcServer, "token", false},
		{"short header", unhex("4cfe4189655e5cd55c41f69080575d7999c25a5bfb", 0), Short, 0, "", "", "", false},
		{"client Initial, version 2", unhex("d76b3343cf088394c8f03e5157080000449ea0c95e82", 1200), Initial, QUICv2, rfcID, "", "", false},
		{"server Initial, version 2", unhex("dc6b3343cf0008f067a5502a4262b5004075d92faaf16f05d8a4398c47089698", 135), Initial, QUICv2, "", rfcServer, "", true},
		{"Retry, version 2", unhex("cf6b3343cf0008f067a5502a4262b5746f6b656ec8646ce8bfe33952d955543665dcc7b6", 0), Retry, QUICv2, "", rfcServer, "token", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := ParseQUIC(tt.in, 0)
			if err != nil {
				t.Fatal(err)
			}
			if p.Type != tt.kind || p.Version != tt.version || !p.Fixed || p.Small != tt.small {
				t.Errorf("got %+v", p)
			}
			if hex.EncodeToString(p.DCID) != tt.dcid || hex.EncodeToString(p.SCID) != tt.scid || string(p.Token) != tt.token {
				t.Errorf("got %x to %x, token %q", p.SCID, p.DCID, p.Token)
			}
			if p.Size != len(tt.in) {
				t.Errorf("size %d, want %d", p.Size, len(tt.in))
			}
		})
	}
}

// TestPacketTypes: the two bits mean something else in each version.
func TestPacketTypes(t *testing.T) {
	tests := []struct {
		version uint32
		want    [4]PacketType
	}{
		{QUICv1, [4]PacketType{Initial, ZeroRTT, Handshake, Retry}},
		{QUICv2, [4]PacketType{Retry, Initial, ZeroRTT, Handshake}},
		{0, [4]PacketType{VersionNegotiation, VersionNegotiation, VersionNegotiation, VersionNegotiation}},
		{0xff00001d, [4]PacketType{OtherVersion, OtherVersion, OtherVersion, OtherVersion}},
	}
	for _, tt := range tests {
		for bits, want := range tt.want {
			b := long(0x80|byte(bits)<<4, tt.version, []byte("to"), []byte("from"), make([]byte, 32))
			p, err := ParseQUIC(b, 0)
			if err != nil || p.Type != want || p.Fixed || string(p.DCID) != "to" || string(p.SCID) != "from" {
				t.Errorf("version %x, bits %d: %+v, %v, want type %v", tt.version, bits, p, err, want)
			}
		}
	}
}

func TestLengthsOfIDs(t *testing.T) {
	for n := range 256 {
		id := bytesOf(1, n)
		var want error
		if n > MaxQUICID {
			want = ErrQUICID
		}
		for _, b := range [][]byte{
			long(0xc0, QUICv1, id, nil, []byte{0, 0}), long(0xc0, QUICv1, nil, id, []byte{0, 0}),
			long(0xd0, QUICv2, id, nil, []byte{0, 0}), long(0xd0, QUICv2, nil, id, []byte{0, 0}),
		} {
			if _, err := ParseQUIC(b, 0); err != want {
				t.Errorf("ID of %d bytes: %v, want %v", n, err, want)
			}
		}
		for _, version := range []uint32{0, 0x1a2a3a4a} {
			p, err := ParseQUIC(long(0xc0, version, id, id[n/2:], []byte("4321")), 0)
			if err != nil || !bytes.Equal(p.DCID, id) || !bytes.Equal(p.SCID, id[n/2:]) {
				t.Errorf("ID of %d bytes in version %x: %x, %x, %v", n, version, p.DCID, p.SCID, err)
			}
		}
	}
}

func TestShortHeaders(t *testing.T) {
	b := concat([]byte{0x40}, bytesOf(1, 25))
	for idLen := range 21 {
		p, err := ParseQUIC(b, idLen)
		if err != nil || !bytes.Equal(p.DCID, b[1:1+idLen]) || p.Size != len(b) || p.Type != Short || !p.Fixed || p.SCID != nil {
			t.Errorf("ID of %d bytes: %+v, %v", idLen, p, err)
		}
		if _, err = ParseQUIC(b[:1+idLen], idLen); err != nil {
			t.Errorf("nothing behind an ID of %d bytes: %v", idLen, err)
		}
		if _, err = ParseQUIC(b[:idLen:idLen], idLen); err != error(ErrQUICTruncated) {
			t.Errorf("half an ID of %d bytes: %v", idLen, err)
		}
	}
	if p, err := ParseQUIC(b, -1); err != nil || len(p.DCID) != 0 {
		t.Errorf("ID of -1 bytes: %+v, %v", p, err)
	}
	if p, err := ParseQUIC(b, 21); err != nil || len(p.DCID) != 20 {
		t.Errorf("ID of 21 bytes: %+v, %v", p, err)
	}
	if p, err := ParseQUIC([]byte{0}, 0); err != nil || p.Fixed {
		t.Errorf("without the QUIC bit: %+v, %v", p, err)
	}
}

// TestVarints reads the examples of RFC 9000, appendix A.1.
func TestVarints(t *testing.T) {
	tests := []struct {
		in   string
		want uint64
	}{
		{"c2197c5eff14e88c", 151288809941952652},
		{"9d7f3e7d", 494878333},
		{"7bbd", 15293},
		{"25", 37},
		{"4025", 37},
	}
	for _, tt := range tests {
		c := cursor{rest: append(unhex(tt.in, 0), 7)}
		if got := c.varint(); got != tt.want || c.short || len(c.rest) != 1 {
			t.Errorf("%s: %d, short %v, %d left, want %d", tt.in, got, c.short, len(c.rest), tt.want)
		}
		for n := range len(tt.in) / 2 {
			if c = (cursor{rest: unhex(tt.in, 0)[:n]}); c.varint() != 0 || !c.short {
				t.Errorf("%d bytes of %s are not too few", n, tt.in)
			}
		}
	}
}

func TestVersionNegotiation(t *testing.T) {
	p, err := ParseQUIC(long(0x80, 0, []byte("c"), []byte("s"), unhex("6b3343cf000000010a1a2a3a", 0)), 8)
	if err != nil || p.Type != VersionNegotiation || p.Version != 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	if got := slices.Collect(p.Versions.All()); !slices.Equal(got, []uint32{QUICv2, QUICv1, 0x0a1a2a3a}) {
		t.Errorf("versions %x", got)
	}
	for _, rest := range []string{"", "00", "000000", "0000000100"} {
		if _, err := ParseQUIC(long(0x80, 0, nil, nil, unhex(rest, 0)), 8); err != error(ErrQUICVersions) {
			t.Errorf("versions %q: %v", rest, err)
		}
	}
}

// coalesced is a datagram with an Initial, a ZeroRTT, a Handshake and a Short.
func coalesced() []byte {
	id, from := []byte("12345678"), []byte("from")
	return concat(
		long(0xc3, QUICv1, id, from, []byte{5}, []byte("token"), []byte{0x40, 100}, make([]byte, 100)),
		long(0xd3, QUICv1, id, from, []byte{0x80, 0, 0, 7}, make([]byte, 7)),
		long(0xe3, QUICv1, id, from, []byte{0xc0, 0, 0, 0, 0, 0, 0, 3}, make([]byte, 3)),
		[]byte{0x41}, id, make([]byte, 30),
	)
}

func TestCoalescedPackets(t *testing.T) {
	b := coalesced()
	wants := []struct {
		kind  PacketType
		token string
		small bool
		size  int
	}{
		{Initial, "token", true, 19 + 6 + 2 + 100}, {ZeroRTT, "", false, 19 + 4 + 7}, {Handshake, "", false, 19 + 8 + 3}, {Short, "", false, 39},
	}
	i := 0
	for p, err := range QUICPackets(b, 8) {
		if err != nil || i == len(wants) {
			t.Fatalf("packet %d: %v", i, err)
		}
		if want := wants[i]; p.Type != want.kind || string(p.Token) != want.token || p.Small != want.small || p.Size != want.size || string(p.DCID) != "12345678" {
			t.Errorf("packet %d: %+v, want %+v", i, p, want)
		}
		i++
	}
	if i != len(wants) {
		t.Errorf("%d packets, want %d", i, len(wants))
	}
	// An Initial counts with its whole datagram, wherever it is in it.
	handshake := long(0xe0, QUICv1, nil, nil, []byte{0x44, 0x4c}, make([]byte, 1100))
	for p, err := range QUICPackets(append(handshake, b...), 8) {
		if p.Small || err != nil {
			t.Errorf("%+v, %v", p, err)
		}
	}
	for range QUICPackets(b, 8) {
		break // and the walk ends
	}
}

// TestTruncatedPackets: every beginning of a packet is refused, up to the last byte.
func TestTruncatedPackets(t *testing.T) {
	for p, err := range QUICPackets(coalesced(), 8) {
		if err != nil {
			t.Fatal(err)
		}
		if p.Type == Short {
			continue
		}
		b := coalesced()
		for q := range QUICPackets(b, 8) {
			if q.Type == p.Type {
				break
			}
			b = b[q.Size:]
		}
		for n := range p.Size {
			if got, err := ParseQUIC(b[:n:n], 8); err != error(ErrQUICTruncated) || got.DCID != nil {
				t.Errorf("type %v: %d bytes of %d: %+v, %v", p.Type, n, p.Size, got, err)
			}
		}
	}
	retry := long(0xf0, QUICv1, nil, []byte("s"), make([]byte, 16))
	if p, err := ParseQUIC(retry, 0); err != nil || len(p.Token) != 0 {
		t.Errorf("Retry without a token: %+v, %v", p, err)
	}
	if _, err := ParseQUIC(retry[:len(retry)-1], 0); err != error(ErrQUICTruncated) {
		t.Errorf("Retry with half a tag: %v", err)
	}
	huge := long(0xc0, QUICv1, nil, nil, unhex("ffffffffffffffff", 0))
	if _, err := ParseQUIC(huge, 0); err != error(ErrQUICTruncated) {
		t.Errorf("token of 2^62 bytes: %v", err)
	}
}

func TestNamesOfTypes(t *testing.T) {
	want := []string{"short", "initial", "0-rtt", "handshake", "retry", "version negotiation", "other version", "unknown"}
	for i, name := range want {
		if got := PacketType(i).String(); got != name {
			t.Errorf("type %d is %q, want %q", i, got, name)
		}
	}
}

func TestServerID(t *testing.T) {
	id := []byte("0abc4567")
	tests := []struct {
		offset, length int
		want           string
		ok             bool
	}{
		{1, 3, "abc", true}, {0, 8, "0abc4567", true}, {7, 1, "7", true}, {8, 0, "", true},
		{6, 3, "", false}, {9, 0, "", false}, {0, 9, "", false}, {1 << 62, 1 << 62, "", false},
	}
	for _, tt := range tests {
		got, ok := ServerID(id, tt.offset, tt.length)
		if string(got) != tt.want || ok != tt.ok {
			t.Errorf("%d bytes from %d: %q, %v, want %q, %v", tt.length, tt.offset, got, ok, tt.want, tt.ok)
		}
	}
}

func TestQUICAllocs(t *testing.T) {
	b := coalesced()
	negotiation := long(0x80, 0, nil, nil, unhex("6b3343cf00000001", 0))
	checkAllocs(t, 0, func() {
		for p, err := range QUICPackets(b, 8) {
			if _, ok := ServerID(p.DCID, 1, 3); !ok || err != nil {
				t.Error(p, err)
			}
		}
		p, _ := ParseQUIC(negotiation, 8)
		for v := range p.Versions.All() {
			if v == 0 {
				t.Error("version 0")
			}
		}
		if _, err := ParseQUIC(b[:20], 8); err == nil {
			t.Error("no error")
		}
	})
}

// FuzzParseQUIC: packets fill the datagram, their parts are parts of it, and a cut datagram has the
// same packets up to the cut.
func FuzzParseQUIC(f *testing.F) {
	f.Add(coalesced(), 8)
	f.Add(unhex("ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba", 0), 0)
	f.Add(unhex("d76b3343cf088394c8f03e5157080000449ea0c95e82", 1200), 0)
	f.Add(long(0x80, 0, []byte("c"), []byte("s"), unhex("6b3343cf00000001", 0)), 20)
	f.Add(long(0xc0, 0x1a2a3a4a, bytesOf(1, 200), bytesOf(2, 255)), 4)
	f.Add([]byte{0x40, 1, 2, 3}, 4)
	f.Fuzz(func(t *testing.T, b []byte, idLen int) {
		before, at := bytes.Clone(b), 0
		for p, err := range QUICPackets(b[:len(b):len(b)], idLen) {
			if err != nil {
				if p.Type != 0 || p.Size != 0 || p.DCID != nil {
					t.Fatalf("got %+v with %v", p, err)
				}
				break
			}
			if p.Size <= 0 || p.Size > len(b)-at {
				t.Fatalf("size %d at %d of %d", p.Size, at, len(b))
			}
			checkPacket(t, b[at:at+p.Size:at+p.Size], idLen, p)
			at += p.Size
		}
		if !bytes.Equal(b, before) {
			t.Fatal("the input was changed")
		}
	})
}

// checkPacket parses b, a packet without what followed it: the same must come out.
func checkPacket(t *testing.T, b []byte, idLen int, want Packet) {
	t.Helper()
	p, err := ParseQUIC(b, idLen)
	if err != nil || p.Type != want.Type || p.Size != len(b) || p.Version != want.Version || p.Fixed != want.Fixed ||
		!bytes.Equal(p.DCID, want.DCID) || !bytes.Equal(p.SCID, want.SCID) || !bytes.Equal(p.Token, want.Token) {
		t.Fatalf("%x: %+v, %v, want %+v", b, p, err, want)
	}
	if want.Small && !p.Small {
		t.Fatalf("%d bytes are not small", len(b))
	}
	if p.Type != Short && len(b) > 6 { // what no version can change is where all versions have it
		n := int(b[5])
		if !bytes.Equal(p.DCID, b[6:6+n]) || !bytes.Equal(p.SCID, b[7+n:7+n+int(b[6+n])]) {
			t.Fatalf("%x: IDs %x and %x", b, p.DCID, p.SCID)
		}
	}
}
