package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// message is one case of the table: what is sent, and what weir has to make of it.
type message struct {
	name string
	why  string // the rule and its clause

	// The client's part.
	send    string // empty: a GET of /case
	then    string // what it sends after until
	until   event
	fin     bool   // it ends its direction after that
	drip    bool   // it sends byte by byte
	hasty   bool   // it asks for what comes behind at once, although the origin closes
	alone   bool   // it asks for nothing behind the message, which would belong to it
	methods string // of the requests in send; empty: the first is read from send, others are GET

	// The origin's part, for requests other than /behind and /follow.
	interim  string // sent when the head is there, if that has an expectation
	reply    string // empty: an echo
	dripping bool   // the reply is sent byte by byte
	early    bool   // the reply does not wait for the body
	late     string // sent after the client has got everything
	finish   ending

	slow    bool // waiting is part of it: time-outs of a second
	maxBody int  // bytes; 0: without bound

	want string   // outcome, in the words of summary
	saw  []string // requests that the origin saw; nil: as sent if it was forwarded, else none
	got  string   // what the client got for it; empty: the reply as it was sent

	fresh bool // the connection to the origin must not be used again

	varies map[string]string // what the report says of peers that do not always do the same
}

// event is what the client waits for within a message.
type event uint8

const (
	atOnce        event = iota
	responseBegun       // the first byte of a response
	headArrived         // the origin has read the head
	answered            // the first response is complete
	originClosed        // the origin has closed its connection
)

// ending is what the origin does with a connection after its reply.
type ending uint8

const (
	keep ending = iota
	closed
	reset
)

// Outcomes. A number is a response of the proxy's own.
const (
	forwarded  = "forwarded, kept"   // and what comes behind on the connection is served
	lastOne    = "forwarded, closed" // nothing behind is served
	passed     = "passed, kept"      // the origin's reply reached the client
	passedLast = "passed, closed"
	cutOff     = "cut off" // the client sees that the response is not whole
	noAnswer   = "no answer, closed"
	refused    = "400, closed"
	badGateway = "502, kept"
	illFormed  = "passed, ill-formed"
)

// unfinished marks a request of which the origin saw no more than this before the connection ended.
// Alone, it stands for nothing or any beginning of what was sent.
const unfinished = "…"

const (
	host     = "Host: a.example\r\n"
	getCase  = "GET /case HTTP/1.1\r\n" + host + "\r\n"
	postHead = "POST /case HTTP/1.1\r\n" + host

	// poison is a request that must not be seen where it hides within a message.
	poison = "GET /poison HTTP/1.1\r\n" + host + "\r\n"

	behind = "GET /behind HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n"
	follow = "GET /follow HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n"
)

// get is a GET with more field lines.
func get(lines string) string { return "GET /case HTTP/1.1\r\n" + host + lines + "\r\n" }

// post is a POST with more field lines and a body.
func post(lines, body string) string { return postHead + lines + "\r\n" + body }

// line is a request with another request line.
func line(l string) string { return l + "\r\n" + host + "\r\n" }

// hosted is a GET with another Host.
func hosted(h string) string { return "GET /case HTTP/1.1\r\nHost: " + h + "\r\n\r\n" }

// chunks is a POST with a body in chunked coding.
func chunks(body string) string { return post("Transfer-Encoding: chunked\r\n", body) }

// ok is a reply with more field lines and a body.
func ok(lines, body string) string {
	return "HTTP/1.1 200 OK\r\nX-Origin: script\r\n" + lines + "\r\n" + body
}

// topic is a part of the table.
type topic struct {
	name     string
	about    string // for the report
	messages []message
}

// tossed is what the report says of haproxy 2.6 and a name with a space behind it in a trailer.
var tossed = map[string]string{"haproxy": "400, closed, or forwarded, kept: not always the same"}

// table is all of it, in the order of the report.
func table() []topic {
	return []topic{
		lengths, codings, chunkedBodies, lines, names, methods, targets, hosts, versions, sizes, pipelines, options, expectations,
		responseLengths, responseCodings, responseHeads, interims, emptyBodies, leftovers, endings, switches,
	}
}

// all lists the messages with what is left out filled in. The id of each is unique.
func all(t *testing.T) []*message {
	t.Helper()
	var list []*message
	seen := map[string]bool{}
	for _, topic := range table() {
		for i := range topic.messages {
			m := topic.messages[i]
			if m.send == "" {
				m.send = getCase
			}
			if m.saw == nil {
				m.saw = m.expected()
			}
			m.fresh = m.fresh || strings.HasPrefix(m.want, "502")
			if m.until == atOnce && m.finish != keep && strings.HasSuffix(m.want, "kept") && !m.hasty {
				m.until = originClosed // or what comes behind may meet the connection before its end
			}
			if m.why == "" || m.want == "" || seen[m.name] {
				t.Fatalf("%s: %q has no rule, no outcome or the name of another", topic.name, m.name)
			}
			seen[m.name] = true
			list = append(list, &m)
		}
	}
	return list
}

// expected is what the origin sees unless the message says otherwise: what was sent, if it gets
// that far.
func (m *message) expected() []string {
	if m.reply != "" || m.finish != keep || strings.Contains(m.want, "forwarded") {
		return []string{m.send + m.then}
	}
	return nil
}

// method is that of request i on the connection.
func (m *message) method(i int) string {
	list := strings.Fields(m.methods)
	if len(list) == 0 {
		first, _, _ := strings.Cut(strings.TrimLeft(m.send, "\r\n"), " ")
		list = []string{first}
	}
	if i < len(list) {
		return list[i]
	}
	return "GET"
}

// scripted reports whether the origin answers a request by the script of the message.
func (m *message) scripted(target string) bool {
	return (m.reply != "" || m.finish != keep) && target != "/behind" && target != "/follow"
}

func TestTable(t *testing.T) {
	list := all(t)
	if len(list) < 150 {
		t.Errorf("%d messages, want 150 at least", len(list))
	}
	responses := 0
	for _, m := range list {
		if m.reply != "" || m.finish != keep {
			responses++
		}
	}
	if responses < 50 || responses > len(list)-100 {
		t.Errorf("%d of %d messages are of backends", responses, len(list))
	}
}

// quoted shows bytes in one line, the middle left out when they are many.
func quoted(s string) string {
	const most = 100
	escaped := fmt.Sprintf("%q", s)
	escaped = strings.ReplaceAll(escaped[1:len(escaped)-1], `\"`, `"`)
	if len(escaped) > most {
		escaped = escaped[:most*2/3] + "…" + escaped[len(escaped)-most/3:]
	}
	return escaped
}

// without removes the last field line of each name that the proxy adds, and tells whether nothing
// else of that name is left.
func without(head string, names ...string) (rest string, clean bool) {
	fields := strings.SplitAfter(head, "\r\n")
	clean = true
	for _, name := range names {
		is := func(l string) bool { return len(l) > len(name) && strings.EqualFold(l[:len(name)+1], name+":") }
		for i := len(fields) - 1; i >= 0; i-- {
			if is(fields[i]) {
				fields = slices.Delete(fields, i, i+1)
				break
			}
		}
		clean = clean && !slices.ContainsFunc(fields, is)
	}
	return strings.Join(fields, ""), clean
}
