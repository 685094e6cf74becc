package route

import (
	"weir/config"
	"weir/proxy/message"
)

// Action is what a route does beyond naming a pool. It is immutable, and any goroutine may use it.
// The methods of a nil Action change nothing.
//
// An action that answers has one of Redirect and Respond: no backend sees the request, and the
// answer gets ResponseHeaders. In the others both are nil.
type Action struct {
	Redirect *config.Redirect // Location makes the value of its field from To
	Respond  *config.Respond

	RequestHeaders  HeaderChange
	ResponseHeaders HeaderChange

	location template
	prefix   string   // in plain form, without a slash at the end; empty: nothing is taken off
	rewrite  template // empty: what is left of the path
}

// newAction returns nil if r only names pools.
func newAction(r *config.Route) *Action {
	a := &Action{
		Redirect: r.Redirect, Respond: r.Respond,
		RequestHeaders: newHeaderChange(r.RequestHeaders), ResponseHeaders: newHeaderChange(r.ResponseHeaders),
		prefix: newPrefix(r.StripPrefix), rewrite: newTemplate(r.Rewrite),
	}
	if r.Redirect != nil {
		a.location = newTemplate(r.Redirect.To)
	}
	if r.Redirect == nil && r.Respond == nil && !a.ChangesTarget() && a.RequestHeaders.empty() && a.ResponseHeaders.empty() {
		return nil
	}
	return a
}

// ClaimsRequest reports whether the action removes or replaces every field of the request of a name,
// given in lower case: whoever writes fields of its own leaves that one out.
func (a *Action) ClaimsRequest(lower string) bool { return a != nil && a.RequestHeaders.claims(lower) }

// ClaimsResponse is ClaimsRequest for the response.
func (a *Action) ClaimsResponse(lower string) bool {
	return a != nil && a.ResponseHeaders.claims(lower)
}

// ClaimedRequest lists the names, in lower case, that ClaimsRequest is true of. It is not to be changed.
func (a *Action) ClaimedRequest() []string {
	if a == nil {
		return nil
	}
	return a.RequestHeaders.gone
}

// ClaimedResponse is ClaimedRequest for the response.
func (a *Action) ClaimedResponse() []string {
	if a == nil {
		return nil
	}
	return a.ResponseHeaders.gone
}

// ChangesTarget reports whether Target may differ from the target of a request.
func (a *Action) ChangesTarget() bool { return a != nil && (a.prefix != "" || len(a.rewrite) > 0) }

// usesPath reports whether Target or Location depends on the path of a request.
func (a *Action) usesPath() bool {
	return a.ChangesTarget() || a != nil && a.location.has(pathVariable)
}

// Target appends the target that the backend gets: the prefix of the route taken off the path, then
// the path rewritten; the query as it came. dst must not overlap the target of h, which stays.
//
// The prefix is found in the plain form of the path, as routes match, so that no other spelling
// gets round it. What is left keeps the spelling of the client, only that dot segments are resolved
// if there are any, across the whole path and before the prefix is taken off: what is left cannot
// climb out of what the route matched or of what a rewrite puts before it; nor does it for readers of
// other forms, since Match refuses paths that would. It begins with exactly
// one slash, for a request must not come to name an authority, as //host would. A path that does not
// have the prefix is left as it came if nothing rewrites it, and so is the target "*".
func (a *Action) Target(dst []byte, h *message.Head) []byte {
	path := pathOf(h.Target)
	if !a.ChangesTarget() || len(path) == 0 || path[0] != '/' {
		return append(dst, h.Target...)
	}
	if normal(path) {
		dst = a.appendPath(dst, path, path)
	} else {
		dst = a.appendResolved(dst, path)
	}
	return append(dst, h.Target[len(path):]...)
}

// scratchSize is how long a path without its dot segments may be to need no allocation.
const scratchSize = 1 << 10

// appendResolved is apart from Target so that only paths that need it pay for the memory.
//
//go:noinline
func (a *Action) appendResolved(dst, path []byte) []byte {
	var scratch [scratchSize]byte
	return a.appendPath(dst, path, resolve(scratch[:0], path))
}

// appendPath changes a path without dot segments; raw is the one that came.
func (a *Action) appendPath(dst, raw, path []byte) []byte {
	rest, found := path, false
	if a.prefix != "" {
		rest, found = cutPrefix(path, a.prefix)
	}
	if found {
		rest = rooted(rest)
	}
	if len(a.rewrite) == 0 {
		if found {
			return append(dst, rest...)
		}
		return append(dst, raw...)
	}
	for _, p := range a.rewrite {
		dst = append(dst, p.text...)
		if p.variable == pathVariable {
			dst = append(dst, rest...)
		}
	}
	return dst
}
