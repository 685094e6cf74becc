// Package sim drives a real balancer.Pool through virtual time, so that a policy can be seen before
// it is used: what share each backend gets, how many clients an outage moves, how a slow start
// climbs.
//
// A [Script] says how much traffic there is and what happens when; [ParseScript] reads one from YAML
// and [ParseEvent] one of its lines:
//
//	duration: 60s          # of virtual time; default 60s
//	rate: 200              # flows per second, evenly spaced; default 100
//	clients: 1000          # distinct addresses, drawn at random for each flow; default 1000
//	service: 20ms          # how long a lease is held; default 10ms
//	services: { b2: 200ms} # of single backends
//	interval: 5s           # one row of the report; default a round one, for at most 12 rows
//	seed: 1                # of the draws: equal scripts give equal reports
//	events:
//	  - 10s down b2        # its health check fails; leases in progress end normally
//	  - 20s up b2
//	  - 30s add b4 3       # joins with weight 3 (default 1), without a limit, and is up at once
//	  - 35s weight b1 5    # override
//	  - 40s drain b1       # override; also maintenance, ready
//	  - 50s remove b1
//
// [Run] begins with all backends of the configuration up, whatever its health check says, and
// returns a [Report], which marshals to JSON and prints itself as a table. A hashing pool also
// reports churn: after each event and each step of a slow start, the clients whose backend is
// another one than before.
//
// Where backends have a maximum of leases, flows wait in a queue of the pool's size for the pool's
// time, first come, first served, and the report says how many and how long.
//
// Nothing here reads a clock, starts a goroutine or opens a socket. A run takes about a
// microsecond per flow.
package sim
