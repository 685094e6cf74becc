package contest

import (
	"strings"

	"weir/bench"
)

// Scenario is the work that is measured.
type Scenario struct {
	Name    string
	Summary string
	Path    string
	Fields  []bench.Field // of each request
	Body    string        // of each response
}

// Scenarios are all that there are.
func Scenarios() []Scenario {
	return []Scenario{{
		Name:    "http1-keepalive",
		Summary: "HTTP/1.1, keep-alive on both sides, GET with the fields of a browser, 200-byte responses",
		Path:    smallPath,
		Fields: []bench.Field{
			{Name: "User-Agent", Value: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
			{Name: "Accept", Value: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
			{Name: "Accept-Language", Value: "en-US,en;q=0.5"},
			{Name: "Accept-Encoding", Value: "gzip, deflate, br"},
			{Name: "Cookie", Value: "session=4f9c1e0ab27d; theme=dark"},
			{Name: "Cache-Control", Value: "max-age=0"},
		},
		Body: smallBody,
	}}
}

// smallBody is 200 bytes long.
var smallBody = strings.Repeat("Weirs hold a river back and spread it evenly.\n....", 4)
