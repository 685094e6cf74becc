package session

import (
	"fmt"
	"testing"
	"time"
)

func BenchmarkDecode(b *testing.B) {
	c := mustCodec(b, "web", keyA)
	value := c.Encode(nil, "b1", issue)
	b.ReportAllocs()
	for b.Loop() {
		c.Decode(value, issue, day)
	}
}

func BenchmarkDecodeForeign(b *testing.B) {
	c := mustCodec(b, "web", keyB)
	for b.Loop() {
		c.Decode([]byte(golden), issue, day)
	}
}

func BenchmarkEncode(b *testing.B) {
	c := mustCodec(b, "web", keyA)
	buf := make([]byte, 0, EncodedSize)
	b.ReportAllocs()
	for b.Loop() {
		buf = c.Encode(buf[:0], "b1", issue)
	}
}

func BenchmarkGet(b *testing.B) {
	for _, n := range []int{100, 10000, 1000000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			backend := backendsOf(1)[0]
			tb := NewTable(n, time.Hour)
			for i := range n {
				tb.Put(key(i), backend, 0)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				tb.Get(key(i*7919%n), 0)
			}
		})
	}
}

func BenchmarkPutEvicting(b *testing.B) {
	backend := backendsOf(1)[0]
	tb := NewTable(100000, time.Hour)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		tb.Put(key(i), backend, 0)
	}
}

func BenchmarkCookieKey(b *testing.B) {
	name, value := []byte("JSESSIONID"), []byte("0123456789abcdef0123456789abcdef")
	b.ReportAllocs()
	for b.Loop() {
		CookieKey(name, value)
	}
}
