package api

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"
)

// route is one path of the server. Handlers return an error instead of writing one.
type route struct {
	pattern    string // of http.ServeMux, without a method
	method     string // GET includes HEAD
	socketOnly bool
	handle     func(http.ResponseWriter, *http.Request) error
}

// routes is everything that the server serves.
func (s *Server) routes() []route {
	all := []route{
		{pattern: "/{$}", method: http.MethodGet, handle: s.serveIndex},
		{pattern: "/livez", method: http.MethodGet, handle: s.serveLive},
		{pattern: "/readyz", method: http.MethodGet, handle: s.serveReady},
		{pattern: "/v1/status", method: http.MethodGet, handle: s.serveStatus},
		{pattern: "/v1/pools/{pool}/backends/{backend}/probes", method: http.MethodGet, handle: s.serveProbes},
		{pattern: "/debug/pprof/", method: http.MethodGet, socketOnly: true, handle: plain(pprof.Index)},
		{pattern: "/debug/pprof/cmdline", method: http.MethodGet, socketOnly: true, handle: plain(pprof.Cmdline)},
		{pattern: "/debug/pprof/profile", method: http.MethodGet, socketOnly: true, handle: plain(pprof.Profile)},
		{pattern: "/debug/pprof/symbol", method: http.MethodGet, socketOnly: true, handle: plain(pprof.Symbol)},
		{pattern: "/debug/pprof/trace", method: http.MethodGet, socketOnly: true, handle: plain(pprof.Trace)},
	}
	if s.options.Metrics != nil {
		all = append(all, route{pattern: "/metrics", method: http.MethodGet, handle: plain(s.options.Metrics.ServeHTTP)})
	}
	if s.options.Explain != nil {
		all = append(all, route{pattern: "/v1/explain", method: http.MethodGet, handle: s.serveExplain})
	}
	if s.options.Reload != nil {
		all = append(all, route{pattern: "/v1/config/reload", method: http.MethodPost, socketOnly: true, handle: s.serveReload})
	}
	return all
}

// handler serves the routes for one of the two doors.
func (s *Server) handler(onSocket bool) http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.Handle(r.pattern, r.handler(onSocket))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, problem(http.StatusNotFound, "there is nothing at "+quote(r.URL.Path), "GET / lists what there is"))
	})
	if onSocket {
		return limited(mux)
	}
	return limited(readOnly(mux))
}

// handler checks door and method, which http.ServeMux would do with bodies of its own.
func (r route) handler(onSocket bool) http.Handler {
	allow := r.method
	if allow == http.MethodGet {
		allow = "GET, HEAD"
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if r.socketOnly && !onSocket {
			writeError(w, problem(http.StatusForbidden, req.URL.Path+" is served on the admin socket only",
				"curl --unix-socket SOCKET http://localhost"+req.URL.Path))
			return
		}
		if !slices.Contains(strings.Split(allow, ", "), req.Method) {
			w.Header().Set("Allow", allow)
			writeError(w, problem(http.StatusMethodNotAllowed, req.URL.Path+" takes "+allow, ""))
			return
		}
		if err := r.handle(w, req); err != nil {
			writeError(w, err)
		}
	})
}

// plain adapts a handler that writes its own errors.
func plain(h http.HandlerFunc) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		h(w, r)
		return nil
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
		fmt.Fprintf(&text, "%-4s %s%s\n", r.method, strings.TrimSuffix(r.pattern, "{$}"), where)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	// An error here means that the client is gone.
	_, _ = w.Write([]byte(text.String()))
	return nil
}

// serveLive says that the process serves requests, which the answer itself proves.
func (s *Server) serveLive(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]bool{"live": true})
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

func (s *Server) serveReload(w http.ResponseWriter, r *http.Request) error {
	done, err := s.options.Reload(r.Context())
	if err != nil {
		return problem(http.StatusUnprocessableEntity, err.Error(), "the running configuration is unchanged")
	}
	writeJSON(w, http.StatusOK, done)
	return nil
}
