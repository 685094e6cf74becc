package test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"testing"

	"weir/internal/lbtest"
)

// webs is one pool of plain backends and one of TLS, each behind a plain and a TLS listener: /plain
// and /secure of "web" and of "shop".
type webs struct {
	*daemon
	shop          *lbtest.Certificate // what the TLS listener shows, for 127.0.0.1
	plain, secure *lbtest.HTTP
}

// startWebs runs weir before two backends that answer by f, with some time-outs of the defaults.
func startWebs(t *testing.T, f http.Handler, timeouts string) webs {
	t.Helper()
	inside := lbtest.NewCertificate(t, "backend.example")
	w := webs{
		shop:  lbtest.NewCertificate(t, "127.0.0.1"),
		plain: lbtest.NewHTTP(t, "plain"), secure: lbtest.NewHTTPS(t, "secure", inside),
	}
	w.plain.SetHandler(f)
	w.secure.SetHandler(f)
	w.daemon = start(t, fmt.Sprintf(`
listeners:
  web: { protocol: http, address: "127.0.0.1:0", routes: &r [{ path_prefix: /plain, pool: plain }, { path_prefix: /secure, pool: secure }] }
  shop:
    protocol: https
    address: "127.0.0.1:0"
    routes: *r
    tls: { certificates: [{ cert: %s, key: %s }] }
pools:
  plain: { backends: %s }
  secure: { protocol: https, tls: { ca: %s, server_name: backend.example }, backends: %s }
defaults: { timeouts: { %s } }
`, w.shop.CertFile, w.shop.KeyFile, listed(w.plain), inside.CertFile, listed(w.secure), timeouts))
	w.awaitHealth("plain", "plain", "up")
	w.awaitHealth("secure", "secure", "up")
	return w
}

// ways are the four ways through webs.
var ways = []struct{ listener, pool string }{{"web", "plain"}, {"web", "secure"}, {"shop", "plain"}, {"shop", "secure"}}

// at is the address of a way: scheme, or scheme and "s", and path below that of the pool.
func (w webs) at(scheme, listener, path string) string {
	w.t.Helper()
	if listener == "shop" {
		scheme += "s"
	}
	return scheme + "://" + w.address(listener) + path
}

// transport is that of a client which trusts the TLS listener. Its connections end with the test.
func (w webs) transport(t *testing.T) *http.Transport {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: w.shop.Client(t).Config.Clone(), DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// dialShop opens a TLS connection of its own.
func (w webs) dialShop(t *testing.T) *tls.Conn {
	t.Helper()
	c, err := w.shop.Client(t).DialContext(t.Context(), "tcp", w.address("shop"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the test may have closed it
	return c.(*tls.Conn)
}
