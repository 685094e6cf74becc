package store

// Kind is what a Ref names.
type Kind uint8

// The kinds.
const (
	Listener Kind = iota + 1
	Routes        // of a listener, all of them
	Pool
	Backend
)

// Ref names one thing that can be changed.
type Ref struct {
	Kind    Kind
	Name    string // of the listener or pool
	Backend string // of a backend
}

// String is its path in the configuration, as pools.web.backends.b1.
func (r Ref) String() string {
	switch r.Kind {
	case Listener:
		return "listeners." + r.Name
	case Routes:
		return "listeners." + r.Name + ".routes"
	case Pool:
		return "pools." + r.Name
	}
	return "pools." + r.Name + ".backends." + r.Backend
}

// names are the steps of its path.
func (r Ref) names() []string {
	switch r.Kind {
	case Listener:
		return []string{"listeners", r.Name}
	case Routes:
		return []string{"listeners", r.Name, "routes"}
	case Pool:
		return []string{"pools", r.Name}
	}
	return []string{"pools", r.Name, "backends", r.Backend}
}

// owner is the listener or pool that it is, or is a part of.
func (r Ref) owner() Ref {
	switch r.Kind {
	case Routes:
		return Ref{Kind: Listener, Name: r.Name}
	case Backend:
		return Ref{Kind: Pool, Name: r.Name}
	}
	return r
}

// BackendRef names a backend.
type BackendRef struct {
	Pool    string `json:"pool"`
	Backend string `json:"backend"`
}

// String is POOL/BACKEND.
func (b BackendRef) String() string { return b.Pool + "/" + b.Backend }
