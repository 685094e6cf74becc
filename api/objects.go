package api

import (
	"net/http"
	"slices"
	"strings"

	"weir/config"
	"weir/config/store"
)

// missing is the problem of an object that is not there, with a name that may have been meant.
func missing(r *store.Revision, ref store.Ref) *Problem {
	kind, name, names := "listener", ref.Name, r.Listeners()
	switch ref.Kind {
	case store.Pool:
		kind, names = "pool", r.Pools()
	case store.Backend:
		if r.Config.Pools[ref.Name] == nil {
			return missing(r, store.Ref{Kind: store.Pool, Name: ref.Name})
		}
		kind, name, names = "backend", ref.Backend, r.Backends(ref.Name)
	}
	p := problem(http.StatusNotFound, "there is no "+kind+" "+quote(name), kind+"s: none")
	p.Type = ProblemNotFound
	if len(names) > 0 {
		const most = 10
		p.Hint = kind + "s: " + strings.Join(names[:min(len(names), most)], ", ")
		if len(names) > most {
			p.Hint += ", …"
		}
		if near := config.Closest(name, names); near != "" {
			p.Hint = "did you mean " + quote(near) + "? (" + p.Hint + ")"
		}
	}
	return p
}

// object is what all objects have. It must be in the revision.
func object(r *store.Revision, ref store.Ref) (Object, error) {
	o, err := r.Object(ref)
	if err != nil {
		return Object{}, missing(r, ref)
	}
	name := ref.Name
	if ref.Kind == store.Backend {
		name = ref.Backend
	}
	return Object{Name: name, Origin: originOf(o.Origin), ReadOnly: o.ReadOnly, ETag: quoted(o.Tag), Spec: o.Spec}, nil
}

func originOf(o config.Origin) Origin {
	if o.API {
		return Origin{API: true}
	}
	return Origin{File: o.File, Line: o.Line, Column: o.Column}
}

// moment is what is wanted and what is in service, at one moment.
type moment struct {
	*store.Revision
	listeners map[string]*ListenerStatus
	pools     map[string]*PoolStatus
}

func (s *Server) moment() moment {
	status := s.Status()
	m := moment{s.options.Control.Current(), map[string]*ListenerStatus{}, map[string]*PoolStatus{}}
	for i := range status.Listeners {
		m.listeners[status.Listeners[i].Name] = &status.Listeners[i]
	}
	for i := range status.Pools {
		m.pools[status.Pools[i].Name] = &status.Pools[i]
	}
	return m
}

func (m moment) listener(name string) (ListenerObject, error) {
	o, err := object(m.Revision, store.Ref{Kind: store.Listener, Name: name})
	return ListenerObject{o, m.listeners[name]}, err
}

func (m moment) pool(name string) (PoolObject, error) {
	o, err := object(m.Revision, store.Ref{Kind: store.Pool, Name: name})
	return PoolObject{o, m.pools[name]}, err
}

func (m moment) backend(pool, name string) (BackendObject, error) {
	common, err := object(m.Revision, store.Ref{Kind: store.Backend, Name: pool, Backend: name})
	if err != nil {
		if common, err = m.address(pool, name, err); err != nil {
			return BackendObject{}, err
		}
	}
	o := BackendObject{Object: common, Pool: pool, Override: overrideOf(m.Overrides[store.BackendRef{Pool: pool, Backend: name}])}
	if status := m.pools[pool]; status != nil {
		for i := range status.Backends {
			switch found := &status.Backends[i]; {
			case found.Name == name:
				o.Status = found
			case strings.HasPrefix(found.Name, name+"/"):
				o.Addresses = append(o.Addresses, *found)
			}
		}
	}
	return o, nil
}

// address is one address of a backend that is a name, NAME/IP, which can have an override of its own. It is
// as its name is configured, and as it is only until the name resolves to something else: its tag is that of
// the whole. Of what is none, the error is missing.
func (m moment) address(pool, name string, missing error) (Object, error) {
	status, slash := m.pools[pool], strings.LastIndexByte(name, '/')
	if status == nil || slash < 0 || !slices.ContainsFunc(status.Backends, func(b BackendStatus) bool { return b.Name == name }) {
		return Object{}, missing
	}
	o, err := object(m.Revision, store.Ref{Kind: store.Backend, Name: pool, Backend: name[:slash]})
	if err != nil {
		return Object{}, missing
	}
	o.Name, o.ReadOnly, o.ETag = name, true, quoted(m.Tag())
	return o, nil
}

// overrideOf is what an operator wants of a backend; nil: nothing.
func overrideOf(said config.Override) *Override {
	if said.IsZero() {
		return nil
	}
	said = said.Clone()
	o := &Override{Weight: said.Weight}
	if said.State != nil {
		o.State = new(string(*said.State))
	}
	return o
}

// serveList answers with all objects of one sort, of which names are the names.
func serveList[T any](w http.ResponseWriter, r *http.Request, now *store.Revision, names []string, read func(string) (T, error)) error {
	if unchanged(w, r, quoted(now.Tag())) {
		return nil
	}
	list := List[T]{Revision: now.Number, Generation: now.Generation, Items: make([]T, 0, len(names))}
	for _, name := range names {
		o, err := read(name)
		if err != nil {
			return err
		}
		list.Items = append(list.Items, o)
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

// serveObject answers with one object, unless the client has it.
func serveObject[T any](w http.ResponseWriter, r *http.Request, tag func(T) string, o T, err error) error {
	if err != nil {
		return err
	}
	if !unchanged(w, r, tag(o)) {
		writeJSON(w, http.StatusOK, o)
	}
	return nil
}

func (s *Server) serveListeners(w http.ResponseWriter, r *http.Request) error {
	m := s.moment()
	return serveList(w, r, m.Revision, m.Listeners(), m.listener)
}

func (s *Server) serveListener(w http.ResponseWriter, r *http.Request) error {
	o, err := s.moment().listener(r.PathValue("listener"))
	return serveObject(w, r, func(o ListenerObject) string { return o.ETag }, o, err)
}

// serveRoutes answers with the routes of a listener.
func (s *Server) serveRoutes(w http.ResponseWriter, r *http.Request) error {
	o, err := object(s.options.Control.Current(), refOf(r, store.Routes))
	return serveObject(w, r, func(o Object) string { return o.ETag }, o, err)
}

func (s *Server) servePools(w http.ResponseWriter, r *http.Request) error {
	m := s.moment()
	return serveList(w, r, m.Revision, m.Pools(), m.pool)
}

func (s *Server) servePool(w http.ResponseWriter, r *http.Request) error {
	o, err := s.moment().pool(r.PathValue("pool"))
	return serveObject(w, r, func(o PoolObject) string { return o.ETag }, o, err)
}

func (s *Server) serveBackends(w http.ResponseWriter, r *http.Request) error {
	m, pool := s.moment(), r.PathValue("pool")
	if m.Config.Pools[pool] == nil {
		return missing(m.Revision, store.Ref{Kind: store.Pool, Name: pool})
	}
	return serveList(w, r, m.Revision, m.Backends(pool), func(name string) (BackendObject, error) { return m.backend(pool, name) })
}

func (s *Server) serveBackend(w http.ResponseWriter, r *http.Request) error {
	o, err := s.moment().backend(r.PathValue("pool"), r.PathValue("backend"))
	return serveObject(w, r, func(o BackendObject) string { return o.ETag }, o, err)
}
