package api

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"weir/telemetry"
)

// callerKey is the key of the caller in the context of a request, peerKey that of the user at the other end of
// the socket in the context of a connection.
type (
	callerKey struct{}
	peerKey   struct{}
)

// Actor is who sent a request that came to this server, by the context of that: the name of a credential, the
// user at the other end of the socket. For logs and events.
func Actor(ctx context.Context) string {
	if c, ok := ctx.Value(callerKey{}).(caller); ok {
		return c.name
	}
	if uid, ok := ctx.Value(peerKey{}).(uint32); ok {
		return "uid " + strconv.FormatUint(uint64(uid), 10)
	}
	return "the admin socket"
}

// withPeer remembers which user a connection of the socket is of.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	if b, ok := c.(*boundedConn); ok {
		c = b.Conn
	}
	unix, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := unix.SyscallConn()
	if err != nil {
		return ctx
	}
	var peer *syscall.Ucred
	if controlErr := raw.Control(func(fd uintptr) {
		peer, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); controlErr != nil || err != nil {
		return ctx // it is for logs only
	}
	return context.WithValue(ctx, peerKey{}, peer.Uid)
}

// guard is the door of the TCP address. It lets in requests under a name that cannot have been rebound, of a
// caller who may send them, and writes only if no page of another origin sent them.
type guard struct {
	access   func() Access
	origins  *http.CrossOriginProtection
	refusals *refusals
}

func (g *guard) door(open func(*http.Request) bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, reason, refused := g.judge(r, open(r))
		if refused == nil {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
			return
		}
		g.refusals.add(r, reason, refused.Detail)
		if refused.Status == http.StatusUnauthorized {
			challenge := `Bearer realm="weir"`
			if c.shown {
				challenge += `, error="invalid_token"`
			}
			w.Header().Set("WWW-Authenticate", challenge)
		}
		writeError(w, refused)
	})
}

// judge says who sent a request, or why it is refused. What is open may be read by anybody.
func (g *guard) judge(r *http.Request, open bool) (caller, telemetry.AdminRefusal, *Problem) {
	if !localHost(r.Host) {
		return caller{}, telemetry.RefusedHost, problem(http.StatusForbidden,
			"Host "+quote(r.Host)+" is not served here",
			"use an IP address or localhost; other names are refused against DNS rebinding")
	}
	access := g.access()
	c := access.caller(r)
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case read && (c.reads || open):
		return c, 0, nil
	case c.shown && !c.reads:
		return c, telemetry.RefusedCredential, problem(http.StatusUnauthorized,
			"the credential is not known", "see admin.credentials; it is sent as Authorization: Bearer TOKEN, or X-Auth-Token: TOKEN")
	case len(access.Credentials) > 0 && !c.shown && !c.write:
		return c, telemetry.RefusedCredential, problem(http.StatusUnauthorized,
			"a credential is needed", "send Authorization: Bearer TOKEN, or X-Auth-Token: TOKEN, with one of admin.credentials")
	case c.shown && !c.write:
		return c, telemetry.RefusedRole, problem(http.StatusForbidden,
			"the credential "+quote(c.name)+" may read only", "use one whose role is admin, or the admin socket")
	case !c.write:
		return c, telemetry.RefusedReadOnly, problem(http.StatusForbidden,
			r.Method+" is not allowed on the TCP address, which serves reads only",
			"use the admin socket, or set admin.credentials")
	}
	if err := g.origins.Check(r); err != nil {
		return c, telemetry.RefusedOrigin, problem(http.StatusForbidden,
			"a page of another origin sent this", "send it from a program, or from a page of this address")
	}
	return c, 0, nil
}

// limited bounds the body of a request.
func limited(next http.Handler) http.Handler {
	return http.MaxBytesHandler(next, maxBody)
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
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return `"` + s + `"`
}
