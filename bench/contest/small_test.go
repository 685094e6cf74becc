package contest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestSmallServer talks to the origin in one piece and in many, with several requests at once.
func TestSmallServer(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &origin{}
	done := make(chan error, 1)
	go func() { done <- o.serveSmall(l) }()
	defer func() { l.Close(); <-done }()
	request := func(method, path, fields string) string {
		return method + " " + path + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n"
	}
	long := "X-Long: " + strings.Repeat("x", 10_000) + "\r\n"
	tests := []struct {
		method, path, fields string
		status               int
		body                 string
		again                bool
	}{
		{"GET", smallPath, "", 200, smallBody, true},
		{"GET", smallPath, long, 200, smallBody, true},
		{"GET", healthPath, "", 200, "ok", true},
		{"GET", echoPath, "X-A: b\r\nX-A: c\r\n", 200, `"X-A":["b","c"]`, true},
		{"GET", "/nowhere", "", 404, "", true},
		{"POST", smallPath, "", 405, "", true},
		{"GET", smallPath, "Connection: close\r\n", 200, smallBody, false},
	}
	for _, size := range []int{1 << 20, 7} {
		c, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		var all string
		for _, tt := range tests {
			all += request(tt.method, tt.path, tt.fields)
		}
		go func() {
			for rest := all; rest != ""; rest = rest[min(size, len(rest)):] {
				if _, err := io.WriteString(c, rest[:min(size, len(rest))]); err != nil {
					return // the reader sees it
				}
			}
		}()
		r := bufio.NewReader(c)
		for _, tt := range tests {
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatalf("%s %s: %v", tt.method, tt.path, err)
			}
			body, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != tt.status || !strings.Contains(string(body), tt.body) || res.Close == tt.again {
				t.Errorf("%s %s: got %d %q %v", tt.method, tt.path, res.StatusCode, body, err)
			}
		}
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("after the last one: got %v, want the end", err)
		}
	}
	if got := o.exchanges.Load(); got != 6 {
		t.Errorf("%d exchanges were counted, want 6", got)
	}
}
