package contest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"weir/bench"
)

// Protocol is what client, proxy and backend speak, in front under TLS or not.
type Protocol string

// The protocols.
const (
	HTTP Protocol = "http" // HTTP/1.1
	TCP  Protocol = "tcp"  // messages of messageSize bytes, each with a reply
	UDP  Protocol = "udp"  // the same in datagrams
)

// Scenario is the work that is measured: exchanges of one kind.
type Scenario struct {
	Name     string
	Summary  string
	Protocol Protocol
	TLS      bool // TLS 1.3 in front; behind the proxy everything is plain
	Resume   bool // handshakes resume the session of the connection before
	Fresh    bool // each exchange has a client connection of its own

	Path   string        // HTTP: of each request
	Fields []bench.Field // HTTP: of each request
	Upload string        // HTTP: body of each request, which is a POST then
	Body   string        // of each response, or the reply to each message

	MiB         int      // that an exchange moves: CPU time counts per MiB; 0: per request
	Connections int      // of clients, unless told otherwise
	Targets     []Target // what weir has promised
}

// Target is a ratio of CPU time to the best of some contestants.
type Target struct {
	To        []string
	Must, Aim float64 // Aim 0: there is none
}

// Unit is what CPU time is divided by.
func (s Scenario) Unit() string {
	if s.MiB > 0 {
		return "MiB"
	}
	return "request"
}

// perExchange is how many units an exchange has.
func (s Scenario) perExchange() float64 { return float64(max(s.MiB, 1)) }

// scheme is that of a URL for the load generator.
func (s Scenario) scheme() string {
	if s.TLS {
		return "https"
	}
	return string(s.Protocol)
}

// Client connections: as many as usual, and fewer for bulk, where more would only fill caches.
const (
	usualConnections = 64
	bulkConnections  = 16
)

// Scenarios are all that there are, in the order of their reports.
func Scenarios() []Scenario {
	all := slices.Concat(httpScenarios(), tlsScenarios(), layer4Scenarios())
	for i := range all {
		if all[i].Connections == 0 {
			all[i].Connections = usualConnections
		}
	}
	return all
}

func httpScenarios() []Scenario {
	small := Scenario{
		Name:     "http1-keepalive",
		Summary:  "HTTP/1.1, keep-alive on both sides, GET with the fields of a browser, 200-byte responses",
		Protocol: HTTP,
		Path:     smallPath,
		Fields:   browserFields(),
		Body:     smallBody,
		Targets:  []Target{better(0.95, 0.86), {To: []string{Haproxy}, Must: 0.82}, {To: []string{Floor}, Must: 1.15, Aim: 1.05}},
	}
	down := small
	down.Name, down.Summary = "http1-1mib", "HTTP/1.1, keep-alive on both sides, GET, responses of 1 MiB"
	down.Path, down.Body, down.MiB, down.Connections = bulkPath, bulk(1), 1, bulkConnections
	down.Targets = []Target{better(1, 0.9)}

	up := down
	up.Name, up.Summary = "http1-1mib-up", "HTTP/1.1, keep-alive on both sides, POST of 1 MiB, 200-byte responses"
	up.Path, up.Upload, up.Body = uploadPath, bulk(1), smallBody

	connect := small
	connect.Name, connect.Summary = "http1-connect", "HTTP/1.1, a new client connection for each request (Connection: close), keep-alive to backends, 200-byte responses"
	connect.Fresh, connect.Targets = true, []Target{better(1, 0.9)}
	return []Scenario{small, down, up, connect}
}

