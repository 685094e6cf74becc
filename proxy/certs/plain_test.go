package certs

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"
)

func TestLooksLikeHTTP(t *testing.T) {
	tests := []struct {
		first string
		want  bool
	}{
		{"GET / HTTP/1.1\r\n", true}, {"GET /", true}, {"GET ", true}, {"HEAD ", true}, {"HEAD", true}, {"POST /x", true},
		{"OPTIO", true}, {"OPTIONS * HTTP/1.1", true}, {"DELET", true}, {"CONNE", true}, {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", true}, {"PROPF", true},
		{"", false}, {"G", false}, {"GET", false}, {"GETX ", false}, {"get /", false}, {"GET\t/", false}, {"OPTIX", false}, {"HEADS", false},
		{"SSH-2.0-OpenSSH", false}, {"EHLO a.example", false}, {"\x16\x03\x01\x02\x00", false}, {"\x80\x2e\x01\x03\x01", false}, {"PROXY TCP4 ", false}, {"\x00\x00\x00\x00", false},
	}
	for _, tt := range tests {
		if got := LooksLikeHTTP([]byte(tt.first)); got != tt.want {
			t.Errorf("%q: %v, want %v", tt.first, got, tt.want)
		}
	}
	first := []byte("PROPPATCH / HTTP/1.1")
	if n := testing.AllocsPerRun(100, func() { LooksLikeHTTP(first) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// TestPlainRequest has crypto/tls meet a plain request, and recognises it by what it hands out.
func TestPlainRequest(t *testing.T) {
	a := newAuthority(t, "Authority")
	i := mustNew(t, Options{Certificates: []Pair{a.issue(t, "a", spec{names: []string{"a.example"}})}}, nil)
	s := serve(t, i.Config())
	for _, first := range []string{"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "EHLO a.example\r\n"} {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(first)); err != nil {
			t.Fatal(err)
		}
		header, ok := errors.AsType[tls.RecordHeaderError](<-s.errs)
		conn.Close()
		if want := first[0] == 'G'; !ok || LooksLikeHTTP(header.RecordHeader[:]) != want {
			t.Errorf("%q: %+v, want HTTP %v", first, header.RecordHeader, want)
		}
	}
}
