package api

import (
	"net/http"

	"weir/config/store"
)

// The parameters of changes.
var (
	dryRun  = []parameter{{"dry_run", "`true`: check the change and answer as if it had been made. Addresses that others have and files that cannot be read are not noticed."}}
	ifMatch = []parameter{
		{"If-Match", "Change it only if its ETag, or that of a list, is one of these; else 412."},
		{"If-None-Match", "`*`: only if it does not exist yet; else 412."},
	}
)

// changing fills in what all changes have in common.
func changing(r route, problems ...int) route {
	r.query, r.header = dryRun, ifMatch
	r.answer = document[Changed]()
	r.problems = append([]int{409, 412, 503, 507}, problems...)
	r.offered = controlled
	return r
}

// spec is a body in the words of the configuration.
func spec(name string, media ...string) *content {
	return &content{media: media, spec: name, doc: "In the words of docs/config.md."}
}

// changeRoutes change something.
func (s *Server) changeRoutes() []route {
	const listener, pool, backend = "/v1/listeners/{listener}", "/v1/pools/{pool}", "/v1/pools/{pool}/backends/{backend}"
	all := s.objectRoutes(listener, "listener", "Listener", store.Listener, "It is bound and serves when the answer comes. Clients of one whose addresses stay are not disturbed.")
	all = append(all, changing(route{
		method: http.MethodPut, path: listener + "/routes", id: "putRoutes", title: "Replace the routes of a listener",
		doc: "The whole list; the first route that matches wins.", body: spec("routes", mediaJSON), handle: s.servePut(store.Routes),
	}, 400, 404, 415, 422), changing(route{
		method: http.MethodDelete, path: listener + "/routes", id: "deleteRoutes", title: "Remove the routes of a listener",
		doc: "All that comes to it goes to its `pool`.", handle: s.serveDelete(store.Routes),
	}, 404))
	all = append(all, s.objectRoutes(pool, "pool", "Pool", store.Pool, "Backends that stay keep their health, slow start, sessions and connections.")...)
	all = append(all, s.objectRoutes(backend, "backend", "Backend", store.Backend, "Of a backend that a file defines, PATCH takes `state` and `weight` alone, as an override.")...)
	return append(all,
		changing(route{
			method: http.MethodPut, path: backend + "/override", id: "putOverride", title: "Override state or weight of a backend",
			doc:  "Holds instead of what the configuration says, over reloads and restarts, until it is cleared. Drain: no new flows but those of sessions; maintenance: none at all. Absent members are as configured.",
			body: &content{media: []string{mediaJSON}, of: typeOf[Override]()}, handle: s.servePutOverride,
		}, 400, 404, 415, 422),
		changing(route{
			method: http.MethodDelete, path: backend + "/override", id: "deleteOverride", title: "Clear the override of a backend",
			doc: "What the configuration says holds again. Without an override, nothing changes.", handle: s.serveDeleteOverride,
		}, 404),
		route{method: http.MethodPost, path: "/v1/reload", id: "reload", title: "Read the files again",
			doc:    "Reads the configuration anew and puts it in force, as SIGHUP does. If that fails, nothing has changed, and the problem says why, with lines.",
			answer: document[Changed](), problems: []int{409, 422, 503, 507}, offered: controlled, handle: s.serveReload},
		route{method: http.MethodPost, path: "/v1/validate", id: "validate", title: "Check a configuration",
			doc:    "The body is the text of a main file, whose paths are relative to the one in force. It is checked together with what was made through the API. Of its includes, those that are in force are read. Nothing changes.",
			body:   &content{media: []string{mediaYAML, mediaJSON}, spec: "configuration", doc: "The text of the file."},
			answer: document[Validation](), problems: []int{400, 413, 415}, offered: controlled, handle: s.serveValidate},
	)
}

// objectRoutes are the changes of one sort of objects.
func (s *Server) objectRoutes(path, name, id string, kind store.Kind, doc string) []route {
	return []route{
		changing(route{
			method: http.MethodPut, path: path, id: "put" + id, title: "Make or replace a " + name,
			doc: "The same body again changes nothing. 201 if it is new. " + doc, body: spec(name, mediaJSON), handle: s.servePut(kind),
		}, 400, 404, 413, 415, 422),
		changing(route{
			method: http.MethodPatch, path: path, id: "patch" + id, title: "Change a " + name,
			doc: "A merge patch (RFC 7396): null removes a key. " + doc, body: spec(name, mediaMergePatch, mediaJSON), handle: s.servePatch(kind),
		}, 400, 404, 413, 415, 422),
		changing(route{
			method: http.MethodDelete, path: path, id: "delete" + id, title: "Delete a " + name,
			doc: "409 while something else needs it.", handle: s.serveDelete(kind),
		}, 404),
	}
}