func tlsScenarios() []Scenario {
	http := httpScenarios()
	keep, down, full := http[0], http[1], http[3]
	keep.Name, keep.Summary = "tls-keepalive", "TLS 1.3 in front, plain behind, HTTP/1.1 keep-alive on both sides, 200-byte responses"
	keep.TLS, keep.Targets = true, []Target{better(0.97, 0.85)}

	full.Name, full.Summary = "tls-handshake", "TLS 1.3, a full handshake (ECDSA P-256, X25519) and one request on each connection, keep-alive to backends"
	full.TLS, full.Targets = true, []Target{better(1.05, 0.95)}

	resumed := full
	resumed.Name, resumed.Summary = "tls-resumed", "TLS 1.3, a handshake that resumes a session by ticket and one request on each connection, keep-alive to backends"
	resumed.Resume, resumed.Targets = true, nil

	down.Name, down.Summary = "tls-1mib", "TLS 1.3 in front, plain behind, HTTP/1.1 keep-alive on both sides, responses of 1 MiB"
	down.TLS, down.Targets = true, []Target{better(0.95, 0.8)}
	return []Scenario{keep, full, resumed, down}
}

func layer4Scenarios() []Scenario {
	echo := string(message())
	return []Scenario{
		{
			Name:     "tcp-rr",
			Summary:  "TCP, long connections, messages of 200 bytes with replies of 200",
			Protocol: TCP, Body: echo,
			Targets: []Target{better(1.03, 0.97)},
		},
		{
			Name:     "tcp-bulk",
			Summary:  "TCP, long connections, messages of 200 bytes with replies of 4 MiB",
			Protocol: TCP, Body: bulk(bulkMiB), MiB: bulkMiB, Connections: bulkConnections,
			Targets: []Target{better(1, 0.9)},
		},
		{
			Name:     "tcp-connect",
			Summary:  "TCP, a new connection for each message of 200 bytes with its reply of 200, closed by the backend",
			Protocol: TCP, Fresh: true, Body: echo,
			Targets: []Target{better(1.1, 1)},
		},
		{
			Name:     "udp-rr",
			Summary:  "UDP, datagrams of 200 bytes with replies of 200, as many client sockets as connections",
			Protocol: UDP, Body: echo,
			Targets: []Target{{To: []string{Nginx}, Must: 0.85, Aim: 0.5}},
		},
	}
}

// better is a target against the better of the two peers.
func better(must, aim float64) Target {
	return Target{To: []string{Haproxy, Nginx}, Must: must, Aim: aim}
}

// Select returns the scenarios of a comma-separated list of names, "all" being all of them.
func Select(names string) ([]Scenario, error) {
	var chosen []Scenario
	for name := range strings.SplitSeq(names, ",") {
		name = strings.TrimSpace(name)
		if name == "all" {
			return Scenarios(), nil
		}
		s, err := scenario(name)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, s)
	}
	return chosen, nil
}

func scenario(name string) (Scenario, error) {
	var known []string
	for _, s := range Scenarios() {
		if s.Name == name {
			return s, nil
		}
		known = append(known, s.Name)
	}
	return Scenario{}, fmt.Errorf("there is no scenario %q: choose from %s, or all", name, strings.Join(known, ", "))
}

func browserFields() []bench.Field {
	return []bench.Field{
		{Name: "User-Agent", Value: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
		{Name: "Accept", Value: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		{Name: "Accept-Language", Value: "en-US,en;q=0.5"},
		{Name: "Accept-Encoding", Value: "gzip, deflate, br"},
		{Name: "Cookie", Value: "session=4f9c1e0ab27d; theme=dark"},
		{Name: "Cache-Control", Value: "max-age=0"},
	}
}

// smallBody is 200 bytes long.
var smallBody = strings.Repeat("Weirs hold a river back and spread it evenly.\n....", 4)

const (
	mib         = 1 << 20
	bulkMiB     = 4 // of a reply over TCP, and the most that bulk gives
	messageSize = 200
)

// randomBytes is made once; it does not repeat, so a piece that is lost, doubled or moved is seen.
var randomBytes = sync.OnceValue(func() string {
	b := make([]byte, bulkMiB*mib)
	// Read of this source never fails.
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return string(b)
})

// bulk is a body or reply of some MiB, the same in every process.
func bulk(n int) string { return randomBytes()[:n*mib] }

// message is what a client sends over TCP or UDP.
func message() []byte { return []byte(smallBody) }
