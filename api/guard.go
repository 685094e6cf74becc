package api

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// maxRequestBody bounds what a client may send; nothing that this server takes is larger.
const maxRequestBody = 1 << 20

// readOnly is the door of the TCP address: reads, under a name that cannot have been rebound.
func readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !localHost(r.Host) {
			writeError(w, problem(http.StatusForbidden,
				"Host "+quote(r.Host)+" is not served here",
				"use an IP address or localhost; other names are refused against DNS rebinding"))
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			writeError(w, problem(http.StatusForbidden,
				r.Method+" is not allowed on the TCP address, which serves reads only",
				"use the admin socket"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// limited bounds the body of a request.
func limited(next http.Handler) http.Handler {
	return http.MaxBytesHandler(next, maxRequestBody)
}

// localHost reports whether a Host field names an IP address or localhost, with or without a port.
// Such names are not subject to DNS, or resolve to this machine only (RFC 6761, section 6.3).
func localHost(field string) bool {
	name := field
	if host, _, err := net.SplitHostPort(field); err == nil {
		name = host
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if strings.EqualFold(strings.TrimSuffix(name, "."), "localhost") {
		return true
	}
	_, err := netip.ParseAddr(name)
	return err == nil
}

// quote shortens a client's word for use in a message.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "…"
	}
	return `"` + s + `"`
}
