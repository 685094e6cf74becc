package proxy

import (
	"fmt"
	"slices"
	"strings"
)

// view is a message in the form in which two proxies are compared: what RFC 9110 and RFC 9112 let
// differ is taken out, by one function for each kind of difference.
type view struct {
	start   string
	fields  []string
	content string
	trailer []string
}

func (v view) String() string {
	return fmt.Sprintf("%s\n%s\n%d bytes %.60q\ntrailer %q\n", v.start, strings.Join(v.fields, "\n"), len(v.content), v.content, v.trailer)
}

// requestView is what an origin got from a proxy that listens at self.
func requestView(m *modelRequest, self string) view {
	v := view{m.method + " " + m.target, unordered(m.lines), m.content, nil}
	v.fields = withoutFraming(withoutHop(withoutExpectation(v.fields)), true)
	for i, f := range v.fields {
		v.fields[i] = strings.ReplaceAll(f, self, "self") // a Host that the client left out
	}
	// ReverseProxy does not forward the trailers of requests, as it may (RFC 9110, section 6.5.1). That
	// the other proxy does is compared with what was sent.
	return v
}

// responseViews are what a client got for one request.
func responseViews(responses []*modelResponse) (views []view) {
	for _, m := range withoutContinue(responses) {
		fields := withoutAnnouncement(withoutFraming(withoutHop(unordered(m.lines)), m.hasBody || m.status == 304))
		views = append(views, view{withoutReason(m), fields, m.content, unordered(m.trailer)})
	}
	return views
}

// unordered: names are the same in any letter case (RFC 9110, section 5.1), lines of different names may
// come in any order (section 5.3), and white space around a value is none of it (section 5.5).
func unordered(lines []string) (fields []string) {
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ":")
		fields = append(fields, strings.ToLower(name)+": "+strings.Trim(value, " \t"))
	}
	slices.SortStableFunc(fields, func(a, b string) int { return strings.Compare(nameOfField(a), nameOfField(b)) })
	return fields
}

func nameOfField(f string) string {
	name, _, _ := strings.Cut(f, ":")
	return name
}

func without(fields []string, names ...string) []string {
	return slices.DeleteFunc(fields, func(f string) bool { return slices.Contains(names, nameOfField(f)) })
}

// withoutHop: what is said about a connection is said to its other end only (RFC 9110, section 7.6.1; for
// TE, section 10.1.4).
func withoutHop(fields []string) []string { return without(fields, "connection", "te") }

// withoutFraming: the coding of a body is the affair of each connection (RFC 9112, sections 6.1 and 6.3);
// its content is compared. In the response to HEAD, Content-Length says something else; in a 304 it may
// be left out (RFC 9110, section 8.6).
func withoutFraming(fields []string, drop bool) []string {
	if drop {
		fields = without(fields, "content-length")
	}
	return without(fields, "transfer-encoding")
}

// withoutAnnouncement: trailers need not be announced (RFC 9110, section 6.6.2).
func withoutAnnouncement(fields []string) []string { return without(fields, "trailer") }

// withoutExpectation: who has the content already need not ask whether it is wanted (RFC 9110, section
// 10.1.1).
func withoutExpectation(fields []string) []string { return without(fields, "expect") }

// withoutContinue: a 100 answers an expectation, which may have been met on the way (RFC 9110, sections
// 10.1.1 and 15.2).
func withoutContinue(responses []*modelResponse) []*modelResponse {
	return slices.DeleteFunc(slices.Clone(responses), func(m *modelResponse) bool { return m.status == 100 })
}

// withoutReason: the reason means nothing (RFC 9112, section 4), and a server may answer with any minor
// version (RFC 9110, section 2.5).
func withoutReason(m *modelResponse) string { return fmt.Sprint(m.status) }
