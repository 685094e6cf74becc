package proxy

import (
	"errors"
	"strconv"
	"strings"
)

// modelRequest is a request as the model reads it.
type modelRequest struct {
	modelMessage
	method, target, version string
	authority               string // of an absolute target; it takes the place of Host
	at, end                 int    // where its head begins and what has come of it ends, in what was read
	read                    reading
	adorned                 bool // it goes to a site that changes requests
}

// requestOf reads the request at the start of s. It returns nil if its head is not whole.
func requestOf(s string) (*modelRequest, reading) {
	m := &modelRequest{}
	var rest string
	var r reading
	if m.modelMessage, rest, r = readHead(s); r != whole {
		return nil, r
	}
	if !m.readStart() || !m.checkHost() || m.expectsMore() {
		return nil, malformed
	}
	switch {
	case m.chunked:
		rest, r = m.readChunks(rest)
	case m.length > 0:
		rest, r = m.readLength(rest)
	}
	m.end, m.read = len(s)-len(rest), r
	return m, r
}

// readStart reads the request line (RFC 9112, section 3).
func (m *modelRequest) readStart() bool {
	words := strings.Split(m.start, " ")
	if len(words) != 3 {
		return false
	}
	m.method, m.target, m.version = words[0], words[1], words[2]
	if !isTokenText(m.method) || m.method == "CONNECT" || m.target == "" {
		return false
	}
	for _, c := range []byte(m.target) {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return false
		}
	}
	if len(m.version) != 8 || m.version[:7] != "HTTP/1." || !only(m.version[7:], digitChars) {
		return false
	}
	return strings.HasPrefix(m.target, "/") || (m.target == "*" && m.method == "OPTIONS") || m.splitAbsolute()
}

