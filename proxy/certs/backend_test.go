package certs

import (
	"crypto/tls"
	"net/netip"
	"testing"
)

func TestToBackend(t *testing.T) {
	a, b := netip.MustParseAddrPort("192.0.2.1:443"), netip.MustParseAddrPort("192.0.2.1:8443")
	tests := []struct{ name, given, host, want string }{
		{"named", "backend.internal", "app.example", "backend.internal"},
		{"by its host", "", "app.example", "app.example"},
		{"by its host, absolute", "", "app.example.", "app.example"},
		{"by its address", "", "", "192.0.2.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &tls.Config{ServerName: tt.given, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
			toA, toB, again := ToBackend(c, a, tt.host), ToBackend(c, b, tt.host), ToBackend(c, a, tt.host)
			if toA.ServerName != tt.want || toA.MinVersion != c.MinVersion || c.ServerName != tt.given {
				t.Errorf("got the name %q, and the original has %q", toA.ServerName, c.ServerName)
			}
			session := new(tls.ClientSessionState)
			toA.ClientSessionCache.Put("key", session)
			if got, ok := again.ClientSessionCache.Get("key"); !ok || got != session {
				t.Error("the session with the backend is not found again")
			}
			if _, ok := toB.ClientSessionCache.Get("key"); ok {
				t.Error("another backend gets its session")
			}
			toB.ClientSessionCache.Put("key", nil) // that of a ticket that was refused
			if _, ok := again.ClientSessionCache.Get("key"); !ok {
				t.Error("another backend displaces its session")
			}
			toA.ClientSessionCache.Put("key", nil)
			if _, ok := again.ClientSessionCache.Get("key"); ok {
				t.Error("a session that was taken out is found")
			}
		})
	}
	if got := ToBackend(&tls.Config{}, a, ""); got.ClientSessionCache != nil {
		t.Error("a cache came from nowhere")
	}
}
