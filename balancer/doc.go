// Package balancer decides who gets the next flow.
//
// A [Pool] holds [Backend]s and publishes immutable [Snapshot]s of them: members, weights and a
// [Picker], which change together or not at all. [Pool.Acquire] loads the present snapshot, hashes
// the [Flow] if the algorithm wants a key, and lets the picker choose. The result is a [Lease], which
// counts as load of its backend until [Lease.Release].
//
// The path of a flow: [Pool.Acquire] → [Flow.Hash] → [Picker.Pick], of which there are three.
// rotation walks a precomputed cycle (weighted round robin; schedule lays it out), leastConnections
// compares the leases of all backends, hashing looks a key up in a Maglev table. A flow that failed
// on a backend puts it into its [Tried] and calls Acquire again. Where every backend has its maximum of
// leases, or none has had a verdict, [Pool.Await] waits for one, in a bounded queue (queue.go). A flow of
// a session asks for its own backend ([Pool.AcquireBackend]), and waits for that.
//
// The path of a change: [Pool.Apply], [Pool.Report], [Pool.SetAdmin] and [Pool.Ramp] change the
// seats of the backends under the pool's mutex, settle brings health, state and slow start in line,
// elect finds the [Tier] that serves, and publish swaps the snapshot in and closes
// [Snapshot.Replaced] of the old one. What did not change keeps its identity: a backend with the
// same name and address is the same *Backend over every Apply, with its leases, health, ramp and
// override, and the rotation goes on where it was (see ledger). [Pool.Drained] says which backends have
// been on their way out for too long; their owner ends what they have left.
//
// [Pool.Explain] says what Acquire would do and why, and changes nothing; [Pool.ExplainIf] says it for
// backends that are supposed to be down, drained or in maintenance.
//
// Rules that are not obvious from the names:
//
//   - Weight 0 gets no new flow in any tier, fail open and hashes without weights included.
//   - Least connections: the least (active+1)/weight, so of idle backends the heaviest is chosen.
//   - A ramping backend has weight × r, r growing from 0.1 to 1. It ramps when it comes into service
//     after it joined, was down or was in maintenance, not after draining or weight 0. With
//     repeat off it does so until it has carried its full weight once.
//   - Fail open asks for fewer than min_healthy backends that could serve (tier's members, backups in
//     reserve, backends not yet checked), and then takes all that are not in maintenance.
//
// This package opens no socket, starts no goroutine, reads no clock (time is an argument) and logs
// nothing. Readers, Acquire and Release may be called from any number of goroutines and take no
// lock, unless there is somebody in the queue to be called; writers may too and wait for one another. Apply, Report and SetAdmin cost up to a few
// milliseconds with a thousand backends (a table is built), so they do not belong on the path of a
// flow.
package balancer
