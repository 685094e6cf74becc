package telemetry

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// scraped is the lines of a metric, without its name.
func scraped(t *testing.T, r *Registry, metric string) []string {
	t.Helper()
	var found []string
	for _, line := range own(scrapeText(t, r, "/metrics")) {
		if rest, ok := strings.CutPrefix(line, metric); ok {
			found = append(found, rest)
		}
	}
	return found
}

func TestHandshakes(t *testing.T) {
	r := New(Options{})
	r.Listener("plain").ConnectionOpened(0)
	l := r.Listener("web")
	if got := scraped(t, r, "weir_tls_"); len(got) != 0 {
		t.Errorf("before the first handshake there is %q", got)
	}
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS12} {
		l.Handshake(version, true)
	}
	l.Handshake(tls.VersionTLS13, false)
	const beforeTLS, afterTLS13 = tls.VersionTLS10 - 1, tls.VersionTLS13 + 1
	for _, version := range []uint16{0, 1, beforeTLS, afterTLS13, 0xffff} {
		l.Handshake(version, false)
	}
	want := []string{
		`{listener="web",result="error",version="1.0"} 0`,
		`{listener="web",result="error",version="1.1"} 0`,
		`{listener="web",result="error",version="1.2"} 0`,
		`{listener="web",result="error",version="1.3"} 1`,
		`{listener="web",result="error",version="unknown"} 5`,
		`{listener="web",result="ok",version="1.0"} 1`,
		`{listener="web",result="ok",version="1.1"} 1`,
		`{listener="web",result="ok",version="1.2"} 2`,
		`{listener="web",result="ok",version="1.3"} 0`,
		`{listener="web",result="ok",version="unknown"} 0`,
	}
	if got := scraped(t, r, "weir_tls_handshakes_total"); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// One failed handshake is enough for the others to be shown at zero: rates begin there.
func TestHandshakesAreShownFromTheFirstOn(t *testing.T) {
	for _, ok := range []bool{true, false} {
		r := New(Options{})
		r.Listener("web").Handshake(0, ok)
		if got := scraped(t, r, "weir_tls_handshakes_total"); len(got) != 10 {
			t.Errorf("ok %v: %d series, want 10: %q", ok, len(got), got)
		}
	}
}

func TestHandshakesConcurrently(t *testing.T) {
	l := New(Options{}).Listener("web")
	const goroutines, each = 4, 1000
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range each {
				l.Handshake(tls.VersionTLS13, true)
			}
		})
	}
	wg.Wait()
	if got := l.handshakes[tls13][handshakeOK].Load(); got != goroutines*each {
		t.Errorf("%d handshakes, want %d", got, goroutines*each)
	}
}

func TestSetCertificates(t *testing.T) {
	at := func(seconds int64) time.Time { return time.Unix(seconds, 999) }
	tests := []struct {
		name string
		set  []Certificate
		want []string
	}{
		{"none", nil, nil},
		{"two", []Certificate{{"shop", at(1000)}, {"blog", at(-5)}}, []string{
			`{listener="web",name="blog"} -5`, `{listener="web",name="shop"} 1000`}},
		{"another set", []Certificate{{"new", at(1 << 31)}}, []string{
			`{listener="web",name="new"} 2.147483648e+09`}},
		// As when a name has a certificate of each kind of key: what expires first is what matters.
		{"same name", []Certificate{{"a", at(30)}, {"b", at(1)}, {"a", at(10)}, {"a", at(20)}}, []string{
			`{listener="web",name="a"} 10`, `{listener="web",name="b"} 1`}},
		{"empty again", []Certificate{}, nil},
	}
	core, logged := observer.New(zap.WarnLevel)
	r := New(Options{Log: zap.New(core)})
	l := r.Listener("web")
	r.Listener("plain")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			given := slices.Clone(tt.set)
			l.SetCertificates(given)
			if !slices.Equal(given, tt.set) {
				t.Errorf("the caller's slice became %v, was %v", given, tt.set)
			}
			clear(given) // it is the caller's again
			got := scraped(t, r, "weir_tls_certificate_not_after_seconds")
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if logged.Len() > 0 {
		t.Errorf("broken scrapes: %v", logged.All())
	}
}

// The counter is there from the first certificate on, and for listeners that have one alone.
func TestCertificatesNotRenewed(t *testing.T) {
	r := New(Options{})
	l := r.Listener("web")
	r.Listener("plain").SetCertificates(nil)
	got := func() []string { return scraped(t, r, "weir_tls_certificate_refresh_errors_total") }
	if lines := got(); len(lines) != 0 {
		t.Errorf("without certificates there is %q", lines)
	}
	l.SetCertificates([]Certificate{{"shop", testStart}})
	for n := range 3 {
		if lines, want := got(), fmt.Sprintf(`{listener="web"} %d`, n); len(lines) != 1 || lines[0] != want {
			t.Errorf("got %q, want %q alone", lines, want)
		}
		l.CertificatesNotRenewed()
	}
}

// A scrape has the certificates of one set, never of two.
func TestSetCertificatesAtOnce(t *testing.T) {
	r := New(Options{})
	l := r.Listener("web")
	var sets [2][]Certificate
	for i := range sets {
		for n := range 10 {
			sets[i] = append(sets[i], Certificate{fmt.Sprintf("set%d-%d", i, n), testStart})
		}
	}
	l.SetCertificates(sets[0])
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				l.SetCertificates(sets[i%2])
			}
		}
	})
	defer wg.Wait()
	defer close(stop)
	for range 50 {
		got := scraped(t, r, "weir_tls_certificate_not_after_seconds")
		first := strings.Count(strings.Join(got, ""), "set0-")
		if len(got) != 10 || first != 0 && first != 10 {
			t.Fatalf("%d certificates, %d of the first set: %q", len(got), first, got)
		}
	}
}
