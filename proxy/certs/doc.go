// Package certs holds what a TLS listener needs besides its sockets: certificates, the authorities
// of client certificates, the keys of session tickets, an OCSP staple, and the policy of versions
// and suites. It reads files; it never touches a connection and starts no goroutine.
//
// [New] reads everything that [Options] name and fails with all faults at once, each naming the file
// and what to do about it. What works but will not work well, or not for long, is a warning. The
// result is an [Identity]. [Identity.Config] is the *tls.Config for a server, the same for the life
// of the Identity: at each ClientHello it loads the present state from an atomic pointer, so a
// change is seen by the next handshake and never by a connection that exists.
//
// [Identity.Refresh] reads the files again; whoever owns the Identity decides when. Each file stands
// alone: a bad one is reported and what was read from it before stays in use, and the good ones are
// not held back. A certificate and its key are one: while only one of them has been replaced, the
// error is [ErrMismatch] and the old pair stays.
//
// A [Set] chooses by server name: the exact name, then the wildcard, which stands for one whole
// label, then the first certificate. Names are those of the subject alternative name alone, in any
// letter case. Clients that connect to an address without a name get the certificate of that
// address. If certificates of several key types carry a name, the client gets the first that it can
// verify of ECDSA, Ed25519 and RSA; of the same type, the first in the file has the name.
//
// Session tickets are encrypted with the keys given, so that every process with the same keys
// resumes them, else with keys of crypto/tls's own, replaced daily and kept for a week. Those
// outlive a Refresh, and a reload when the Identity before is handed to New. A resumed session
// brings its client certificate along; crypto/tls looks at its expiry and at the authorities in
// force, so an authority that was removed ends resumption too.
//
// [ClientCertificateOf] renders the certificate of a client for header fields towards backends.
// [LooksLikeHTTP] recognises a client that speaks plain HTTP to a TLS port.
//
// [ToBackend] adapts the settings of a pool to one of its backends, so that each resumes its own sessions.
//
// Sets are immutable; all methods of Identity may be called from any goroutine.
package certs
