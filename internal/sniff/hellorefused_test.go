package sniff

import (
	"bytes"
	"slices"
	"testing"
)

var refusedHellos = []struct {
	name  string
	in    []byte
	state State
	err   error
}{
	{"nothing", nil, More, nil},
	{"HTTP", []byte("GET / HTTP/1.1\r\n"), Foreign, ErrNotTLS},
	{"SSH", []byte("SSH-2.0-OpenSSH"), Foreign, ErrNotTLS},
	{"PostgreSQL", []byte{0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f}, Foreign, ErrNotTLS},
	{"alert", []byte{21, 3, 1, 0, 2, 1, 0}, Foreign, ErrNotTLS},
	{"other version of records", []byte{22, 2}, Foreign, ErrNotTLS},
	{"SSL 2.0", []byte{0x80, 46, 1, 0, 2}, Malformed, ErrSSLv2},
	{"SSL 3.0 in the format of 2.0", []byte{0x80, 46, 1, 3, 0, 0, 21}, Malformed, ErrSSLv2},
	{"TLS 1.0 in the format of SSL 2.0", []byte{0x80, 46, 1, 3, 1, 0, 21}, Malformed, ErrSSLv2},
	{"perhaps SSL 2.0", []byte{0x80, 46, 1, 3}, More, nil},
	{"high bit, other type", []byte{0x80, 46, 2}, Foreign, ErrNotTLS},
	{"high bit, other version", []byte{0x80, 46, 1, 4}, Foreign, ErrNotTLS},
	{"high bit, version 0.1", []byte{0x80, 46, 1, 0, 1}, Foreign, ErrNotTLS},
	{"empty record", []byte{22, 3, 1, 0, 0}, Malformed, ErrRecord},
	{"record above 16 KiB", []byte{22, 3, 1, 0x40, 1}, Malformed, ErrRecord},
	{"another message", []byte{22, 3, 1, 0, 4, 2}, Malformed, ErrNotClientHello},
	{"alert between records", concat(records(helloOf()[:10]), []byte{21, 3, 1, 0, 2}), Malformed, ErrRecord},
	{"other version in the second record", concat(records(helloOf()[:10]), []byte{22, 4}), Malformed, ErrRecord},
	{"empty second record", concat(records(helloOf()[:10]), []byte{22, 3, 1, 0, 0}), Malformed, ErrRecord},
	{"announced above the bound", []byte{22, 3, 1, 1, 0, 1, 0, 0x3f, 0xf8}, Malformed, ErrHelloTooLong},
	{"announced far above the bound", []byte{22, 3, 1, 1, 0, 1, 0xff, 0xff, 0xff}, Malformed, ErrHelloTooLong},
	{"empty message", records(message(1, nil)), Malformed, ErrHello},
	{"session ID of 33 bytes", records(message(1, concat(bytes16(0x0303), make([]byte, 32), vector8(make([]byte, 33)),
		vector16(bytes16(1)), vector8([]byte{0})))), Malformed, ErrHello},
	{"no suites", records(message(1, concat(bytes16(0x0303), make([]byte, 33), vector16(), vector8([]byte{0})))), Malformed, ErrHello},
	{"half a suite", records(message(1, concat(bytes16(0x0303), make([]byte, 33), vector16([]byte{1, 2, 3}), vector8([]byte{0})))),
		Malformed, ErrHello},
	{"no compression", records(message(1, concat(bytes16(0x0303), make([]byte, 33), vector16(bytes16(1)), vector8()))), Malformed, ErrHello},
	{"256 records and no end", records(helloOf(names("a.b"), extensionOf(21, make([]byte, 300))), slices.Repeat([]int{1}, 300)...)[:256*6], Malformed, ErrHelloTooLong},
	{"255 records and no end", records(helloOf(names("a.b"), extensionOf(21, make([]byte, 300))), slices.Repeat([]int{1}, 300)...)[:255*6], More, nil},
	{"ends in the suites", records(message(1, concat(bytes16(0x0303), make([]byte, 33), bytes16(4, 1)))), Malformed, ErrHello},
	{"half a length of extensions", records(message(1, append(helloOf()[messageHead:], 0))), Malformed, ErrHello},
	{"extensions longer than the message", records(message(1, append(helloOf()[messageHead:], 0, 1))), Malformed, ErrHello},
	{"bytes after the extensions", records(message(1, append(helloOf()[messageHead:], 0, 0, 0))), Malformed, ErrHello},
	{"half an extension", records(helloOf([]byte{0, 0, 0})), Malformed, ErrExtension},
	{"extension longer than the list", records(helloOf([]byte{0xff, 1, 0, 1})), Malformed, ErrExtension},
	{"two server_name", records(helloOf(names("a.b"), names("a.b"))), Malformed, ErrExtension},
	{"two ALPN", records(helloOf(alpn("h2"), alpn("h2"))), Malformed, ErrExtension},
	{"two of another", records(helloOf(extensionOf(13, nil), extensionOf(13, nil))), Malformed, ErrExtension},
	{"two names", records(helloOf(names("a.b", "c.d"))), Malformed, ErrServerName},
	{"no list of names", records(helloOf(extensionOf(extensionServerName, nil))), Malformed, ErrExtension},
	{"empty list of names", records(helloOf(names())), Malformed, ErrExtension},
	{"bytes after the names", records(helloOf(extensionOf(extensionServerName, append(vector16([]byte{0, 0, 1, 'a'}), 0)))),
		Malformed, ErrExtension},
	{"name longer than the list", records(helloOf(extensionOf(extensionServerName, vector16([]byte{0, 0, 2, 'a'})))), Malformed, ErrExtension},
	{"empty ALPN", records(helloOf(alpn())), Malformed, ErrExtension},
	{"empty protocol", records(helloOf(alpn("h2", ""))), Malformed, ErrExtension},
	{"protocol longer than the list", records(helloOf(extensionOf(extensionALPN, vector16([]byte{3, 'h', '2'})))), Malformed, ErrExtension},
	{"bytes after the protocols", records(helloOf(extensionOf(extensionALPN, append(vector16([]byte{1, 'a'}), 0)))), Malformed, ErrExtension},
	{"empty versions", records(helloOf(extensionOf(extensionSupportedVersions, vector8()))), Malformed, ErrExtension},
	{"half a version", records(helloOf(extensionOf(extensionSupportedVersions, vector8([]byte{3, 4, 3})))), Malformed, ErrExtension},
	{"bytes after the versions", records(helloOf(extensionOf(extensionSupportedVersions, []byte{2, 3, 4, 0}))), Malformed, ErrExtension},
}