// splitAbsolute brings an absolute target into origin form (RFC 9112, section 3.2.2).
func (m *modelRequest) splitAbsolute() bool {
	scheme, rest, ok := strings.Cut(m.target, "://")
	if !ok || (strings.ToLower(scheme) != "http" && strings.ToLower(scheme) != "https") {
		return false
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	m.authority, m.target = rest[:end], rest[end:]
	switch {
	case m.target == "" && m.method == "OPTIONS":
		m.target = "*"
	case !strings.HasPrefix(m.target, "/"):
		m.target = "/" + m.target
	}
	return isHostText(m.authority)
}

func (m *modelRequest) checkHost() bool {
	hosts := m.values("host")
	switch {
	case len(hosts) > 1, len(hosts) == 0 && !m.old():
		return false
	case len(hosts) == 1:
		return isHostText(hosts[0])
	}
	return true
}

// expectsMore reports an expectation that nobody here can meet (RFC 9110, section 10.1.1).
func (m *modelRequest) expectsMore() bool {
	e := m.values("expect")
	return len(e) > 1 || (len(e) == 1 && !strings.EqualFold(e[0], "100-continue"))
}

func (m *modelRequest) old() bool { return m.version == "HTTP/1.0" }

// last reports whether nothing that follows may be served (RFC 9112, section 9.6).
func (m *modelRequest) last() bool {
	return m.lists("connection", "close") ||
		(m.old() && !m.lists("connection", "keep-alive") && !m.lists("proxy-connection", "keep-alive"))
}

// readRequests reads what a client has sent: every request that may be served, in order. The last one
// may lack the end of its body. Empty lines before a request are skipped (RFC 9112, section 2.2).
func readRequests(s string) (requests []*modelRequest) {
	for at := 0; ; {
		for strings.HasPrefix(s[at:], "\r\n") {
			at += 2
		}
		m, r := requestOf(s[at:])
		if m == nil {
			return requests
		}
		m.at, m.end = at, at+m.end
		requests = append(requests, m)
		if at = m.end; r != whole || m.last() {
			return requests
		}
	}
}

// ill says what is wrong with a request that a proxy has written: what it may receive is more than
// what it may send.
func (m *modelRequest) ill() string {
	switch {
	case m.version != "HTTP/1.1":
		return "its version is " + m.version
	case m.authority != "":
		return "its target is absolute"
	case len(m.values("host")) != 1:
		return "it has not one Host"
	case m.extended:
		return "its chunks have extensions"
	case len(m.values("x-forwarded-for")) != 1:
		return "it does not say once who sent it"
	}
	return ""
}

// forwarded compares a request that arrived with the one that was sent; it says what a proxy may not
// have done. Lines are compared as they stand.
func (m *modelRequest) forwarded(got *modelRequest) string {
	if got.method != m.method || got.target != m.target && !(m.adorned && m.becomes(got.target)) {
		return "the request line differs"
	}
	if why := compareLines(m.lines, got.lines, m.mayDrop, m.mayAdd); why != "" {
		return why
	}
	if host := got.values("host"); m.authority != "" && (len(host) != 1 || host[0] != m.authority) {
		return "Host is not the authority of the target"
	}
	return m.forwardedBody(got)
}

func (m *modelRequest) forwardedBody(got *modelRequest) string {
	switch {
	case !strings.HasPrefix(m.content, got.content):
		return "the content differs"
	case got.read == whole && m.read != whole:
		return "a request that never ended has an end"
	case got.read == whole && m.content != got.content:
		return "the content is cut short"
	}
	i := 0
	for _, line := range got.trailer {
		for i < len(m.trailer) && m.trailer[i] != line {
			i++
		}
		if i == len(m.trailer) {
			return "nobody sent the trailer " + line
		}
		i++
	}
	return ""
}

// mayDrop reports whether a line ends at a proxy: hop-by-hop, named by Connection, replaced, or one of
// those that a proxy alone may write, also in a spelling that servers may take for it.
func (m *modelRequest) mayDrop(line string) bool {
	name, _, _ := strings.Cut(line, ":")
	name = strings.ToLower(name)
	switch name {
	case "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te",
		"transfer-encoding", "upgrade", "expect", "forwarded":
		return true
	case "max-forwards":
		return m.countsForwards()
	case "host":
		return m.authority != ""
	case "content-length":
		return false
	}
	folded := foldPunctuation(name)
	if m.adorned && m.mayLose(folded) {
		return true
	}
	return folded == "x-real-ip" || strings.HasPrefix(folded, "x-forwarded-") || m.lists("connection", name)
}

// countsForwards reports whether the hops of the request are counted (RFC 9110, section 7.6.2).
func (m *modelRequest) countsForwards() bool {
	return (m.method == "TRACE" || m.method == "OPTIONS") && len(m.values("max-forwards")) == 1
}

// endsHere reports whether weir may answer the request itself, with success.
func (m *modelRequest) endsHere() bool {
	return m.adorned && m.below("/moved") || m.method == "OPTIONS" && m.countsForwards() && m.forwards() == 0
}

// forwards is the count, or what weir makes of one that is beyond all sense; -1: it is none.
func (m *modelRequest) forwards() int64 {
	n, err := strconv.ParseUint(m.values("max-forwards")[0], 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
	case err != nil:
		return -1
	}
	return int64(min(n, 1<<31-1))
}

// foldPunctuation writes a name as CGI makes variables of it (RFC 3875, section 4.1.18), with a hyphen for
// the underscore.
func foldPunctuation(name string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune(alnumChars, c) {
			return c
		}
		return '-'
	}, name)
}

// mayAdd reports whether a proxy may have written a line itself.
func (m *modelRequest) mayAdd(line string) bool {
	name, value, _ := strings.Cut(line, ": ")
	if m.adorned && m.mayGet(name, value) {
		return true
	}
	switch name {
	case "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host":
		return true
	case "Host":
		return m.authority != "" || len(m.values("host")) == 0
	case "Transfer-Encoding":
		return m.chunked && value == "chunked"
	case "Max-Forwards":
		left, err := strconv.ParseInt(value, 10, 64)
		return m.countsForwards() && err == nil && m.forwards() == left+1
	case "TE":
		return value == "trailers" && m.lists("te", "trailers")
	case "Connection":
		return value == "TE" || value == "Upgrade"
	case "Upgrade":
		return m.lists("connection", "upgrade") && len(m.values("upgrade")) > 0
	}
	return false
}
