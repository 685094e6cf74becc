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
// Paths are compared in one normal form ([Normalize]), those of routes too, so that /a/../admin
// cannot pass for something below /a, while the target is forwarded as it came unless the route
// changes it. Slashes that follow one another are not merged, and only "." and ".." are dot
// segments, not "..;x". A prefix matches on segment boundaries: /api matches /api and /api/x, not
// /apix; a prefix that ends in a slash matches what is below it. An expression is matched against
// the normal form, in which an encoded slash is %2F.
//
// A header matches if any of its lines has exactly the value, a parameter of the query if any of its
// name has the value once decoded. The source is the address of the client, IPv4 in IPv6 being IPv4.
//
// A split sends a client to the arm that the hash of its address and the names of the arms say: the
// same on every machine, in every route with these arms, and in whatever order they stand. When
// weights change, only the clients move by which an arm shrinks or grows.
package route
