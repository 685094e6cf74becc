package proxy

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/config"
	"weir/telemetry"
)

// A request whose head is refused is answered and logged like others, as far as it was understood.
func TestRefusedRequests(t *testing.T) {
	type entry struct {
		Method, Path, Host, Proto string
		Status                    int
		RequestID                 string `json:"request_id"`
	}
	tests := []struct {
		name, in string
		want     entry
	}{
		{"no Host", "GET /a?q HTTP/1.1\r\n\r\n", entry{"GET", "/a?q", "", "HTTP/1.1", 400, ""}},
		{"bad Host", "HEAD /a HTTP/1.1\r\nHost: x y\r\n\r\n", entry{"HEAD", "/a", "", "HTTP/1.1", 400, ""}},
		{"expectation", "HEAD /a HTTP/1.1\r\nHost: h\r\nExpect: foo\r\n\r\n", entry{"HEAD", "/a", "h", "HTTP/1.1", 417, ""}},
		{"target too long", "HEAD /" + strings.Repeat("a", 17<<10) + " HTTP/1.1\r\nHost: h\r\n\r\n", entry{"HEAD", "", "", "", 414, ""}},
		{"too many fields", "HEAD /a HTTP/1.0\r\n" + strings.Repeat("A: b\r\n", 200) + "\r\n", entry{"HEAD", "/a", "", "HTTP/1.0", 431, ""}},
		{"bad version", "GET /a HTTP/2.0\r\nHost: h\r\n\r\n", entry{"GET", "/a", "", "", 505, ""}},
		{"no version", "HEAD /a\r\n\r\n", entry{"HEAD", "", "", "", 400, ""}},
		{"bad target", "HEAD a HTTP/1.1\r\nHost: h\r\n\r\n", entry{"HEAD", "a", "", "HTTP/1.1", 400, ""}},
		{"bad field", "PUT /a HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n", entry{"PUT", "/a", "", "HTTP/1.1", 400, ""}},
		{"CONNECT", "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", entry{"CONNECT", "h:1", "", "HTTP/1.1", 501, ""}},
		{"garbage", "\x16\x03\x01\r\n\r\n", entry{"", "", "", "", 400, ""}},
		{"body too large", "HEAD /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2048\r\n\r\n", entry{"HEAD", "/a", "h", "HTTP/1.1", 413, ""}},
		{"out of time", "HEAD /a HTTP/1.1\r\nHost", entry{"HEAD", "/a", "", "HTTP/1.1", 408, ""}},
	}
	path := filepath.Join(t.TempDir(), "access.log")
	log, err := telemetry.OpenAccessLog(config.AccessLog{Output: path, Format: "json", Sample: 1}, func(uint64) {})
	if err != nil {
		t.Fatal(err)
	}
	r := startWith(t, load(t, site("request_id: true\ntimeouts: { client_header: 300ms }\nlimits: { max_body: 1KiB }", "", answering(t, ok200).Addr())), log)
	var ids []string
	for _, tt := range tests {
		c := r.dial()
		c.send(tt.in)
		b, err := io.ReadAll(c.r)
		head, body, _ := strings.Cut(string(b), "\r\n\r\n")
		if err != nil || strings.Contains(head, "Content-Length: 0") || (tt.want.Method == "HEAD") != (body == "") {
			t.Errorf("%s: got %q %v", tt.name, b, err)
		}
		_, id, _ := strings.Cut(head, "X-Request-ID: ")
		id, _, _ = strings.Cut(id, "\r\n")
		ids = append(ids, id)
	}
	r.stop(patience)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var got []entry
	for s := bufio.NewScanner(f); s.Scan(); {
		var e entry
		if err := json.Unmarshal(s.Bytes(), &e); err != nil {
			t.Fatalf("%s: %v", s.Bytes(), err)
		}
		got = append(got, e)
	}
	if len(got) != len(tests) {
		t.Fatalf("%d lines, want %d", len(got), len(tests))
	}
	for i, tt := range tests {
		want := tt.want
		if want.RequestID = ids[i]; len(want.RequestID) != 32 || got[i] != want {
			t.Errorf("%s: logged %+v, want %+v", tt.name, got[i], want)
		}
	}
}
