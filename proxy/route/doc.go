// Package route decides which target a request goes to. A [Table] is immutable: it is built from
// the configuration of a listener and replaced as a whole by a reload, so that matching takes no
// lock and allocates nothing.
//
// Routes are tried in the order of the file; the first that matches wins. A route without a matcher
// matches everything. The target type is the caller's: the table only hands it back.
//
// Hosts are compared without port and in any letter case; "*.example.com" matches every name below
// example.com, at any depth, but not example.com itself. Paths are compared in one normal form
// ([Normalize]), those of routes too, so that /a/../admin cannot pass for something below /a, while
// the target is forwarded as it came. Slashes that follow one another are not merged. A prefix
// matches on segment boundaries: /api matches /api and /api/x, not /apix; a prefix that ends in a
// slash matches what is below it.
package route
