package proxy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"weir/config"
	"weir/internal/lbtest"
)

func TestErrorPages(t *testing.T) {
	file := filepath.Join(t.TempDir(), "503.html")
	if err := os.WriteFile(file, []byte("<!DOCTYPE html><title>Sorry</title>"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := site("", "", lbtest.Refusing(t))
	pages := func(c *config.Config) { c.Listeners["web"].ErrorPages = map[int]string{503: file} }
	r := start(t, text, pages)
	c := r.dial()
	for _, method := range []string{"GET", "HEAD"} {
		c.send(method + " / HTTP/1.1\r\nHost: shop.example\r\n\r\n")
		part := "<title>Sorry"
		if method == "HEAD" {
			part = ""
		}
		a := c.want(method, 503, part)
		if got := a.Header.Get("Content-Type"); got != "text/html; charset=utf-8" || a.ContentLength != 35 {
			t.Errorf("%s: %q, %d bytes", method, got, a.ContentLength)
		}
	}
	c.send("GET / HTTP/1.1\r\n\r\n") // a status without a page
	c.want("GET", 400, "Host field missing")

	gone := load(t, text, pages)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := r.s.Apply(gone); err == nil || !strings.Contains(err.Error(), "listeners.web.error_pages.503") {
		t.Errorf("Apply: %v, want an error that names the page", err)
	}
}

var randomID = regexp.MustCompile(`^[0-9a-f]{32}$`)

func TestRequestID(t *testing.T) {
	o := answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Request-ID: of-the-backend\r\n\r\nok")
	for _, trusted := range []bool{false, true} {
		r := start(t, site("", "", o.Addr()), func(c *config.Config) {
			c.Listeners["web"].RequestID = true
			if trusted {
				c.Listeners["web"].Forwarded.Trust = load(t, site("forwarded: { trust: [127.0.0.1] }", "", o.Addr())).Listeners["web"].Forwarded.Trust
			}
		})
		c := r.dial()
		seen := map[string]bool{}
		for range 3 {
			got := c.get("/", "ok").Header.Values("X-Request-Id")
			if len(got) != 1 || !randomID.MatchString(got[0]) || seen[got[0]] {
				t.Fatalf("X-Request-ID is %q", got)
			}
			seen[got[0]] = true
			if head := o.last(); !strings.Contains(head, "X-Request-ID: "+got[0]+"\r\n") {
				t.Errorf("the backend got %q, the client %s", head, got[0])
			}
		}
		c.send("GET / HTTP/1.1\r\nHost: shop.example\r\nx-request-id: mine\r\n\r\n")
		got := c.want("GET", 200, "ok").Header.Get("X-Request-Id")
		if (got == "mine") != trusted {
			t.Errorf("trusted %v: X-Request-ID is %q", trusted, got)
		}
		if n := strings.Count(strings.ToLower(o.last()), "x-request-id:"); n != 1 {
			t.Errorf("the backend got %d ids", n)
		}
	}
}
