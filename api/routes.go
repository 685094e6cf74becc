package api

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"strings"
)

// routes is everything that the server serves: the routes that have something behind them.
func (s *Server) routes() []route {
	var all []route
	for _, part := range s.parts() {
		for _, r := range part {
			if r.offered == nil || r.offered(&s.options) {
				all = append(all, r)
			}
		}
	}
	return all
}

// parts is every route there may be, by what it is for.
func (s *Server) parts() [][]route {
	return [][]route{s.probeRoutes(), s.readRoutes(), s.changeRoutes(), s.eventRoutes(), s.upgradeRoutes(), s.plainRoutes()}
}

// controlled is where there is something to be changed.
func controlled(o *Options) bool { return o.Control != nil }

// ifNoneMatch is the field of reads that have an ETag.
var ifNoneMatch = []parameter{{"If-None-Match", "ETags that the client has; if one is still right, the answer is 304."}}

// probeRoutes are for those who only ask whether all is well.
func (s *Server) probeRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/livez", id: "live", title: "Does the process answer?", open: true,
			doc:    "Answers 200 as long as the process answers at all.",
			answer: document[Live](), handle: s.serveLive},
		{method: http.MethodGet, path: "/readyz", id: "ready", title: "Send traffic here?", open: true,
			doc:    "200 if the configuration is loaded, every listener bound, the first round of probes over, every required pool served, and the process not stopping. Else 503 with the same document, which says what is missing.",
			answer: document[Readiness](), handle: s.serveReady},
		{method: http.MethodGet, path: "/metrics", id: "metrics", title: "Metrics for Prometheus", open: true, plain: true,
			doc:     "`pool=` and `level=process|listener|pool|backend` select; docs/observability.md lists the names.",
			offered: func(o *Options) bool { return o.Metrics != nil },
			answer:  text("text/plain", "The exposition."), handle: plainly(func(w http.ResponseWriter, r *http.Request) { s.options.Metrics.ServeHTTP(w, r) })},
	}
}

// readRoutes show what is wanted and what is.
func (s *Server) readRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/v1/status", id: "getStatus", title: "Everything at a glance",
			doc:    "Listeners, pools and backends as they are at this moment, each with the reason for its state.",
			answer: document[Status](), handle: s.serveStatus},
		{method: http.MethodGet, path: "/v1/listeners", id: "listListeners", title: "All listeners",
			doc:    "In order of name.",
			header: ifNoneMatch, answer: document[ListenerList](), offered: controlled, handle: s.serveListeners},
		{method: http.MethodGet, path: "/v1/listeners/{listener}", id: "getListener", title: "One listener",
			header: ifNoneMatch, answer: document[ListenerObject](), problems: []int{404}, offered: controlled, handle: s.serveListener},
		{method: http.MethodGet, path: "/v1/listeners/{listener}/routes", id: "getRoutes", title: "The routes of a listener",
			doc:    "`spec` is the list, in the order in which they are tried; null if there are none.",
			header: ifNoneMatch, answer: document[Object](), problems: []int{404}, offered: controlled, handle: s.serveRoutes},
		{method: http.MethodGet, path: "/v1/pools", id: "listPools", title: "All pools",
			doc:    "In order of name, with their backends.",
			header: ifNoneMatch, answer: document[PoolList](), offered: controlled, handle: s.servePools},
		{method: http.MethodGet, path: "/v1/pools/{pool}", id: "getPool", title: "One pool",
			header: ifNoneMatch, answer: document[PoolObject](), problems: []int{404}, offered: controlled, handle: s.servePool},
		{method: http.MethodGet, path: "/v1/pools/{pool}/backends", id: "listBackends", title: "The backends of a pool",
			doc:    "In the order of the configuration.",
			header: ifNoneMatch, answer: document[BackendList](), problems: []int{404}, offered: controlled, handle: s.serveBackends},
		{method: http.MethodGet, path: "/v1/pools/{pool}/backends/{backend}", id: "getBackend", title: "One backend",
			header: ifNoneMatch, answer: document[BackendObject](), problems: []int{404}, offered: controlled, handle: s.serveBackend},
		{method: http.MethodGet, path: "/v1/pools/{pool}/backends/{backend}/probes", id: "getProbes", title: "The last probes of a backend",
			doc:    "Newest first, with what came back.",
			answer: document[ProbeHistory](), problems: []int{404}, handle: s.serveProbes},
		{method: http.MethodGet, path: "/v1/diff", id: "getDiff", title: "What a reload would change",
			doc:    "Reads the files and compares them with what is in force. Nothing changes. If they are not valid, `valid` is false and `diagnostics` say why.",
			answer: document[Difference](), offered: controlled, handle: s.serveDiff},
		{method: http.MethodGet, path: "/v1/config", id: "getConfig", title: "The configuration in force",
			doc:    "Files, includes and what was made through the API put together, variables replaced, every default written out. Secrets are masked; of a `${file:…}` the reference is shown.",
			header: ifNoneMatch, answer: document[Effective](), offered: controlled, handle: s.serveConfig},
		{method: http.MethodGet, path: "/v1/explain", id: "explain", title: "Where would this flow go, and why?",
			doc:   "Listener, admission, route, session and pick of a flow that is described by the parameters. It changes nothing: no turn of a rotation is taken.",
			query: explainParameters, answer: document[Explanation](), problems: []int{400},
			offered: func(o *Options) bool { return o.Explain != nil }, handle: s.serveExplain},
	}
}

