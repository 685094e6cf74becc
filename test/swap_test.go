package test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// curls runs curl again and again, a handshake each, until quit.
func curls(path string, args []string, quit <-chan struct{}) (n int, err error) {
	for {
		select {
		case <-quit:
			return n, err
		default:
		}
		n++
		if out, fault := exec.Command(path, args...).CombinedOutput(); fault != nil || string(out) != "200" {
			err = errors.Join(err, fmt.Errorf("curl %d: %w: %s", n, fault, out))
		}
	}
}

// TestCertificateSwap replaces the files of a certificate while clients make handshakes and others
// keep their connections: by the signal, by the verb, with broken ones in between, and without a word.
// No client sees an error, and what is served follows the files that are good.
func TestCertificateSwap(t *testing.T) {
	t.Parallel()
	path := program(t, "curl")
	a := newAuthority(t)
	began := time.Now().Truncate(time.Second)
	shop := identity{file: "shop", name: "shop", hosts: []string{"shop.example"}, key: ecKey(t)}
	install := func(serial int64) {
		t.Helper()
		shop.serial, shop.notAfter = serial, began.Add(time.Duration(serial)*time.Hour)
		a.issue(shop)
	}
	install(10)
	d, _ := startTLS(t, map[string]string{"shop": certificates(a.path("shop.crt"), a.path("shop.key"))})
	address := d.address("shop")
	trust := &tls.Config{RootCAs: a.pool(), ServerName: "shop.example"}
	serves := func(serial int64) bool {
		t.Helper()
		c, err := tls.Dial("tcp", address, trust)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		until := d.metric("weir_tls_certificate_not_after_seconds", "listener", "shop", "name", a.path("shop.crt"))
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64() == serial &&
			until == float64(began.Add(time.Duration(serial)*time.Hour).Unix())
	}
	if !serves(10) {
		t.Fatalf("the first certificate is not served, or its end is not shown")
	}

	kept := drive(t, load{url: "https://" + address, tls: trust, clients: 4, rate: 200})
	fresh := drive(t, load{url: "https://" + address, tls: trust, clients: 4, rate: 100, fresh: true})
	resumes := trust.Clone()
	resumes.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	resuming := drive(t, load{url: "https://" + address, tls: resumes, clients: 2, rate: 50, fresh: true})
	host, port, _ := cutLast(address, ":")
	quit := make(chan struct{})
	var curling sync.WaitGroup
	var runs int
	var fault error
	curling.Go(func() {
		runs, fault = curls(path, []string{"-sS", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", a.path("ca.crt"),
			"--resolve", "shop.example:" + port + ":" + host, "https://shop.example:" + port + "/"}, quit)
	})
	stop := sync.OnceFunc(func() { close(quit); curling.Wait() })
	t.Cleanup(stop)

	install(11)
	d.signal(syscall.SIGHUP)
	eventually(t, "the second certificate is served", func() bool { return serves(11) })
	for serial := range int64(5) {
		install(12 + serial)
		if code, _, stderr := d.cli("reload"); code != 0 || !serves(12+serial) {
			t.Errorf("after certificate %d: exit code %d, or it is not served: %s", 12+serial, code, stderr)
		}
	}

	d.expect("reload refused")
	d.expect("certificates not renewed")
	one, _ := a.issue(identity{file: "one", name: "one", serial: 99, hosts: shop.hosts})
	for _, broken := range [][]byte{[]byte("-----BEGIN CERTIFICATE-----\nbroken\n"), nil, readFile(t, one)} { // the last of another key
		a.replace(a.path("shop.crt"), broken)
		if code, _, stderr := d.cli("reload"); code == 0 || !strings.Contains(stderr, "shop.crt") {
			t.Errorf("reload with a broken file: exit code %d: %s", code, stderr)
		}
		if !serves(16) || d.metric("weir_config_last_reload_successful") != 0 {
			t.Error("with a broken file: the certificate before is not served, or the metric does not tell")
		}
	}
	a.replace(a.path("shop.crt"), []byte("broken"))
	eventually(t, "the log tells that the files are broken", func() bool { return strings.Contains(d.log.String(), "certificates not renewed") })
	if !serves(16) {
		t.Error("with a broken file: the certificate before is not served")
	}
	if d.metric("weir_tls_certificate_refresh_errors_total", "listener", "shop") == 0 {
		t.Error("with a broken file: the metric does not tell")
	}
	install(18)
	eventually(t, "the last certificate is served without a word", func() bool { return serves(18) })

	stop()
	if fault != nil || runs < 20 {
		t.Errorf("curl: %d runs, %v", runs, fault)
	}
	if n := kept.closed.Load(); n != 0 {
		t.Errorf("%d kept connections were closed", n)
	}
	for name, tr := range map[string]*traffic{"kept": kept, "fresh": fresh, "resuming": resuming} {
		calls := tr.stop()
		t.Logf("%s: %d requests", name, len(calls))
		wantNoFailure(t, calls)
	}
	if got := d.metric("weir_tls_handshakes_total", "result", "error"); got != 0 {
		t.Errorf("handshakes that failed: got %v, want none", got)
	}
}