func TestRefusedHellos(t *testing.T) {
	for _, tt := range refusedHellos {
		t.Run(tt.name, func(t *testing.T) {
			h, state, err := ParseClientHello(tt.in)
			if state != tt.state || err != tt.err {
				t.Errorf("got %v, %v, want %v, %v", state, err, tt.state, tt.err)
			}
			if h.Size != 0 || h.ServerName != nil {
				t.Errorf("got %+v", h)
			}
			checkStream(t, tt.in, MaxHello, parseHello)
		})
	}
}

// TestHelloBound: the bound counts everything up to the end of the message, and is told as soon as
// it is known.
func TestHelloBound(t *testing.T) {
	fill := func(size int) []byte {
		rest := size - len(helloOf([]byte{})) - len(extensionOf(21, nil))
		return helloOf(extensionOf(21, make([]byte, rest)))
	}
	tests := []struct {
		name  string
		in    []byte
		state State
	}{
		{"one record, at the bound", records(fill(MaxHello - recordHead)), Done},
		{"one record, above", records(fill(MaxHello - recordHead + 1)), Malformed},
		{"two records, at the bound", records(fill(MaxHello-2*recordHead), 100), Done},
		{"two records, above", records(fill(MaxHello-2*recordHead+1), 100), Malformed},
		{"256 records, at the bound", records(fill(MaxHello-256*recordHead), slices.Repeat([]int{1}, 255)...), Done},
		{"257 records", records(fill(1000), slices.Repeat([]int{1}, 256)...), Malformed},
		{"records of one byte", records(fill(1000), slices.Repeat([]int{1}, 1000)...), Malformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, state, err := ParseClientHello(tt.in)
			if state != tt.state || (state == Malformed) != (err == error(ErrHelloTooLong)) {
				t.Errorf("got %v, %v, want %v", state, err, tt.state)
			}
			if state == Done && h.Size != MaxHello {
				t.Errorf("size %d, want %d", h.Size, MaxHello)
			}
			checkStream(t, tt.in, MaxHello, parseHello)
		})
	}
}

func TestBytesBehindTheHello(t *testing.T) {
	b := helloOf(names("a.b"))
	in := concat([]byte{22, 3, 1}, vector16(b, []byte{20, 0, 0, 0}), []byte("rest"))
	h, state, err := ParseClientHello(in)
	if state != Done || h.Size != recordHead+len(b) {
		t.Errorf("got %v, %d, %v, want size %d", state, h.Size, err, recordHead+len(b))
	}
	checkStream(t, in, MaxHello, parseHello)
}

// FuzzParseClientHello: what was decided stays decided, nothing is read beyond the end, and what
// crypto/tls accepts as well it reads in the same way.
func FuzzParseClientHello(f *testing.F) {
	for _, tt := range refusedHellos {
		f.Add(tt.in)
	}
	b := helloOf(names("shop.example.com"), alpn("h2", "http/1.1"), extensionOf(extensionSupportedVersions, vector8(bytes16(0x0a0a, 0x0304))))
	f.Add(records(b))
	f.Add(records(b, 1, 2, 3, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		checkStream(t, b, MaxHello, parseHello)
		if !bytes.Equal(b, before) {
			t.Fatal("the input was changed")
		}
		h, state, _ := ParseClientHello(b)
		if state != Done {
			return
		}
		if h.ServerName != nil && !ValidName(h.ServerName) || len(h.SessionID) > 32 {
			t.Fatalf("got %+v", h)
		}
		if info := facts(b[:h.Size]); info != nil {
			compare(t, &h, info)
		}
	})
}
