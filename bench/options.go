package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// Field is one header field of the requests.
type Field struct{ Name, Value string }

// LoadOptions say what to send, where and how fast. Bodies of responses may have up to 64 MiB.
type LoadOptions struct {
	// URL is http or https://host[:port]/path?query, or tcp or udp://host:port. Over TCP and UDP the
	// message Body is sent, 1 byte to 16 KiB, and the bytes of Reply must come back; over UDP each is
	// one datagram. What is said of HTTP below does not apply then.
	URL    string
	Method string  // default GET
	Fields []Field // sent after Host and User-Agent, which they may replace
	Body   []byte  // with its Content-Length; empty: none
	Reply  []byte  // tcp and udp: what answers Body

	// Fresh makes a new connection for each exchange. HTTP requests say Connection: close; then, as
	// over TCP, the server is expected to close the connection after its response.
	Fresh bool
	// TLS is the configuration for https; its ClientSessionCache is not used. nil: the defaults.
	TLS *tls.Config
	// Resume makes every handshake but the first of each of the Connections resume the session of the
	// one before it; one that does not is a failure of kind "check". False: all handshakes are full.
	Resume bool
	// CheckTLS judges each handshake; an error is a failure of kind "check". It is called from several
	// goroutines. nil: any will do.
	CheckTLS func(tls.ConnectionState) error

	Connections int     // 1…65,535; default 64. All are open before the first request is sent
	Rate        float64 // requests per second, open loop, 0.001…1,000,000; 0: closed loop

	Warmup   time.Duration // load before the window, not measured
	Duration time.Duration // of the window; 0: until the context ends
	Timeout  time.Duration // of a connect or an exchange, default 10s; enforced within a second more

	// Check judges a response; an error counts as a failure of kind "check" and closes the
	// connection. It is called for the first response of a connection and for each whose bytes
	// differ from the last one that passed; from several goroutines, and body is valid only
	// during the call. nil: any response will do.
	Check func(status int, body []byte) error
	// Begin and End are called when the window opens and closes, while the load goes on, so that
	// a caller can read counters of the system under test. nil: nothing is called.
	Begin, End func()
}

const (
	maxConnections = 65535
	minRate        = 1e-3
	maxRate        = 1e6
)

// resolved returns the options with the defaults filled in, or every fault that they have.
func (o LoadOptions) resolved() (LoadOptions, error) {
	if o.Method == "" {
		o.Method = fasthttp.MethodGet
	}
	if o.Connections == 0 {
		o.Connections = 64
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	var errs []error
	if o.Connections < 1 || o.Connections > maxConnections {
		errs = append(errs, fmt.Errorf("connections %d: want 1 to %d", o.Connections, maxConnections))
	}
	if o.Rate != 0 && !(o.Rate >= minRate && o.Rate <= maxRate) {
		errs = append(errs, fmt.Errorf("rate %v: want 0 (closed loop) or %v to %.0f requests per second", o.Rate, minRate, maxRate))
	}
	if o.Warmup < 0 || o.Duration < 0 || o.Timeout < 0 {
		errs = append(errs, errors.New("warm-up, duration and time-out must not be negative"))
	}
	t, err := splitURL(o.URL)
	if err != nil {
		return o, errors.Join(append(errs, err)...)
	}
	if t.secure && o.TLS == nil {
		o.TLS = &tls.Config{}
	}
	switch {
	case !t.secure && (o.TLS != nil || o.Resume || o.CheckTLS != nil):
		errs = append(errs, fmt.Errorf("URL %q: TLS is spoken with https only", o.URL))
	case t.secure && o.TLS.ServerName == "":
		o.TLS = o.TLS.Clone()
		o.TLS.ServerName = t.url.Hostname()
	}
	if !t.http && (len(o.Body) == 0 || len(o.Body) > maxMessage || len(o.Reply) == 0) {
		errs = append(errs, fmt.Errorf("message of %d bytes, reply of %d: want 1 to %d, and at least 1", len(o.Body), len(o.Reply), maxMessage))
	}
	if t.url.Scheme == "udp" && len(o.Reply) > maxMessage {
		errs = append(errs, fmt.Errorf("reply of %d bytes: want 1 to %d in a datagram", len(o.Reply), maxMessage))
	}
	return o, errors.Join(errs...)
}

// target is where a URL leads.
type target struct {
	addr   string // to dial
	url    *url.URL
	http   bool
	secure bool
}

func splitURL(raw string) (target, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return target{}, err
	}
	t := target{url: u}
	port := u.Port()
	switch u.Scheme {
	case "http":
		t.http = true
		port = cmp.Or(port, "80")
	case "https":
		t.http, t.secure = true, true
		port = cmp.Or(port, "443")
	case "tcp", "udp":
		if port == "" {
			return target{}, fmt.Errorf("URL %q has no port", raw)
		}
	default:
		return target{}, fmt.Errorf("URL %q: scheme %q: want http, https, tcp or udp", raw, u.Scheme)
	}
	if u.Hostname() == "" {
		return target{}, fmt.Errorf("URL %q has no host", raw)
	}
	t.addr = net.JoinHostPort(u.Hostname(), port)
	return t, nil
}

// requestBytes is the whole request as it goes over the wire.
func requestBytes(o LoadOptions, u *url.URL) ([]byte, error) {
	var req fasthttp.Request
	req.Header.DisableNormalizing()
	req.Header.SetNoDefaultContentType(true)
	req.Header.SetMethod(o.Method)
	req.Header.SetRequestURI(u.RequestURI())
	req.Header.SetHost(u.Host)
	req.Header.SetUserAgent("weir-bench")
	for _, f := range o.Fields {
		switch {
		case f.Name == "":
			return nil, errors.New("a header field has no name")
		case strings.EqualFold(f.Name, fasthttp.HeaderHost):
			req.Header.SetHost(f.Value)
		case strings.EqualFold(f.Name, fasthttp.HeaderUserAgent):
			req.Header.SetUserAgent(f.Value)
		default:
			req.Header.Add(f.Name, f.Value)
		}
	}
	if o.Fresh {
		req.SetConnectionClose()
	}
	req.SetBody(o.Body)
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	if err := req.Write(w); err != nil {
		return nil, fmt.Errorf("build request: %w", err)
	}
	if err := w.Flush(); err != nil {
		return nil, fmt.Errorf("build request: %w", err)
	}
	return b.Bytes(), nil
}
