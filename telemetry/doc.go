// Package telemetry counts what the data plane does and tells it: to Prometheus, to the access log
// and to the process log. It decides nothing, and nothing in it waits for a reader.
//
// A Registry owns the counters of a process. They are found once, when a configuration is applied,
// by the names in the configuration (Registry.Listener, HTTP, Pool, Backend), and kept by whoever
// counts. The same name gives the same counter, so counters survive a reload; Registry.Retain lets
// the series of what is gone disappear, once its connections have. A counter that was forgotten may still be used: it is only
// no longer shown. Listener.SetCertificates replaces what is shown of a listener's certificates as a
// whole, whenever they are loaded.
//
// # The hot path
//
// A client connection takes a Shard when it is accepted and passes it to every call. Counters that
// change with each request exist once per shard, on cache lines of their own, so that cores do not
// fight for them. HTTP.Done is a handful of atomic additions: bytes, one slot of the latency, and
// one tally for the combination of method, status and outcome. It takes no lock and allocates only
// for the first request of a shard or of a combination. All labels come from the configuration or
// from a closed set (Method, Outcome, …), so no client can create series.
//
// # Latency
//
// A duration is counted in one of some 240 slots. The slots end at the bounds of the classic
// buckets (100 µs to 60 s) and at those of a native histogram of schema 3, so both are exact sums
// of slots. A bound is the largest duration in its bucket. Latency is such a distribution read at
// one moment; Latency.Since cuts a window out of two of them, Latency.Quantile estimates a
// quantile.
//
// # Scrapes
//
// Registry.Handler serves /metrics. At a scrape, a collector adds up the shards and reads the
// balancer's snapshots for what changes without traffic: health, weights, ramps, leases. Describe
// is the table of all names. A scrape that runs during traffic may see one request in one counter
// and not yet in another; each counter for itself never goes backwards.
//
// # Logs and events
//
// Journal holds the last events (Event): what became of health, configuration, overrides, listeners. Add
// never waits; Since tells readers what they have not seen; a file, bounded by one rotation, keeps events over a
// restart. AccessLog writes a JSON line per request: AccessLog.Write encodes it into a bounded buffer and a
// goroutine of the log's own does the output; lines that find the buffer full are dropped and
// counted. NewLogger makes the process log.
//
// Everything exported may be used concurrently.
package telemetry
