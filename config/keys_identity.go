package config

// identityRows are the keys by which clients of the API know an object, below the path prefix. of says
// among which objects an id is the only one.
func identityRows(prefix, of string) []key {
	return []key{
		{path: prefix + ".id", kind: kindID, doc: "Stable id for clients of the API, which keep it when the name changes. No two " + of + " have the same. Empty: none."},
		{path: prefix + ".meta", kind: kindMap, naming: namesParameters, doc: "Values that are kept and shown, and mean nothing to weir, by name."},
		{path: prefix + ".meta.*", kind: kindMeta, doc: "A text of at most 4096 bytes."},
	}
}
