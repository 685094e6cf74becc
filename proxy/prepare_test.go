package proxy

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/config"
	"weir/internal/lbtest"
)

// TestAbandon: what was prepared and given up has left nothing behind, and can be prepared again.
func TestAbandon(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("", "", o.Addr()))
	port := freed(t)
	c := load(t, site("", "", o.Addr()), func(c *config.Config) {
		more := *c.Listeners["web"]
		more.Name, more.Addresses = "more", []string{port}
		c.Listeners["more"] = &more
	})
	before := r.addr()
	for range 2 {
		p, err := r.s.Prepare(c, true)
		if err != nil {
			t.Fatal(err)
		}
		p.Abandon()
	}
	if all := r.s.Listeners(); len(all) != 1 || r.addr() != before {
		t.Errorf("got %v, want web at %s alone", all, before)
	}
	p, err := r.s.Prepare(c, true)
	if err != nil {
		t.Fatal(err)
	}
	if change := p.Commit(); change.ListenersAdded != 1 || change.ConnectionsClosed != 0 {
		t.Errorf("got %+v", change)
	}
	dial(t, r.addr("more")).get("/", "ok")
}

// TestConnectionsClosed: those of an address that is given up are counted, others are not.
func TestConnectionsClosed(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("", "", o.Addr()), func(c *config.Config) {
		more := *c.Listeners["web"]
		more.Name = "more"
		c.Listeners["more"] = &more
	})
	for _, name := range []string{"web", "more", "more"} {
		dial(t, r.addr(name)).get("/", "ok")
	}
	if change := r.apply(load(t, site("", "", o.Addr()))); change.ConnectionsClosed != 2 || change.ListenersRemoved != 1 {
		t.Errorf("got %+v, want 2 connections closed", change)
	}
}

// TestPrepareKeepsFiles: files that have gone are in the way of a reload, but not of a change of something
// else.
func TestPrepareKeepsFiles(t *testing.T) {
	dir := t.TempDir()
	page, authority := filepath.Join(dir, "503.html"), filepath.Join(dir, "ca.pem")
	pem, err := os.ReadFile(lbtest.NewCertificate(t, "localhost").CertFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{page: []byte("sorry"), authority: pem} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := site("error_pages: { 503: "+page+" }", "protocol: https\ntls: { ca: "+authority+" }", answering(t, ok200).Addr())
	r := start(t, text)
	for _, name := range []string{page, authority} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	c := load(t, text)
	_, err = r.s.Prepare(c, true)
	if err == nil || !strings.Contains(err.Error(), "error_pages.503") || !strings.Contains(err.Error(), "pools.app.tls.ca") {
		t.Errorf("reread: got %v, want the files that are missing", err)
	}
	p, err := r.s.Prepare(c, false)
	if err != nil {
		t.Fatal(err)
	}
	p.Commit()
	c = load(t, strings.Replace(text, "tls: {", "tls: { server_name: other,", 1))
	if _, err := r.s.Prepare(c, false); err == nil {
		t.Error("the files of settings that have changed are not read")
	}
}

// freed is an address that was free a moment ago.
func freed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
