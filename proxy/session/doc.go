// Package session keeps a client on its backend. It has one means for each type of persistence, and
// decides nothing: whether the backend it finds may still be used, and what else to do, is for the
// caller, who picks from [balancer.Pool] when there is no session.
//
// An inserted cookie carries the session itself. [Codec.Decode] finds in it a [Tag], which stands
// for a backend, and an [Index] knows the backend; [Codec.Encode] makes the value and
// [Setter.Append] the Set-Cookie field around it. The value is authenticated (HMAC-SHA256), has no
// address or name in it and is the same on every machine with the same keys. The first key signs,
// all verify: to rotate, put a new key in front, and remove the old one a timeout later. Whoever
// holds a cookie can use it; it says where to go, not who one is.
//
// The other types need memory, a [Table] from [Key] to backend: bounded, expiring, in shards with a
// lock each. [Addresses] are the client addresses of a pool; the flows of one agree on a backend before
// they connect to it, by a [Bond]. For cookies that the application sets, a
// [Learner] reads Set-Cookie fields of responses and finds sessions by the cookies of requests. The
// table of a pool survives a reload; when a backend leaves, [Table.Forget] lets go of it, or its sessions
// are kept as lost ([Table.SetKeep], [Table.Restore]).
//
// Cookie fields are handled as bytes. [Pairs], [Find] and [Strip] take them apart as browsers and
// RFC 6265 do, and forward what is not ours as it came. No cookie is decoded or judged.
//
// Per request: [Find] and [Codec.Decode], or [Table.Get]; on a response that starts or renews a
// session, [Codec.Encode] and [Setter.Append], or [Table.Put] or [Learner.Learn]; [Strip] on the way
// to the backend. Per connection or UDP session: [Addresses.Find] and [Bond.Claim]. None of these
// allocates once memory is warm, waits for anything but the lock of one shard, or reads a clock: times
// are arguments, of a monotonic clock in nanoseconds for tables and in Unix seconds for cookies, which
// other machines and restarts must understand.
//
// The package starts no goroutine. The owner of a table calls [Table.Sweep] about once a second.
package session
