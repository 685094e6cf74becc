package api

import (
	"net/http"
	"path"
	"reflect"
	"slices"
	"strings"
)

// route is one operation of the server: what it is called, what it takes and answers, and who does
// it. The mux, /openapi.json and docs/api.md are made from these.
type route struct {
	method string // GET includes HEAD
	path   string // as of http.ServeMux, without a method
	id     string // name for programs, unique
	title  string // a few words
	doc    string // sentences, for people
	query  []parameter
	header []parameter // of the request
	body   *content    // nil: it takes none
	answer content     // of success
	// problems are the statuses of what may go wrong, besides those that every operation has.
	problems []int

	open       bool // over TCP, anybody may read it
	socketOnly bool
	plain      bool                // no document of this package: it is not in /openapi.json
	offered    func(*Options) bool // nil: always
	handle     func(http.ResponseWriter, *http.Request) error
}

// parameter is one of a query or one field of a header.
type parameter struct{ name, doc string }

// content is the body of a request or an answer.
type content struct {
	media []string     // the first is the usual one
	of    reflect.Type // nil: doc says it all
	spec  string       // the schema of the configuration that it is: listener, pool, backend, routes or ""
	doc   string
}

// document is the content of an answer of type T.
func document[T any]() content {
	return content{media: []string{mediaJSON}, of: typeOf[T]()}
}

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// text is the content of an answer that is no document.
func text(media, doc string) content { return content{media: []string{media}, doc: doc} }

// allow is the field Allow of a path with these routes.
func allow(routes []route) string {
	var methods []string
	for _, r := range routes {
		methods = append(methods, r.method)
		if r.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	return strings.Join(methods, ", ")
}

// mux serves the routes for one of the two doors.
func (s *Server) mux(onSocket bool) *http.ServeMux {
	mux := http.NewServeMux()
	byPath := map[string][]route{}
	var paths []string
	for _, r := range s.routes() {
		if byPath[r.path] == nil {
			paths = append(paths, r.path)
		}
		byPath[r.path] = append(byPath[r.path], r)
	}
	for _, path := range paths {
		mux.Handle(path, serveMethods(byPath[path], onSocket))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, problem(http.StatusNotFound, "there is nothing at "+quote(r.URL.Path), "GET / lists what there is"))
	})
	return mux
}

// serveMethods chooses by method, which http.ServeMux would do with bodies of its own.
func serveMethods(routes []route, onSocket bool) http.Handler {
	allowed := allow(routes)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		method := req.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		i := slices.IndexFunc(routes, func(r route) bool { return r.method == method })
		switch {
		case !onSocket && routes[0].socketOnly:
			writeError(w, problem(http.StatusForbidden, req.URL.Path+" is served on the admin socket only",
				"curl --unix-socket SOCKET http://localhost"+req.URL.Path))
		case i < 0:
			w.Header().Set("Allow", allowed)
			writeError(w, problem(http.StatusMethodNotAllowed, req.URL.Path+" takes "+allowed, ""))
		default:
			if err := routes[i].handle(w, req); err != nil {
				writeError(w, err)
			}
		}
	})
}

// handler is what one of the two doors serves.
func (s *Server) handler(onSocket bool) http.Handler {
	mux := s.mux(onSocket)
	if onSocket {
		return limited(straight(mux))
	}
	open := map[string]bool{}
	for _, r := range s.routes() {
		open[r.path] = r.open
	}
	return limited(s.guard.door(func(r *http.Request) bool {
		_, pattern := mux.Handler(r)
		return open[pattern]
	}, straight(mux)))
}

// straight refuses changes of a path that http.ServeMux would make another one of, and redirect to: a client
// that follows would delete a pool where a backend "..", which there is not, was to go.
func straight(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		written := r.URL.EscapedPath()
		if r.Method != http.MethodGet && r.Method != http.MethodHead && path.Clean("/"+written) != written {
			writeError(w, problem(http.StatusNotFound, "there is nothing at "+quote(r.URL.Path), "GET / lists what there is"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// plainly adapts a handler that writes its own errors.
func plainly(h http.HandlerFunc) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		h(w, r)
		return nil
	}
}
