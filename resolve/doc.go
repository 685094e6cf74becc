// Package resolve finds the addresses of backends that are names, and keeps finding them.
//
// A [Resolver] follows a configuration: for every backend with a Host it has a schedule of its own, which
// asks, files what it has learnt, and waits. [Resolver.Expand] turns a configuration with names into the one that
// is to be in force: each address of a name is a backend NAME/IP in its place, in the order of the addresses, with
// weight, state, limits and the rest of what was said of the name. When a later answer makes that differ,
// Options.Changed is called, and the owner expands again and applies the result.
//
// The path of an answer: name.run → Options.Lookup (system: net.Resolver, in Go alone) → sift, which takes out
// what cannot be the address of a backend → name.file, which keeps the last good answer over failures →
// Options.Observe → Options.Changed. Expand adds what only the whole configuration can say: an address belongs to one backend of a
// pool, and never to a listener that serves that pool.
//
// Rules that are not obvious from the names:
//
//   - Nobody waits for a name: Expand takes what is known, and says in Pool.Resolving how many names have not
//     had a first answer.
//   - A failure, a name that does not exist and an answer without a usable address all leave the last good answer in
//     use. They are asked again after 1 s, 2 s, 4 s …, at most the interval.
//   - An address is in use as long as the answers have it. Times to live are not looked at: the interval alone says how
//     old an answer may be.
//   - If one family of addresses is missing from an answer and the servers cannot say that there is none, those that
//     were known of it stay.
//
// It may import config only. A Resolver may be used by any number of goroutines; Changed and Observe are called
// without its lock, Changed from one goroutine at a time. [Resolver.Close] ends all of them and waits.
package resolve
