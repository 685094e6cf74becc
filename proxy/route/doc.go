// Package route decides what happens to a request: which target it goes to, or what answers it, and
// how it is changed on the way. It reads and writes bytes only; connections, pools and the answers
// themselves are the caller's.
//
// A [Table] is immutable: it is built from the configuration of a listener and replaced as a whole by
// a reload, so that matching takes no lock and allocates nothing. The target type is the caller's:
// the table only hands it back. [Table.Match] says which, and gives an [Action] if there is more to
// do: [Action.Location] and Respond answer, [Action.Target] and two [HeaderChange] change what
// passes. [Describe] says the same in words.
//
// Routes are tried in the order of the file; the first that matches wins. A route without a matcher
// matches everything, and all matchers of a route must match.
//
// Hosts are compared without port and in any letter case; "*.example.com" matches every name below
// example.com, at any depth, but not example.com itself.
//
// Paths are compared in their plain form ([Normalize]), those of routes too, so that /a/../admin
// cannot pass for something below /a, while the target is forwarded as it came unless the route
// changes it. A prefix matches on segment boundaries: /api matches /api and /api/x, not /apix; a
// prefix that ends in a slash matches what is below it. An expression is matched against the form, in
// which an encoded slash is %2F.
//
// Servers read more into a path than that: an encoded slash or a backslash is a slash to them, // one
// slash, "..;x" a dot segment. That is the folded form (fold). A path that has such bytes is asked for
// in both, and where they lead to different ends it is refused ([AmbiguousPath]): /x/..%2fadmin cannot
// get round a route for /admin, and projects/a%2Fb below one route passes. If such bytes and ".." are
// in one path, there are more ways to read it; then every route that asks for a path counts as one that
// could match. An encoded NUL is refused ([EncodedNUL]).
//
// A header matches if any of its lines has exactly the value, a parameter of the query if any of its
// name has the value once decoded. The source is the address of the client, IPv4 in IPv6 being IPv4.
//
// A split sends a client to the arm that the hash of its address and the names of the arms say: the
// same on every machine, in every route with these arms, and in whatever order they stand. When
// weights change, only the clients move by which an arm shrinks or grows.
package route