// eventRoutes tell what happens.
func (s *Server) eventRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/v1/events", id: "events", title: "What happens, as it happens",
			doc: "Server-Sent Events: `event` with an Event as its data, whose `id` a client sends back in Last-Event-ID to miss nothing; `gap` where events are missing, because they are older than the last 1,000; " +
				"`end` as the last thing, with a reason: `stopping`, `slow` for a client that missed some, or `access` for one whose credential is not good any more. A comment every 15 s says that the stream lives. A client that takes nothing for 10 s is cut off. At most 32 streams are open at a time on the socket, and as many over TCP.",
			query: []parameter{
				{"since", "Where to begin: an id, after which; a time (RFC 3339), or how long ago (`10m`). `0`: all that is held. Absent: with what is to come."},
				{"follow", "`false`: a document with what is held, from `since` on, and no stream."},
			},
			header:   []parameter{{"Last-Event-ID", "As `since`, with an id; a browser sends it."}},
			answer:   content{media: []string{"text/event-stream", mediaJSON}, of: typeOf[EventList](), doc: "The stream, or with `follow=false` the document."},
			problems: []int{400, 503},
			offered:  func(o *Options) bool { return o.Journal != nil }, handle: s.serveEvents},
	}
}

// plainRoutes are those for people and for tools of Go.
func (s *Server) plainRoutes() []route {
	profile := func(name, title string, h http.HandlerFunc) route {
		return route{method: http.MethodGet, path: "/debug/pprof/" + name, title: title, plain: true, socketOnly: true, handle: plainly(h)}
	}
	return []route{
		{method: http.MethodGet, path: "/openapi.json", id: "openapi", title: "This API, for programs", plain: true,
			doc: "OpenAPI 3.1, with the vocabulary of the configuration.", handle: s.serveOpenAPI},
		{method: http.MethodGet, path: "/{$}", title: "List of what there is", plain: true, handle: s.serveIndex},
		profile("", "Profiles", pprof.Index),
		profile("cmdline", "Command line", pprof.Cmdline),
		profile("profile", "CPU profile", pprof.Profile),
		profile("symbol", "Symbols", pprof.Symbol),
		profile("trace", "Execution trace", pprof.Trace),
	}
}

// serveIndex lists the routes, for people with curl.
func (s *Server) serveIndex(w http.ResponseWriter, _ *http.Request) error {
	var text strings.Builder
	fmt.Fprintf(&text, "weir %s\n\n", s.options.Version)
	for _, r := range s.routes() {
		where := ""
		if r.socketOnly {
			where = "   (socket only)"
		}
		fmt.Fprintf(&text, "%-6s %s%s\n", r.method, strings.TrimSuffix(r.path, "{$}"), where)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	// An error here means that the client is gone.
	_, _ = w.Write([]byte(text.String()))
	return nil
}

// serveLive says that the process serves requests, which the answer itself proves.
func (s *Server) serveLive(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, Live{Live: true})
	return nil
}

func (s *Server) serveReady(w http.ResponseWriter, _ *http.Request) error {
	readiness := s.Readiness()
	status := http.StatusOK
	if !readiness.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, readiness)
	return nil
}

func (s *Server) serveStatus(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, s.Status())
	return nil
}

func (s *Server) serveProbes(w http.ResponseWriter, r *http.Request) error {
	history, err := s.probes(r.PathValue("pool"), r.PathValue("backend"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, history)
	return nil
}
